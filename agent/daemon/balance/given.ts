/**
 * What nodes were seen to give. One that says that it is idle and is not (it lies, or another machine has its CPUs) gets
 * a job and gives it less than it promised: it is taken for so much slower from then on, until it is forgotten.
 */
import { within } from './known';

/** Each look counts for a fifth. */
const WEIGHT = 0.2;
/** Half of what is held against a node is forgotten in this time. */
const HALF_LIFE_MS = 300_000;
/** Less than promised by so little is a rough measurement. */
const NEARLY_ALL = 0.8;
/** Never nothing: all that is worked out with it stays a number. */
const LEAST = 0.001;

export class Given {
  readonly #shares = new Map<string, { share: number; at: number }>();

  /**
   * @param promised CPU seconds of the reference machine a second, by what the node said
   * @param got those that the job had
   */
  saw(node: string, promised: number, got: number, now: number): void {
    if (!(promised > 0) || !(got >= 0)) return;
    const share = got >= NEARLY_ALL * promised ? 1 : within(got / promised, LEAST, 1);
    const before = this.of(node, now);
    this.#shares.set(node, { share: before + WEIGHT * (share - before), at: now });
  }

  /** The share of what it says that it gives: 1 for one that was never seen to give less. */
  of(node: string, now: number): number {
    const seen = this.#shares.get(node);
    if (!seen) return 1;
    return 1 - (1 - seen.share) * 0.5 ** (Math.max(0, now - seen.at) / HALF_LIFE_MS);
  }

  forget(node: string): void {
    this.#shares.delete(node);
  }
}
