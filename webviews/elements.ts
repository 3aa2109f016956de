/** Building a document by hand. Texts are set as texts: nothing that a job is called can become markup. */
import { shortened } from '../agent/api/plain';
import { printable } from '../agent/api/text';

type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** An element with its attributes (`true` for an empty one; `false` and undefined for none) and children. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) setAttribute(made, name, value);
  made.append(...children.map((child) => (typeof child === 'string' ? shown(child) : child)));
  return made;
}

export function setAttribute(
  target: Element,
  name: string,
  value: string | number | boolean | undefined,
): void {
  if (value === undefined || value === false) target.removeAttribute(name);
  else target.setAttribute(name, value === true ? '' : shown(String(value)));
}

/** Only what changes is touched: a live text must not disturb selections or screen readers. */
export function setText(target: Element, text: string): void {
  const line = shown(text);
  if (target.textContent !== line) target.textContent = line;
}

/** Nothing in it is unseen, or turns the direction of what is beside it. */
const shown = (text: string): string => printable(shortened(text));

/**
 * Makes `parent` hold one part for each item, in their order. Parts live as long as an item has their key, so that
 * focus, hover and charts outlive each new snapshot.
 */
export class Parts<Item, Part extends { readonly root: HTMLElement; update(item: Item): void }> {
  private readonly parts = new Map<string, Part>();

  constructor(
    private readonly parent: HTMLElement,
    private readonly keyOf: (item: Item) => string,
    private readonly make: (item: Item) => Part,
    private readonly dispose: (part: Part) => void = () => {},
  ) {}

  show(items: readonly Item[]): void {
    const wanted = new Map(items.map((item) => [this.keyOf(item), item]));
    for (const [key, part] of this.parts) {
      if (wanted.has(key)) continue;
      this.dispose(part);
      part.root.remove();
      this.parts.delete(key);
    }
    let place = this.parent.firstElementChild;
    for (const [key, item] of wanted) {
      const part = this.parts.get(key) ?? this.add(key, item);
      part.update(item);
      if (part.root === place) place = place.nextElementSibling;
      else this.parent.insertBefore(part.root, place);
    }
  }

  get(key: string): Part | undefined {
    return this.parts.get(key);
  }

  all(): Iterable<Part> {
    return this.parts.values();
  }

  private add(key: string, item: Item): Part {
    const part = this.make(item);
    this.parts.set(key, part);
    return part;
  }
}
