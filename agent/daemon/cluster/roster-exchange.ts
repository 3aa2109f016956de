/** How the entries of the roster get from the authority to all members. */
import type { RosterEntry } from '../../api/roster';
import type { Log } from '../../log';
import type { Peers } from './peers';
import type { Roster } from './roster';

/** A member that was away, or was not told, hears of a change within this time, from any other. */
const ASK_EVERY_MS = 10_000;
/** One that is said to know more is asked at once, but no more often: it may only say so. */
const ASK_SOON_MS = 1_000;
/** Each so many times it is the authority that is asked: a member may keep back what it does not want known. */
const AUTHORITY_EACH = 30;
const CALL = { timeoutMs: 5_000 };
/** Told at once; the others hear of it by asking. */
const TOLD_AT_ONCE = 16;

export interface ExchangeParts {
  node: string;
  roster: Roster;
  peers: Peers;
  /** The members are others now. */
  changed: () => void;
  log: Log;
}

export class RosterExchange {
  #timer: NodeJS.Timeout | undefined;
  #asked = 0;
  #askedSoon = Number.NEGATIVE_INFINITY;
  /** What the authority itself has said that it had told. */
  #fromAuthority = 0;

  constructor(private readonly parts: ExchangeParts) {}

  start(): void {
    this.#timer = setInterval(() => void this.#askSome(), ASK_EVERY_MS);
    this.#timer.unref();
    void this.#askSome();
  }

  /** What another node tells, or has answered. */
  async take(entries: readonly RosterEntry[], complete = 0): Promise<void> {
    if (await this.parts.roster.merge(entries, complete)) this.parts.changed();
  }

  /** Tells the other members. @returns those that have not heard of it */
  async tell(entries: RosterEntry[]): Promise<string[]> {
    const { node, peers } = this.parts;
    const names = peers.names.filter((name) => name !== node);
    const unheard: string[] = [];
    const work = async () => {
      for (let name = names.pop(); name !== undefined; name = names.pop())
        await peers.call(name, 'cluster.tell', { entries }, CALL).catch(() => unheard.push(name!));
    };
    await Promise.all(Array.from({ length: TOLD_AT_ONCE }, work));
    return unheard.sort();
  }

  /** `name` has told that it has later entries than this node. */
  askSoon(name: string): void {
    const now = performance.now();
    if (now - this.#askedSoon < ASK_SOON_MS) return;
    this.#askedSoon = now;
    void this.#ask(name, false);
  }

  async #askSome(): Promise<void> {
    const { node, roster, peers } = this.parts;
    const authority = roster.authorityNode;
    const others = peers.names.filter((name) => name !== node);
    const isTurn = this.#asked++ % AUTHORITY_EACH === 0 && authority !== null && authority !== node;
    const asked = isTurn ? authority : others[Math.floor(Math.random() * others.length)];
    if (asked !== undefined) await this.#ask(asked, isTurn);
  }

  /** @param isTurn it is the authority's */
  async #ask(asked: string, isTurn: boolean): Promise<void> {
    const { roster, peers, log } = this.parts;
    try {
      const since = isTurn ? this.#fromAuthority : roster.complete;
      const { entries, complete } = await peers.call(asked, 'cluster.entries', { since }, CALL);
      await this.take(entries, complete);
      if (isTurn) this.#fromAuthority = complete;
    } catch (error) {
      log.debug(`${asked} has not said who is in the cluster: ${(error as Error).message}`);
    }
  }
}
