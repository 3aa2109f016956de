/** What of time is shown: a choice of ranges, zooming and panning by buttons, keys, wheel and pointer. */
import { element } from '../elements';
import { type Choice, pan, type Range, SPANS, zoom } from './range';

/** One step of a button or a key. */
const ZOOM_STEP = 2;
const PAN_STEP = 0.25;
/** A wheel's delta in pixels, as a power of the zoom. */
const WHEEL_ZOOM = 0.002;

const OPTIONS: { label: string; choice: Choice }[] = [
  { label: 'Fit recent jobs', choice: { kind: 'recent' } },
  { label: 'Fit all jobs', choice: { kind: 'all' } },
  ...Object.entries(SPANS).map(([label, ms]) => ({
    label: `Last ${label}`,
    choice: { kind: 'last', ms } as const,
  })),
];

export interface Controlled {
  readonly range: Range;
  choose(choice: Choice): void;
  /** Where a pointer is along the tracks: 0 at their left, 1 at their right. */
  shareAt(clientX: number): number;
  readonly trackWidth: number;
}

export class Controls {
  private readonly select = element('select', { 'aria-label': 'Time shown' });
  private readonly free = element('option', { value: 'free', hidden: true }, 'Zoomed');
  readonly root = element('div', { class: 'controls', role: 'toolbar', 'aria-label': 'Time shown' });

  constructor(private readonly target: Controlled) {
    this.select.append(
      ...OPTIONS.map(({ label }, index) => element('option', { value: index }, label)),
      this.free,
    );
    this.select.addEventListener('change', () => {
      const option = OPTIONS[Number(this.select.value)];
      if (option) target.choose(option.choice);
    });
    this.root.append(
      this.select,
      this.button('−', 'Zoom out', () => this.zoom(ZOOM_STEP)),
      this.button('+', 'Zoom in', () => this.zoom(1 / ZOOM_STEP)),
      this.button('‹', 'Earlier', () => this.pan(-PAN_STEP)),
      this.button('›', 'Later', () => this.pan(PAN_STEP)),
    );
  }

  show(choice: Choice): void {
    const index = OPTIONS.findIndex((option) => JSON.stringify(option.choice) === JSON.stringify(choice));
    this.free.hidden = index >= 0;
    this.select.value = index >= 0 ? String(index) : 'free';
  }

  /** Wheel and pointer over the lanes, keys anywhere. */
  listen(surface: HTMLElement): void {
    surface.addEventListener('wheel', (event) => this.wheel(event), { passive: false });
    surface.addEventListener('pointerdown', (event) => this.drag(surface, event));
    document.addEventListener('keydown', (event) => this.key(event));
  }

  private button(text: string, label: string, act: () => void): HTMLElement {
    const button = element('button', { type: 'button', 'aria-label': label, title: label }, text);
    button.addEventListener('click', act);
    return button;
  }

  private zoom(factor: number, share = 0.5): void {
    this.look(zoom(this.target.range, factor, share));
  }

  private pan(share: number): void {
    this.look(pan(this.target.range, share));
  }

  private look(range: Range): void {
    this.target.choose({ kind: 'free', ...range });
  }

  private wheel(event: WheelEvent): void {
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      this.zoom(Math.exp(event.deltaY * WHEEL_ZOOM), this.target.shareAt(event.clientX));
      return;
    }
    const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
    // An upright wheel scrolls the lanes.
    if (Math.abs(sideways) <= Math.abs(event.shiftKey ? 0 : event.deltaY)) return;
    event.preventDefault();
    this.pan(sideways / this.target.trackWidth);
  }

  private drag(surface: HTMLElement, down: PointerEvent): void {
    const onTrack = down.target instanceof Element && down.target.closest('.track');
    if (down.button !== 0 || !onTrack) return;
    const begin = this.target.range;
    const abort = new AbortController();
    const end = () => abort.abort();
    const move = (event: PointerEvent) => {
      surface.setPointerCapture(down.pointerId);
      this.look(pan(begin, (down.clientX - event.clientX) / this.target.trackWidth));
    };
    surface.addEventListener('pointermove', move, { signal: abort.signal });
    surface.addEventListener('pointerup', end, { signal: abort.signal });
    surface.addEventListener('pointercancel', end, { signal: abort.signal });
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target === this.select) return;
    const acts: Record<string, () => void> = {
      '+': () => this.zoom(1 / ZOOM_STEP),
      '=': () => this.zoom(1 / ZOOM_STEP),
      '-': () => this.zoom(ZOOM_STEP),
      '0': () => this.target.choose({ kind: 'recent' }),
    };
    if (event.shiftKey) {
      acts.ArrowLeft = () => this.pan(-PAN_STEP);
      acts.ArrowRight = () => this.pan(PAN_STEP);
    }
    const act = acts[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }
}
