/** Work in steps, each of which says how it is undone: all of it is done in the end, or nothing. */
export class Undoing {
  readonly #undo: (() => Promise<unknown> | unknown)[] = [];

  /** How to undo what is done next. Said before it is done: half of it may be done. */
  onFailure(undo: () => Promise<unknown> | unknown): void {
    this.#undo.push(undo);
  }

  /** Undoes what has been done, the last first; a failure of one keeps none of the others back. */
  async all(): Promise<void> {
    for (const undo of this.#undo.splice(0).reverse())
      await Promise.resolve()
        .then(undo)
        .catch(() => {});
  }
}

/** @throws what `work` throws, after all that it has done is undone */
export async function allOrNothing<T>(work: (undoing: Undoing) => Promise<T>): Promise<T> {
  const undoing = new Undoing();
  try {
    return await work(undoing);
  } catch (error) {
    await undoing.all();
    throw error;
  }
}
