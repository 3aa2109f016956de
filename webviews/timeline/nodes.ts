/** What distinguishes the nodes: each has a colour and a pattern of its own, and keeps them. */
import { element } from '../elements';

/** Red is left out: it says that something went wrong. */
const COLORS = ['blue', 'green', 'purple', 'orange', 'yellow'];
/** With another period than the colours, so that twenty nodes differ in one of the two. */
const PATTERNS = 4;

export class NodeLooks {
  private readonly order: string[] = [];

  /** The cluster's nodes, and those that only the history knows. */
  learn(names: Iterable<string>): void {
    for (const name of names) if (!this.order.includes(name)) this.order.push(name);
  }

  dress(target: HTMLElement, node: string): void {
    const index = this.order.indexOf(node);
    if (index < 0) return;
    target.style.setProperty('--node', `var(--${COLORS[index % COLORS.length]})`);
    target.dataset.pattern = String(index % PATTERNS);
  }

  legend(shown: ReadonlySet<string>): HTMLElement[] {
    return this.order
      .filter((node) => shown.has(node))
      .map((node) => {
        const swatch = element('span', { class: 'swatch', 'aria-hidden': 'true' });
        this.dress(swatch, node);
        return element('li', {}, swatch, node);
      });
  }
}
