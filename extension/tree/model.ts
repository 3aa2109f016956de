/** What the Cluster view shows, made of a snapshot alone. Elements are known by ids, so that selection and folds stay. */
import type { ClusterSnapshot, MoveUnderWay } from '../../agent/api/client-events';
import { commandLine, size, span } from '../../agent/api/figures';
import type { Job, Node } from '../../agent/api/model';
import { markdown, type Plain, plain } from '../../agent/api/plain';
import {
  arrayFigures,
  cpus,
  endText,
  isLeft,
  isOver,
  jobFigures,
  nodeFigures,
  PHASE_WORDS,
  STATE_WORDS,
  spokenJob,
  spokenNode,
} from '../cluster/descriptions';

/** Ended jobs, the latest first: as many as one looks back for. */
const ENDED_SHOWN = 20;

export interface Item {
  /** `node:node1`, `job:abcdefghij`, `array:abcdefghij`, `queue`, `ended` */
  id: string;
  label: Plain;
  description: Plain;
  /** A ThemeIcon's name and, where it has one, its colour. */
  icon: { name: string; color?: string };
  /** Markdown, made when it is shown. */
  tooltip: () => string;
  /** For a screen reader. */
  spoken: Plain;
  /** Words that the menus ask for. */
  context: string;
  /** Of a leaf: none. */
  fold: 'none' | 'open' | 'closed';
}

export interface Tree {
  items: ReadonlyMap<string, Item>;
  /** The ids below an id; '' is the root. */
  children: ReadonlyMap<string, readonly string[]>;
}

export const ROOT = '';
export const EMPTY: Tree = { items: new Map(), children: new Map() };

export const jobElement = (id: string) => `job:${id}`;
export const nodeElement = (name: string) => `node:${name}`;
export const arrayElement = (id: string) => `array:${id}`;
const QUEUE = 'queue';
const ENDED = 'ended';

/** The job, the array or the node of an element. */
export function meantBy(element: string): { job?: string; array?: string; node?: string } {
  const [, kind, name] = /^(job|array|node):(.+)$/.exec(element) ?? [];
  if (kind === 'job') return { job: name! };
  if (kind === 'array') return { array: name! };
  return kind === 'node' ? { node: name! } : {};
}

export function buildTree({ nodes, jobs, moves }: ClusterSnapshot): Tree {
  const items = new Map<string, Item>();
  const children = new Map<string, readonly string[]>();
  const add = (parent: string, made: Item[]) => {
    for (const item of made) items.set(item.id, item);
    children.set(
      parent,
      made.map(({ id }) => id),
    );
  };
  const moveOf = (job: Job) => moves.find((move) => move.job === job.id);
  const isShown = (job: Job) => !isOver(job) || moveOf(job) !== undefined;
  const living = jobs.filter(isShown).sort(oldestFirst);
  const over = jobs.filter((job) => !isShown(job)).sort(latestFirst);
  const onNode = ({ name }: Node) => living.filter(({ node, queued }) => node === name && !queued);
  const single = living.filter(({ array }) => !array);
  const queue = single.filter(({ queued }) => queued).sort(nextFirst);
  const arrays = arraysOf(living);
  add(ROOT, [
    ...nodes.map((node) => nodeItem(node, onNode(node))),
    ...arrays.map(arrayItem),
    ...(queue.length > 0 ? [queueItem(queue.length)] : []),
    ...(over.length > 0 ? [endedItem(over.length)] : []),
  ]);
  const shown = (job: Job) => jobItem(job, moveOf(job), isLeft(job, nodes));
  for (const node of nodes)
    add(
      nodeElement(node.name),
      onNode(node)
        .filter((job) => single.includes(job))
        .map(shown),
    );
  for (const { id, jobs: parts } of arrays) add(arrayElement(id), parts.map(shown));
  if (queue.length > 0) add(QUEUE, queue.map(shown));
  add(
    ENDED,
    over.slice(0, ENDED_SHOWN).map((job) => jobItem(job, undefined, false)),
  );
  return { items, children };
}

interface LivingArray {
  id: string;
  name: string;
  /** Those that live, in their order. */
  jobs: Job[];
}

