/** The axis above the lanes, and the lines that it draws through them. */
import { element } from '../elements';
import { day } from './moments';
import { type Range, ticks } from './range';
import type { Time } from './stays';

/** Room for a label with milliseconds. */
const LABEL_PX = 100;

export class Axis {
  private readonly labels = element('div', { class: 'labels' });
  private readonly day = element('span', { class: 'day' });
  readonly root = element('div', { class: 'axis', 'aria-hidden': 'true' }, this.day, this.labels);
  readonly lines = element('div', { class: 'lines', 'aria-hidden': 'true' });
  private readonly now = element('span', { class: 'now' });

  place(range: Range, now: Time, width: number): void {
    const found = ticks(range, Math.max(2, Math.floor(width / LABEL_PX)));
    const left = (at: Time) => `${(((at - range.from) / (range.until - range.from)) * 100).toFixed(4)}%`;
    this.day.textContent = day(range.until);
    // One that would be cut off says something else than it should.
    const whole = found.filter(
      ({ at }) => ((range.until - at) / (range.until - range.from)) * width >= LABEL_PX * 0.75,
    );
    this.labels.replaceChildren(...whole.map(({ at, label }) => put(element('span', {}, label), left(at))));
    this.now.hidden = now < range.from || now > range.until;
    this.lines.replaceChildren(
      ...found.map(({ at }) => put(element('span'), left(at))),
      put(this.now, left(now)),
    );
  }
}

function put(target: HTMLElement, left: string): HTMLElement {
  target.style.left = left;
  return target;
}
