/** One member that is suspected, until it objects or its time is over. */

export interface SuspicionTerms {
  /** However many suspect it. */
  leastMs: number;
  /** As long as one member does. */
  mostMs: number;
  /** Others after whom it lasts the least time; 0 where there are too few members for that. */
  wanted: number;
}

export class Suspicion {
  readonly #by: Set<string>;
  #hastened = false;

  constructor(
    by: string,
    private readonly since: number,
    private readonly terms: SuspicionTerms,
  ) {
    this.#by = new Set([by]);
  }

  /** Another one suspects it too. Was that news, of which there should be more told? */
  confirm(by: string): boolean {
    if (this.#by.size > this.terms.wanted || this.#by.has(by)) return false;
    this.#by.add(by);
    return true;
  }

  /** Another one has waited to the end. It has the least time all the same, whatever is said. */
  hasten(): void {
    this.#hastened = true;
  }

  /** When it is dead. Each further accuser takes less off than the one before. */
  get until(): number {
    const { leastMs, mostMs, wanted } = this.terms;
    const others = this.#by.size - 1;
    if (this.#hastened || others >= wanted) return this.since + leastMs;
    return this.since + mostMs - ((mostMs - leastMs) * Math.log(others + 1)) / Math.log(wanted + 1);
  }
}
