/** What is to be passed on: of each member the latest statement, those first that were told least often. */
import type { Statement } from '../../api/membership';

/** In one message. More would wait longer to be read than to be sent. */
const MOST_STATEMENTS = 24;

interface Item {
  statement: Statement;
  told: number;
}

export class News {
  /** By the member that it is about: there are never more than members. */
  readonly #items = new Map<string, Item>();

  add(statement: Statement): void {
    this.#items.set(statement[0], { statement, told: 0 });
  }

  forget(node: string): void {
    this.#items.delete(node);
  }

  get size(): number {
    return this.#items.size;
  }

  /** As many as fit, each counted as told once more; one that was told `most` times is told no more. */
  take(most: number, fits: (statement: Statement) => boolean): Statement[] {
    if (this.#items.size === 0) return [];
    const order = [...this.#items.values()].sort((one, other) => one.told - other.told);
    const taken: Statement[] = [];
    for (const item of order.slice(0, MOST_STATEMENTS)) {
      if (!fits(item.statement)) break;
      taken.push(item.statement);
      if (++item.told >= most) this.#items.delete(item.statement[0]);
    }
    return taken;
  }
}
