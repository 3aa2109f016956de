/**
 * Which messages were sent just once, and lately. Each agent has a random number for its life, and counts what it sends.
 * Another life than the known one is believed once it has answered something unpredictable: only who is there now can.
 * So nothing that was recorded is heard a second time, without clocks and without anything kept on disk.
 */

/** How far behind the latest one a message may come: a network does not reorder more. */
const BEHIND = 32;

interface Heard {
  life: number;
  latest: number;
  /** Bit n: that which is n behind the latest was heard. */
  bits: number;
}

export type Verdict = 'new' | 'old' | 'unproved';

export class Freshness {
  readonly #heard = new Map<string, Heard>();

  has(node: string): boolean {
    return this.#heard.has(node);
  }

  judge(node: string, life: number, count: number): Verdict {
    const heard = this.#heard.get(node);
    if (heard?.life !== life) return 'unproved';
    const ahead = count - heard.latest;
    if (ahead > 0) {
      heard.bits = ahead < BEHIND ? (heard.bits << ahead) | 1 : 1;
      heard.latest = count;
      return 'new';
    }
    if (-ahead >= BEHIND || heard.bits & (1 << -ahead)) return 'old';
    heard.bits |= 1 << -ahead;
    return 'new';
  }

  /** It has shown that this is its life. */
  proved(node: string, life: number, latest: number): void {
    this.#heard.set(node, { life, latest, bits: 1 });
  }

  forget(node: string): void {
    this.#heard.delete(node);
  }
}
