/** Runs one piece of work at a time, in the order in which they were given. */
export class SerialQueue {
  #last: Promise<unknown> = Promise.resolve();
  #taken = 0;

  get isBusy(): boolean {
    return this.#taken > 0;
  }

  take<T>(work: () => Promise<T> | T): Promise<T> {
    this.#taken++;
    const turn = this.#last.then(work, work);
    this.#last = turn.catch(() => {}).then(() => void this.#taken--);
    return turn;
  }
}