function arraysOf(living: readonly Job[]): LivingArray[] {
  const arrays = new Map<string, LivingArray>();
  for (const job of living) {
    if (!job.array) continue;
    const { id, name } = job.array;
    const known = arrays.get(id) ?? { id, name, jobs: [] };
    known.jobs.push(job);
    arrays.set(id, known);
  }
  for (const { jobs } of arrays.values()) jobs.sort((a, b) => a.array!.index - b.array!.index);
  return [...arrays.values()].sort((a, b) => a.id.localeCompare(b.id));
}

const nextFirst = (a: Job, b: Job) => a.queued!.position - b.queued!.position;
/** A new job is the last of its node's, in whichever order nodes have answered. */
const oldestFirst = (a: Job, b: Job) => a.started.localeCompare(b.started) || a.id.localeCompare(b.id);
const latestFirst = (a: Job, b: Job) =>
  (b.ended ?? b.started).localeCompare(a.ended ?? a.started) || a.id.localeCompare(b.id);

/**
 * The elements to be drawn anew, with all that is below each; the root stands for the whole view. What is not seen
 * before it is asked for, a tooltip, does not count.
 */
export function changedElements(before: Tree, after: Tree): string[] {
  const changed: string[] = [];
  const visit = (id: string) => {
    const same = (one: unknown, other: unknown) => JSON.stringify(one) === JSON.stringify(other);
    if (!same(before.children.get(id) ?? [], after.children.get(id) ?? [])) {
      changed.push(id);
      return;
    }
    if (id !== ROOT && !same(before.items.get(id), after.items.get(id))) changed.push(id);
    for (const child of after.children.get(id) ?? []) visit(child);
  };
  visit(ROOT);
  return changed;
}

export function parentOf(tree: Tree, id: string): string | undefined {
  for (const [parent, ids] of tree.children) if (ids.includes(id)) return parent || undefined;
  return undefined;
}

function nodeItem(node: Node, jobs: Job[]): Item {
  const icon = {
    up: { name: 'server' },
    draining: { name: 'server', color: 'list.warningForeground' },
    suspect: { name: 'warning', color: 'list.warningForeground' },
    down: { name: 'error', color: 'list.errorForeground' },
  }[node.state];
  return {
    id: nodeElement(node.name),
    label: plain(node.name),
    description: plain(nodeFigures(node)),
    icon,
    tooltip: () => nodeTooltip(node, jobs.length),
    spoken: plain(spokenNode(node, jobs.length)),
    context: `node ${node.state}`,
    // A node that may get a job stays open, so that the job is seen to arrive.
    fold: 'open',
  };
}

/** Folded: its jobs are many, and its figures tell of all. */
const arrayItem = ({ id, name, jobs }: LivingArray): Item => ({
  id: arrayElement(id),
  label: plain(name),
  description: plain(arrayFigures(jobs)),
  icon: { name: 'layers' },
  tooltip: () =>
    `**${markdown(name)}** — ${markdown(arrayFigures(jobs))}\n\n${rows(
      row('Command', commandLine(jobs[0]!.command)),
      row('Id', id),
      row('Home', jobs[0]!.home),
    )}`,
  spoken: plain(`Array ${name}, ${arrayFigures(jobs)}`),
  context: 'array',
  fold: 'closed',
});

const queueItem = (count: number): Item => ({
  id: QUEUE,
  label: plain('Queued'),
  description: plain(String(count)),
  icon: { name: 'clock' },
  tooltip: () => 'Jobs that wait until a node has room, the next first',
  spoken: plain(`Queued jobs, ${count}`),
  context: 'queue-group',
  fold: 'closed',
});

const endedItem = (count: number): Item => ({
  id: ENDED,
  label: plain('Ended'),
  description: plain(String(count)),
  icon: { name: 'archive' },
  tooltip: () => 'Jobs that are over, the latest first',
  spoken: plain(`Ended jobs, ${count}`),
  context: 'ended-group',
  fold: 'closed',
});

function jobItem(job: Job, move: MoveUnderWay | undefined, left: boolean): Item {
  return {
    id: jobElement(job.id),
    label: plain(job.name),
    description: plain(`${partPlace(job, move)}${jobFigures(job, move)}`),
    icon: jobIcon(job, move),
    tooltip: () => jobTooltip(job, move),
    spoken: plain(spokenJob(job, move)),
    context: ['job', ...flags(job, move), ...(left ? ['left'] : [])].join(' '),
    fold: 'none',
  };
}

