/**
 * What nodes were seen to give. One that says that it is idle and is not (it lies, or another machine has its CPUs) gets
 * a job and gives it less than it promised: it is taken for so much slower from then on, until it is forgotten.
 */
import { within } from './known';

/**
 * What happens meanwhile (an arrival takes CPU time of the node too) is no measure: amounts of so long are compared.
 */
const MEASURED_MS = 10_000;
/** Each of them counts for a third. */
const WEIGHT = 1 / 3;
/** What is held against a node is forgotten in halves, as factors: of a hundredth a tenth is left after this time. */
const HALF_LIFE_MS = 300_000;
/** Less than promised by so little is a rough measurement. */
const NEARLY_ALL = 0.8;
/** Never nothing: all that is worked out with it stays a number. */
const LEAST = 0.001;

export class Given {
  readonly #pending = new Map<string, { promised: number; got: number; since: number }>();
  readonly #shares = new Map<string, { share: number; at: number }>();

  /**
   * @param promised CPU time of the reference machine since the last look, by what the node said
   * @param got what the job had of it
   */
  saw(node: string, promised: number, got: number, now: number): void {
    if (!(promised > 0) || !(got >= 0)) return;
    const sum = this.#pending.get(node) ?? { promised: 0, got: 0, since: now };
    sum.promised += promised;
    sum.got += got;
    this.#pending.set(node, sum);
    if (now - sum.since < MEASURED_MS) return;
    this.#pending.delete(node);
    this.#learn(node, sum, now);
  }

  #learn(node: string, { promised, got }: { promised: number; got: number }, now: number) {
    const share = got >= NEARLY_ALL * promised ? 1 : within(got / promised, LEAST, 1);
    const before = this.of(node, now);
    this.#shares.set(node, { share: before ** (1 - WEIGHT) * share ** WEIGHT, at: now });
  }

  /** The share of what it says that it gives: 1 for one that was never seen to give less. */
  of(node: string, now: number): number {
    const seen = this.#shares.get(node);
    if (!seen) return 1;
    return seen.share ** (0.5 ** (Math.max(0, now - seen.at) / HALF_LIFE_MS));
  }
}
