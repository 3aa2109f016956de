/** What jobs have been seen to lose away from their homes' files: a job that lives on them is better off at home. */

/** Without any look, or with no use of files: of equal places home is the better one. */
export const UNSEEN_DELAY = 0.03;
/** Figures of a shorter time are chance. */
const LEAST_MS = 1_000;
/** What was seen so long ago counts a third: programs read, then compute. */
const FADES_MS = 20_000;
/** One that waits nearly all the time is so much slower at most: how quick it would be at home is a guess then. */
const MOST = 20;

interface Delay {
  host: string;
  delayedMs: number;
  at: number;
  /** Of the time away from home, what it waited for files: 0 to 1; null before there was any to see. */
  share: number | null;
}

export class Delays {
  readonly #delays = new Map<string, Delay>();

  /** @param delayedMs by the count of the host, null at home or where it does not tell @returns by what share it is slower away */
  saw(job: string, host: string, delayedMs: number | null, now: number): number {
    const before = this.#delays.get(job);
    let share = before?.share ?? null;
    if (delayedMs === null) return slower(share);
    if (before?.host === host && delayedMs >= before.delayedMs) {
      const ms = now - before.at;
      if (ms < LEAST_MS) return slower(share);
      share = mixed(share, Math.min(1, (delayedMs - before.delayedMs) / ms), ms);
    }
    this.#delays.set(job, { host, delayedMs, at: now, share });
    return slower(share);
  }

  /** Others are over. */
  keep(jobs: ReadonlySet<string>): void {
    for (const job of this.#delays.keys()) if (!jobs.has(job)) this.#delays.delete(job);
  }
}

/** What was known before counts less, the longer ago it was. */
const mixed = (known: number | null, seen: number, ms: number): number =>
  known === null ? seen : seen + (known - seen) * Math.exp(-ms / FADES_MS);

/** A job that waits for half of its time takes twice as long as at home. */
const slower = (share: number | null): number =>
  share === null ? UNSEEN_DELAY : Math.min(MOST, UNSEEN_DELAY + share / Math.max(1 - share, 1e-6));
