/** How often and how long, each with its reason. All are of a healthy node; see `health.ts`. */

/** So often it is looked at what runs out, while there is anything: nothing here needs to be more exact. */
export const TICK_MS = 250;

/** A member is probed so often. A dead one is met after 1.6 rounds on average, however many members there are. */
export const PROBE_EVERY_MS = 1_000;
/** A datagram's answer: a thousand times what a local network takes. Then other ways are tried. */
export const ANSWER_MS = 500;
/** All ways together. With it a node that is gone is suspected after 3 s, and one that stalls for 2 s is not. */
export const PROBE_MS = 2_500;
/** Members that are asked to try in this one's place: all three datagrams are lost once in 10,000 at 5 % loss. */
export const HELPERS = 3;

/** Load goes with probes and their answers, to two members a second on average. Where there are more than so many */
export const FEW = 10;
/** it is also told to one that is picked at random, so often. */
export const TELL_EVERY_MS = 1_000;
/** News don't wait for that: to so many, each `TICK_MS`. */
export const NEWS_TO = 2;

/**
 * The least time between a suspicion and a death, for ten members; it grows with the logarithm of their number, as the
 * time does in which all hear of something. In it the suspect hears of it and objects.
 */
export const SUSPICION_MS = 5_000;
/** A suspicion of one member's alone lasts so many times as long: it may be the accuser's network that is bad. */
export const ALONE_FACTOR = 6;
/** Other members that find the same, after which it lasts the least time. */
export const CONFIRMATIONS = 3;

/** A suspect is told of it at once by so many of those who hear it; each asks it whether it is there. */
export const TOLD_BY = 10;

/**
 * A statement is sent so many times for each digit of the number of members. Of those who hear it each sends it on, so
 * that all but one in thousands hear it, with a part of the datagrams lost.
 */
const PASSED_ON = 4;
export const timesTold = (members: number): number => PASSED_ON * Math.ceil(Math.log10(members + 1));

/** So much longer a node waits, at its worst, that has reason to think that the fault is its own. */
export const HEALTH_WORST = 8;
/** Time in which this node did not run is not counted against others: if it was to wake and did not, only so much is. */
export const LATE_MS = 250;

/** The tens of members, one at least. */
export const scaleOf = (members: number): number => Math.max(1, Math.log10(members));
