/**
 * Whether VS Code has asked for the children of what it was to draw again. It does not where it was asking for them
 * already: then it shows the answer to its first question, which may be older, until the next change event.
 */

/** In which it asks. */
const ASKS_WITHIN_MS = 1_000;
/** What is not seen, such as a folded node, is not asked for at all. */
const TELLS = 3;

export class Asked {
  readonly #open = new Map<string, { at: number; told: number }>();

  /** VS Code is to draw this element again. */
  told(element: string, now: number): void {
    this.#open.set(element, { at: now, told: (this.#open.get(element)?.told ?? 0) + 1 });
  }

  asked(element: string): void {
    this.#open.delete(element);
  }

  /** The elements for which the event is to be sent again. */
  overdue(now: number): string[] {
    const late = [...this.#open].filter(([, { at }]) => now - at >= ASKS_WITHIN_MS);
    for (const [element, { told }] of late) if (told >= TELLS) this.#open.delete(element);
    return late.filter(([, { told }]) => told < TELLS).map(([element]) => element);
  }
}
