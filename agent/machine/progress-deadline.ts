/**
 * For waiting on what may be slow, but must not be stuck: a bound on the time without any progress, so that neither
 * many threads nor a busy machine are taken for a failure.
 */
export class ProgressDeadline {
  #seen: unknown;
  #until: number;

  /**
   * @param limit milliseconds without progress
   * @param look something that changes with each bit of it
   */
  constructor(
    private readonly limit: number,
    private readonly look: () => unknown,
  ) {
    this.#seen = look();
    this.#until = performance.now() + limit;
  }

  get passed(): boolean {
    const seen = this.look();
    if (seen !== this.#seen) {
      this.#seen = seen;
      this.#until = performance.now() + this.limit;
    }
    return performance.now() > this.#until;
  }
}
