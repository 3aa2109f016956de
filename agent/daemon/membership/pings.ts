/** The pings that this node waits for an answer to: its own probes, errands of others, and who wants to be believed. */
import { ANSWER_MS, PROBE_MS } from './timing';

/** Far above what is under way in a cluster in order; what is beyond is not done. */
const MOST_PINGS = 256;

export interface Probe {
  kind: 'probe';
  node: string;
  nonce: number;
  begun: number;
  /** Patience, by which all its times are multiplied. */
  factor: number;
  way: 'direct' | 'helpers' | 'link';
  /** Those that were asked to try it, and have said nothing yet. */
  silent: Set<string>;
}
export interface Errand {
  kind: 'errand';
  node: string;
  begun: number;
  /** Whose question it is, and its number there. */
  asker: string;
  theirs: number;
}
/** Nothing comes of it if there is no answer. */
export interface Greeting {
  kind: 'greeting';
  node: string;
  begun: number;
}
export type Ping = Probe | Errand | Greeting;

/** How many steps of `ANSWER_MS` a way is tried for. */
const LASTS_MS = { direct: ANSWER_MS, helpers: 2 * ANSWER_MS, link: PROBE_MS } as const;

export class Pings {
  readonly #pings = new Map<number, Ping>();

  get size(): number {
    return this.#pings.size;
  }

  /** False where there are too many. */
  add(nonce: number, ping: Ping): boolean {
    if (this.#pings.size >= MOST_PINGS || this.#pings.has(nonce)) return false;
    this.#pings.set(nonce, ping);
    return true;
  }

  /** What `node` answers with this; it is waited for no longer. */
  answered(node: string, nonce: number): Ping | null {
    const ping = this.#pings.get(nonce);
    if (ping?.node !== node) return null;
    this.#pings.delete(nonce);
    return ping;
  }

  probe(nonce: number): Probe | null {
    const ping = this.#pings.get(nonce);
    return ping?.kind === 'probe' ? ping : null;
  }

  isWaitingFor(node: string, nonce: number): boolean {
    return this.#pings.get(nonce)?.node === node;
  }

  /** The probes whose way has taken too long. */
  late(at: number): Probe[] {
    const late: Probe[] = [];
    for (const ping of this.#pings.values())
      if (ping.kind === 'probe' && at - ping.begun >= LASTS_MS[ping.way] * ping.factor) late.push(ping);
    return late;
  }

  /** Errands without an answer in time: given up. Greetings go as well. */
  expired(at: number): Errand[] {
    const expired: Errand[] = [];
    for (const [nonce, ping] of this.#pings) {
      if (ping.kind === 'probe' || at - ping.begun < ANSWER_MS) continue;
      if (ping.kind === 'greeting' && at - ping.begun < PROBE_MS) continue;
      this.#pings.delete(nonce);
      if (ping.kind === 'errand') expired.push(ping);
    }
    return expired;
  }

  remove(nonce: number): void {
    this.#pings.delete(nonce);
  }

  forget(node: string): void {
    for (const [nonce, ping] of this.#pings) if (ping.node === node) this.#pings.delete(nonce);
  }
}
