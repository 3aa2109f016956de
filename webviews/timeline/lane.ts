/** One job: its head, and a track with its marks. */
import { commandLine, exitText } from '../../agent/api/figures';
import { element, Parts, setAttribute, setText } from '../elements';
import type { TimelineJob } from '../messages';
import { inWords, type Mark } from './marks';
import type { NodeLooks } from './nodes';
import type { Range } from './range';
import type { Time } from './stays';

export interface LaneView {
  job: TimelineJob;
  marks: Mark[];
  now: Time;
}

export interface LaneCallbacks {
  onPoint(anchor: HTMLElement, mark: Mark, byKeyboard: boolean): void;
  onLeave(): void;
  onOpen(job: string): void;
}

/** Marks of moves nearer than this to the one before are drawn narrow. */
const CROWDED_PX = 14;

export class LaneRow {
  private readonly name = element('button', { type: 'button', class: 'name', title: 'Show its console' });
  private readonly state = element('span', { class: 'state' });
  private readonly track = element('div', { class: 'track', role: 'list' });
  readonly root = element(
    'li',
    { class: 'lane' },
    element('div', { class: 'head' }, this.name, this.state),
    this.track,
  );
  private readonly marks: Parts<Mark, MarkPart>;
  private view: LaneView | undefined;

  constructor(looks: NodeLooks, { onPoint, onLeave, onOpen }: LaneCallbacks) {
    this.marks = new Parts(
      this.track,
      ({ key }) => key,
      () => new MarkPart(looks),
    );
    this.name.addEventListener('click', () => this.view && onOpen(this.view.job.id));
    const point = (event: Event) => {
      const part = this.partAt(event.target);
      if (part) onPoint(part.root, part.mark, event.type === 'focusin');
    };
    this.track.addEventListener('pointerover', point);
    this.track.addEventListener('focusin', point);
    this.track.addEventListener('pointerout', onLeave);
    this.track.addEventListener('focusout', onLeave);
    this.track.addEventListener('keydown', (event) => this.walk(event));
  }

  update(view: LaneView): void {
    this.view = view;
    const { job, marks } = view;
    setText(this.name, job.name);
    setText(this.state, stateText(job));
    this.root.dataset.job = job.id;
    this.root.dataset.state = job.exit && job.exit.exit !== 0 ? 'failed' : job.state;
    setAttribute(this.state, 'title', `${commandLine(job.command)} · ${job.id}, home ${job.home}`);
    setAttribute(this.track, 'aria-label', `${job.name}, ${stateText(job)}`);
    this.marks.show(marks);
    this.keepReachable();
  }

  /** Puts each mark where its time is. `width` is the track's, in pixels. */
  place(range: Range, now: Time, width: number): void {
    let before = Number.NEGATIVE_INFINITY;
    for (const part of this.marks.all()) {
      part.place(range, now);
      if (part.mark.kind !== 'move') continue;
      const x = part.middle(range, now) * width;
      part.root.classList.toggle('crowded', x - before < CROWDED_PX);
      before = x;
    }
  }

  get parts(): Iterable<MarkPart> {
    return this.marks.all();
  }

  /** The whole lane is one stop of the Tab key; arrows walk along it. */
  private walk(event: KeyboardEvent): void {
    if (event.shiftKey || event.ctrlKey || event.metaKey || event.altKey) return;
    const parts = this.inOrder();
    const here = parts.findIndex(({ root }) => root === event.target);
    const steps: Record<string, number> = {
      ArrowLeft: here - 1,
      ArrowRight: here + 1,
      Home: 0,
      End: parts.length - 1,
    };
    const next = parts[steps[event.key] ?? -1];
    if (here < 0 || !next) return;
    event.preventDefault();
    for (const part of parts) part.root.tabIndex = part === next ? 0 : -1;
    next.root.focus();
  }

  private keepReachable(): void {
    const parts = this.inOrder();
    if (parts.some(({ root }) => root.tabIndex === 0)) return;
    const last = parts.findLast(({ mark }) => mark.kind === 'move') ?? parts.at(-1);
    if (last) last.root.tabIndex = 0;
  }

  private inOrder(): MarkPart[] {
    return (this.view?.marks ?? []).flatMap(({ key }) => this.marks.get(key) ?? []);
  }

  private partAt(target: EventTarget | null): MarkPart | undefined {
    const root = target instanceof Element ? target.closest('.mark') : null;
    return [...this.marks.all()].find((part) => part.root === root);
  }
}

function stateText({ state, node, exit }: TimelineJob): string {
  if (state === 'ended') return exit ? (exit.signal ?? `exit ${exitText(exit)}`) : 'ended';
  return state === 'lost' ? 'lost' : `${state} on ${node}`;
}

export class MarkPart {
  private readonly label = element('span', { class: 'label' });
  readonly root = element('div', { class: 'mark', role: 'listitem', tabindex: -1 });
  mark!: Mark;

  constructor(private readonly looks: NodeLooks) {}

  update(mark: Mark): void {
    this.mark = mark;
    const { root } = this;
    if (mark.until !== null) setAttribute(root, 'aria-label', inWords(mark, mark.until));
    root.dataset.kind = mark.kind;
    if (mark.kind === 'stay') {
      if (!this.label.isConnected) root.replaceChildren(this.label);
      setText(this.label, mark.stay.node);
      this.looks.dress(root, mark.stay.node);
      setAttribute(root, 'data-open', mark.until === null);
    } else if (mark.kind === 'move') {
      if (root.childElementCount === 0)
        root.append(
          element('span', { class: 'span' }),
          element('span', { class: 'frozen' }),
          element('span', { class: 'glyph' }),
        );
      root.dataset.outcome = mark.move.outcome;
    } else root.dataset.how = mark.end.lost ? 'lost' : mark.end.exit?.exit === 0 ? 'well' : 'badly';
  }

  place(range: Range, now: Time): void {
    const { mark, root } = this;
    const until = mark.until ?? now;
    const share = (time: Time) => (time - range.from) / (range.until - range.from);
    if (mark.until === null) setAttribute(root, 'aria-label', inWords(mark, now));
    root.hidden = until < range.from || mark.from > range.until;
    if (root.hidden) return;
    // Clipped to the range: a bar that begins before it still shows its label.
    const left = Math.max(0, share(mark.from));
    const right = Math.min(1, share(until));
    root.style.left = percent(left);
    root.style.width = percent(Math.max(0, right - left));
    if (mark.kind !== 'move') return;
    const { frozen } = mark.move;
    const within = (time: Time) => (right > left ? (share(time) - left) / (right - left) : 0.5);
    const [from, to] = frozen
      ? [Math.max(0, within(frozen.from)), Math.min(1, within(frozen.until))]
      : [0, 0];
    root.style.setProperty('--frozen-from', percent(from));
    root.style.setProperty('--frozen-width', percent(Math.max(0, to - from)));
    setAttribute(root, 'data-frozen', frozen !== null);
    // Of a long one only part may be shown; its sign stays in that part.
    root.style.setProperty('--middle', percent(Math.min(1, Math.max(0, within(this.center(now))))));
  }

  /** Where on the track the mark's sign is, as a share of its width. */
  middle(range: Range, now: Time): number {
    return (this.center(now) - range.from) / (range.until - range.from);
  }

  private center(now: Time): Time {
    const { mark } = this;
    const frozen = mark.kind === 'move' ? mark.move.frozen : null;
    return frozen ? (frozen.from + frozen.until) / 2 : (mark.from + (mark.until ?? now)) / 2;
  }
}

const percent = (share: number): string => `${(share * 100).toFixed(4)}%`;
