/** Migration Timeline: where each job has been, and how it got there. */
import './timeline.css';
import { z } from 'zod';
import { element, Parts, setText } from '../elements';
import { type Emptiness, emptyState, noCluster } from '../empty';
import { meetHost } from '../host';
import { type TimelineMessage, ToTimeline } from '../messages';
import { Axis } from './axis';
import { type Controlled, Controls } from './controls';
import { LaneRow, type LaneView } from './lane';
import { type Mark, marksOf } from './marks';
import { NodeLooks } from './nodes';
import { Choice, type Range, rangeOf } from './range';
import { type Lane, lanesOf, type Time } from './stays';
import { Tooltip } from './tooltip';

const TimelineState = z.object({ choice: Choice });

/** How often what runs grows. */
const TICK_MS = 1_000;

const noJobs: Emptiness = {
  sentence:
    'No job has been launched yet. Each job gets a lane here: where it is, where it was, and every move.',
  commands: [{ command: 'godwit.launchJob', title: 'Launch Job…' }],
};

class Timeline implements Controlled {
  private readonly looks = new NodeLooks();
  private readonly tooltip = new Tooltip();
  private readonly axis = new Axis();
  private readonly controls = new Controls(this);
  private readonly legend = element('ul', { class: 'legend', 'aria-label': 'Nodes' });
  private readonly notice = element('p', { class: 'notice', role: 'status', hidden: true });
  private readonly lanes = element('ul', { class: 'lanes', 'aria-label': 'Jobs, newest first' });
  private readonly leftOut = element('p', { class: 'left-out' });
  private readonly chart = element(
    'div',
    { class: 'chart' },
    this.axis.root,
    this.axis.lines,
    this.lanes,
    this.leftOut,
  );
  private readonly head = element(
    'header',
    {},
    element('h1', { class: 'unseen' }, 'Migration Timeline'),
    this.controls.root,
    this.legend,
  );
  private readonly main = element('main', {}, this.chart);
  private readonly host = meetHost({
    messages: ToTimeline,
    state: TimelineState,
    onMessage: (message) => (message.type === 'reveal' ? this.reveal(message.job) : this.show(message)),
  });
  private readonly empties = {
    cluster: emptyState(noCluster, this.host),
    jobs: emptyState(noJobs, this.host),
  };
  private readonly rows = new Parts<LaneView, LaneRow>(
    this.lanes,
    ({ job }) => job.id,
    () => this.makeRow(),
  );
  private choice: Choice = this.host.kept?.choice ?? { kind: 'recent' };
  private message: TimelineMessage | undefined;
  /** This page's clock when the message came, by which time goes on from the cluster's. */
  private heardAt = 0;
  private known: Lane[] = [];

  start(): void {
    document.body.append(
      this.head,
      this.notice,
      this.main,
      ...Object.values(this.empties),
      this.tooltip.root,
    );
    this.controls.listen(this.main);
    new ResizeObserver(() => this.place()).observe(this.chart);
    setInterval(() => this.tick(), TICK_MS);
    this.main.addEventListener('scroll', () => this.tooltip.hide());
  }

  get range(): Range {
    return rangeOf(this.choice, this.known, this.now);
  }

  get trackWidth(): number {
    return Math.max(1, this.axis.lines.clientWidth);
  }

  shareAt(clientX: number): number {
    return (clientX - this.axis.lines.getBoundingClientRect().left) / this.trackWidth;
  }

  choose(choice: Choice): void {
    this.choice = choice;
    this.host.keep({ choice });
    this.place();
  }

  private show(message: TimelineMessage): void {
    this.message = message;
    this.heardAt = performance.now();
    this.looks.learn(message.nodes);
    const lanes = new Map(lanesOf(message.history).map((lane) => [lane.job, lane]));
    for (const { stays } of lanes.values()) this.looks.learn(stays.map(({ node }) => node));
    const views = message.jobs.flatMap((job): LaneView[] => {
      const lane = lanes.get(job.id);
      return lane ? [{ job, marks: marksOf(lane, message.moves), now: message.now }] : [];
    });
    this.known = views.map(({ job }) => lanes.get(job.id)!);
    this.rows.show(views);
    const seen = new Set(
      this.known.flatMap(({ stays, moves }) => [
        ...stays.map(({ node }) => node),
        ...moves.map(({ to }) => to),
      ]),
    );
    this.legend.replaceChildren(...this.looks.legend(seen));
    this.showWhole(message, views.length > 0);
    this.place();
  }

  private showWhole({ connected, leftOut, problem }: TimelineMessage, any: boolean): void {
    this.empties.cluster.hidden = connected || any || problem !== null;
    this.empties.jobs.hidden = !connected || any;
    this.head.hidden = this.main.hidden = !any;
    const said = [
      connected || !any ? '' : 'No agent answers; this is its last answer.',
      problem ?? '',
    ].filter(Boolean);
    this.notice.hidden = said.length === 0 || (!any && problem === null);
    setText(this.notice, said.join(' '));
    this.leftOut.hidden = leftOut === 0;
    setText(this.leftOut, `${leftOut} older ${leftOut === 1 ? 'job is' : 'jobs are'} not shown.`);
  }

  private get now(): Time {
    const { message } = this;
    if (!message) return Date.now();
    return message.connected ? message.now + (performance.now() - this.heardAt) : message.now;
  }

  /** Nothing moves while what is shown lies in the past. */
  private tick(): void {
    const { range, now } = this;
    if (this.message?.connected && !document.hidden && now >= range.from && range.from < range.until)
      this.place();
  }

  private place(): void {
    const { range, now, trackWidth } = this;
    this.controls.show(this.choice);
    this.axis.place(range, now, trackWidth);
    for (const row of this.rows.all()) {
      row.place(range, now, trackWidth);
      for (const { root, mark } of row.parts) this.tooltip.refresh(root, mark, now);
    }
  }

  private makeRow(): LaneRow {
    return new LaneRow(this.looks, {
      onPoint: (anchor, mark, byKeyboard) => {
        if (byKeyboard) this.bringIntoRange(mark);
        this.tooltip.show(anchor, mark, this.now);
      },
      onLeave: () => this.tooltip.leave(),
      onOpen: (job) => this.host.send({ type: 'show-console', job }),
    });
  }

  /** What the keyboard walks to is shown, also if it lies outside of the range. */
  private bringIntoRange({ from, until }: Mark): void {
    const { range, now } = this;
    const end = until ?? now;
    if (end >= range.from && from <= range.until) return;
    const half = (range.until - range.from) / 2;
    this.choose({ kind: 'free', from: from - half, until: from + half });
  }

  private reveal(job: string): void {
    const row = this.rows.get(job);
    row?.root.scrollIntoView({ block: 'nearest' });
    for (const each of this.rows.all()) each.root.classList.toggle('wanted', each === row);
  }
}

new Timeline().start();