/** The rows of an array are under none of the nodes. */
const partPlace = ({ array, node, queued }: Job, move: MoveUnderWay | undefined): string =>
  array && !move && !queued ? `${node} · ` : '';

/**
 * `settled`: it lives, and nothing is being done to it. `abroad`: it could be sent home. `pinned` or `loose`. `queued`: it can
 * be ended, or pinned to the node where it will begin. Beside these
 * `left`: its home or its node does not answer.
 */
function flags(job: Job, move: MoveUnderWay | undefined): string[] {
  if (isOver(job)) return ['over'];
  if (job.queued) return ['queued', job.pinned ? 'pinned' : 'loose'];
  if (move || job.state === 'moving' || job.state === 'starting') return ['busy'];
  return ['settled', ...(job.node === job.home ? [] : ['abroad']), job.pinned ? 'pinned' : 'loose'];
}

function jobIcon(job: Job, move: MoveUnderWay | undefined): Item['icon'] {
  if (job.state === 'lost') return { name: 'error', color: 'list.errorForeground' };
  if (job.queued) return { name: 'clock' };
  if (move || job.state === 'moving' || job.state === 'starting') return { name: 'loading~spin' };
  if (job.state === 'ended') {
    return job.exit?.exit === 0
      ? { name: 'pass', color: 'testing.iconPassed' }
      : { name: 'circle-slash', color: 'testing.iconFailed' };
  }
  if (job.state === 'stopped') return { name: 'debug-pause', color: 'debugIcon.pauseForeground' };
  if (job.debugged) return { name: 'debug-alt', color: 'debugIcon.startForeground' };
  return { name: job.pinned ? 'pinned' : 'play-circle', color: 'charts.green' };
}

const row = (name: string, value: string) => `| ${name} | ${markdown(value)} |`;
const rows = (...lines: (string | false)[]) => ['| | |', '|:--|:--|', ...lines.filter(Boolean)].join('\n');

function nodeTooltip(node: Node, jobs: number): string {
  const head = `**${markdown(node.name)}** — ${node.state}`;
  if (node.state === 'down') return `${head}\n\nIts agent has not answered for a while.`;
  const used = node.memTotal - node.memFree;
  return `${head}\n\n${rows(
    row('Address', node.address),
    row('CPU', `${cpus(node.load)} of ${cpus(node.cpus)} in use by jobs`),
    row('Memory', `${size(used)} of ${size(node.memTotal)} in use`),
    row('Speed', `${node.speed} of the reference machine’s`),
    row('Jobs', String(jobs)),
  )}`;
}

function jobTooltip(job: Job, move: MoveUnderWay | undefined): string {
  const state = move ? `${move.from} → ${move.to}: ${PHASE_WORDS[move.phase]}` : describeState(job);
  const lasted = job.ended === null ? null : Date.parse(job.ended) - Date.parse(job.started);
  return `**${markdown(job.name)}** — ${markdown(state)}\n\n${rows(
    row('Command', commandLine(job.command)),
    row('Id', job.id),
    row('Home', job.home),
    job.queued !== undefined && row('Waits', job.queued.why),
    job.array !== undefined && row('Array', `${job.array.name}, ${job.array.index} of ${job.array.count}`),
    !job.queued && row(isOver(job) ? 'Was on' : 'Runs on', job.node),
    !isOver(job) && row('CPU', cpus(job.cpu)),
    !isOver(job) && row('Memory', size(job.rss)),
    row('Moves', String(job.migrations)),
    row(job.queued ? 'Queued' : 'Started', localTime(job.started)),
    lasted !== null && row('Took', span(lasted)),
  )}`;
}

function describeState(job: Job): string {
  if (job.state === 'ended') return `ended, ${endText(job)}`;
  if (job.queued) return `queued, number ${job.queued.position}`;
  const pinned = job.pinned ? ', pinned to its node' : job.balanced === false ? ', moves only when told' : '';
  return `${STATE_WORDS[job.state]}${job.debugged ? ', a debugger is attached' : ''}${pinned}`;
}

const localTime = (moment: string) => new Date(moment).toLocaleString();
