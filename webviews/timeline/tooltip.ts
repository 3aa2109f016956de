/** What is said of a mark when it is pointed at or has the keyboard's focus. */
import { size, span } from '../../agent/api/figures';
import type { MoveReport } from '../../agent/api/model';
import { element } from '../elements';
import { endText, type Mark, OUTCOMES } from './marks';
import { moment } from './moments';
import type { Move, Time } from './stays';

/** Long enough to move the pointer into it. */
const GRACE_MS = 200;
const DISTANCE_PX = 6;

export class Tooltip {
  readonly root = element('div', { class: 'tooltip', role: 'tooltip', hidden: true });
  private anchor: HTMLElement | undefined;
  private leaving: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    this.root.addEventListener('pointerenter', () => clearTimeout(this.leaving));
    this.root.addEventListener('pointerleave', () => this.leave());
    document.addEventListener('keydown', ({ key }) => {
      if (key === 'Escape') this.hide();
    });
  }

  show(anchor: HTMLElement, mark: Mark, now: Time): void {
    clearTimeout(this.leaving);
    this.anchor = anchor;
    this.root.replaceChildren(...content(mark, now));
    this.root.hidden = false;
    this.place();
  }

  /** What it says may have changed while it is shown. */
  refresh(anchor: HTMLElement, mark: Mark, now: Time): void {
    if (this.anchor === anchor && !this.root.hidden) this.show(anchor, mark, now);
  }

  leave(): void {
    clearTimeout(this.leaving);
    this.leaving = setTimeout(() => this.hide(), GRACE_MS);
  }

  hide(): void {
    clearTimeout(this.leaving);
    this.root.hidden = true;
    this.anchor = undefined;
  }

  /** Below its mark where there is room, else above; never outside of the window. */
  private place(): void {
    if (!this.anchor) return;
    const mark = this.anchor.getBoundingClientRect();
    const { width, height } = this.root.getBoundingClientRect();
    const view = document.documentElement;
    const left = mark.left + Math.min(mark.width, view.clientWidth) / 2 - width / 2;
    const below = mark.bottom + DISTANCE_PX;
    const above = mark.top - DISTANCE_PX - height;
    const top = below + height <= view.clientHeight || above < 0 ? below : above;
    this.root.style.left = `${Math.max(4, Math.min(left, view.clientWidth - width - 4))}px`;
    this.root.style.top = `${Math.max(4, Math.min(top, view.clientHeight - height - 4))}px`;
  }
}

function content(mark: Mark, now: Time): HTMLElement[] {
  switch (mark.kind) {
    case 'stay': {
      const { node, from, until } = mark.stay;
      return [
        title(node),
        facts([
          ['from', moment(from)],
          ['until', until === null ? 'now' : moment(until)],
          ['for', span(Math.max(0, (until ?? now) - from))],
        ]),
      ];
    }
    case 'move':
      return moveContent(mark.move, mark.phase, now);
    case 'end': {
      const { at, lost } = mark.end;
      return [title(endText(mark.end)), ...(lost ? [reason(lost)] : []), facts([['at', moment(at)]])];
    }
    default:
      return mark satisfies never;
  }
}

function moveContent(move: Move, phase: string | null, now: Time): HTMLElement[] {
  const { from, to, epoch, began, ended, outcome, report } = move;
  const head = title(`${from} → ${to}`);
  head.append(element('span', { class: `outcome ${outcome}` }, phase ?? OUTCOMES[outcome].toLowerCase()));
  const said = move.reason ? [reason(move.reason)] : [];
  const when: Fact[] = [
    ['began', moment(began)],
    ['epoch', String(epoch)],
  ];
  if (report) return [head, ...said, ...stack(report), phases(report), facts([...when, ...figures(report)])];
  const took: Fact = [ended === null ? 'for' : 'took', span(Math.max(0, (ended ?? now) - began))];
  return [head, ...said, facts([...when, took])];
}

const title = (text: string): HTMLElement => element('p', { class: 'title' }, text);
const reason = (text: string): HTMLElement => element('p', { class: 'reason' }, text);

const FROZEN = 'frozen';

type Fact = [name: string, value: string];

const facts = (given: Fact[]): HTMLElement =>
  element(
    'dl',
    {},
    ...given.flatMap(([name, value]) => {
      const key = name === FROZEN ? [element('i', { class: 'key', 'aria-hidden': 'true' })] : [];
      return [element('dt', {}, ...key, name), element('dd', {}, value)];
    }),
  );

const figures = ({ freezeMs, totalMs, bytes, transfer }: MoveReport): Fact[] => [
  [FROZEN, span(freezeMs)],
  ['total', span(totalMs)],
  ['carried', `${size(bytes)} (${transfer})`],
];

const BETWEEN = 'between';

/** The phases, and what the agents needed between them. */
function shares({ phases, totalMs }: MoveReport): [phase: string, ms: number][] {
  const named = Object.entries(phases);
  const rest = totalMs - named.reduce((sum, [, ms]) => sum + ms, 0);
  return rest > 0 ? [...named, [BETWEEN, rest]] : named;
}

/** One bar of the phases, and below it how much of them the job was frozen: up to the end of the thaw. */
function stack(report: MoveReport): HTMLElement[] {
  const parts = shares(report);
  const sum = (of: typeof parts) => of.reduce((ms, [, more]) => ms + more, 0);
  const total = sum(parts) || 1;
  const thawed = sum(parts.filter(([phase]) => phase !== BETWEEN));
  const frozen = Math.min(report.freezeMs, thawed);
  const stretch = element('div', { class: 'stretch', 'aria-hidden': 'true' });
  stretch.style.marginLeft = `${((thawed - frozen) / total) * 100}%`;
  stretch.style.width = `${(frozen / total) * 100}%`;
  const bar = element('div', { class: 'stack', 'aria-hidden': 'true' });
  for (const [phase, ms] of parts) {
    const part = element('span', { 'data-phase': phase });
    part.style.flexGrow = String(ms / total);
    bar.append(part);
  }
  return [bar, stretch];
}

function phases(report: MoveReport): HTMLElement {
  const rows = shares(report).map(([phase, ms]) =>
    element(
      'tr',
      {},
      element('th', { scope: 'row' }, element('i', { 'data-phase': phase, 'aria-hidden': 'true' }), phase),
      element('td', {}, span(ms)),
    ),
  );
  return element('table', {}, element('tbody', {}, ...rows));
}
