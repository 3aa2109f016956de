/** What `godwit top` shows and what its keys do, as pure functions: a key gives the next state, and what is to be done. */
import type { ClusterSnapshot } from '../../api/client-events';
import type { Job, Node } from '../../api/model';
import { compareNames } from '../../api/text';
import type { Key } from './keys';

export type Pane = 'nodes' | 'jobs';

export interface Sort {
  /** The column's title. */
  by: string;
  descending: boolean;
}

/** A question in the last line. */
export type Question =
  | { of: 'migrate'; job: string; typed: string }
  | { of: 'end'; job: string }
  | { of: 'drain'; node: string };

export interface Top {
  snapshot: ClusterSnapshot | null;
  /** Why there is no newer one. */
  away: string | null;
  pane: Pane;
  /** The row that keys act on, by its id or name; none before there are rows. */
  chosen: Record<Pane, string | null>;
  sort: Record<Pane, Sort>;
  /** Ended jobs too. */
  all: boolean;
  question: Question | null;
  /** What has come of the last command, or is under way. */
  message: string;
}

export type Command =
  | { do: 'quit' }
  | { do: 'migrate'; job: string; node: string }
  | { do: 'pin'; job: string; pinned: boolean }
  | { do: 'end'; job: string }
  | { do: 'drain'; node: string; draining: boolean }
  /** On for all nodes where it is off for one, else off. */
  | { do: 'balance' };

export const FIRST: Top = {
  snapshot: null,
  away: null,
  pane: 'jobs',
  chosen: { nodes: null, jobs: null },
  sort: { nodes: { by: 'NAME', descending: false }, jobs: { by: 'CPU', descending: true } },
  all: false,
  question: null,
  message: '',
};

type Value = string | number;
/** By the titles of their columns, in their order. */
const OF_NODES: Record<string, (node: Node) => Value> = {
  NAME: ({ name }) => name,
  STATE: ({ state }) => state,
  CPUS: ({ cpus }) => cpus,
  SPEED: ({ speed }) => speed,
  LOAD: ({ load }) => load,
  MEMORY: ({ memTotal }) => memTotal,
  FREE: ({ memFree }) => memFree,
  JOBS: ({ jobs }) => jobs,
};
const OF_JOBS: Record<string, (job: Job) => Value> = {
  ID: ({ id }) => id,
  NAME: ({ name }) => name,
  USER: ({ user }) => user,
  STATE: ({ state }) => state,
  NODE: ({ node }) => node,
  CPU: ({ cpu }) => cpu,
  MEMORY: ({ rss }) => rss,
  MOVES: ({ migrations }) => migrations,
  STARTED: ({ started }) => started,
};
const SORTED: Record<Pane, string[]> = { nodes: Object.keys(OF_NODES), jobs: Object.keys(OF_JOBS) };

const inOrder = (one: Value, other: Value) =>
  typeof one === 'number' && typeof other === 'number' ? one - other : compareNames(`${one}`, `${other}`);

/** @param idOf tells equal ones apart, so that rows keep their places */
function sorted<T>(
  rows: readonly T[],
  value: (row: T) => Value,
  idOf: (row: T) => string,
  { descending }: Sort,
) {
  const sign = descending ? -1 : 1;
  return [...rows].sort(
    (one, other) => sign * inOrder(value(one), value(other)) || compareNames(idOf(one), idOf(other)),
  );
}

export const nodesOf = ({ snapshot, sort }: Top): Node[] =>
  sorted(snapshot?.nodes ?? [], OF_NODES[sort.nodes.by]!, ({ name }) => name, sort.nodes);

const isOver = ({ state }: Job) => state === 'ended' || state === 'lost';

export const jobsOf = ({ snapshot, sort, all }: Top): Job[] => {
  const shown = (snapshot?.jobs ?? []).filter((job) => all || !isOver(job));
  return sorted(shown, OF_JOBS[sort.jobs.by]!, ({ id }) => id, sort.jobs);
};

const rowsOf = (top: Top, pane: Pane): string[] =>
  pane === 'nodes' ? nodesOf(top).map(({ name }) => name) : jobsOf(top).map(({ id }) => id);

/** The chosen row of a pane; the first where the one that was chosen has gone. */
export function chosenIn(top: Top, pane: Pane): number {
  const { [pane]: chosen } = top.chosen;
  return Math.max(0, chosen === null ? 0 : rowsOf(top, pane).indexOf(chosen));
}

const chosenNode = (top: Top): Node | undefined => nodesOf(top)[chosenIn(top, 'nodes')];
const chosenJob = (top: Top): Job | undefined => jobsOf(top)[chosenIn(top, 'jobs')];

/** @param page rows that a pane shows */
export function press(top: Top, key: Key, page = 10): { top: Top; command?: Command } {
  if (key.name === 'interrupt') return { top, command: { do: 'quit' } };
  if (top.question) return answer(top, top.question, key);
  const step = STEPS[key.name];
  if (step) return { top: choose(top, step(page)) };
  if (key.name === 'tab') return { top: { ...top, pane: top.pane === 'jobs' ? 'nodes' : 'jobs' } };
  return key.name === 'character' ? letter(top, key.text) : { top };
}

const STEPS: Partial<Record<Key['name'], (page: number) => number>> = {
  up: () => -1,
  down: () => 1,
  'page-up': (page) => -page,
  'page-down': (page) => page,
  home: () => Number.NEGATIVE_INFINITY,
  end: () => Number.POSITIVE_INFINITY,
};

function choose(top: Top, by: number): Top {
  const { pane, chosen } = top;
  const rows = rowsOf(top, pane);
  const at = Math.min(rows.length - 1, Math.max(0, chosenIn(top, pane) + by));
  return { ...top, chosen: { ...chosen, [pane]: rows[at] ?? null } };
}

function letter(top: Top, text: string): { top: Top; command?: Command } {
  const { pane, sort } = top;
  const sortedBy = (next: Sort): Top => ({ ...top, sort: { ...sort, [pane]: next } });
  switch (text) {
    case 'q':
      return { top, command: { do: 'quit' } };
    case 'a':
      return { top: { ...top, all: !top.all } };
    case 'r':
      return { top: sortedBy({ ...sort[pane], descending: !sort[pane].descending }) };
    case '<':
      return { top: sortedBy(beside(pane, sort[pane], -1)) };
    case '>':
      return { top: sortedBy(beside(pane, sort[pane], 1)) };
    case 'm':
    case 'p':
    case 'k':
      return onJob(top, text);
    case 'd':
      return onNode(top);
    case 'b':
      return { top, command: { do: 'balance' } };
    default:
      return { top };
  }
}

/** Figures are looked at for the largest, names for the first. */
const LARGEST_FIRST = new Set(['CPUS', 'SPEED', 'LOAD', 'MEMORY', 'FREE', 'JOBS', 'CPU', 'MOVES', 'STARTED']);

function beside(pane: Pane, { by }: Sort, step: 1 | -1): Sort {
  const all = SORTED[pane];
  const next = all[(all.indexOf(by) + step + all.length) % all.length]!;
  return { by: next, descending: LARGEST_FIRST.has(next) };
}

function onJob(top: Top, key: 'm' | 'p' | 'k'): { top: Top; command?: Command } {
  const job = chosenJob(top);
  // What is chosen stays so when the order changes under a question.
  const held = { ...top, chosen: { ...top.chosen, jobs: job?.id ?? null } };
  if (!job || isOver(job)) return { top: { ...held, message: 'no job that runs is chosen' } };
  if (key === 'p') return { top: held, command: { do: 'pin', job: job.id, pinned: !job.pinned } };
  const question: Question =
    key === 'm' ? { of: 'migrate', job: job.id, typed: '' } : { of: 'end', job: job.id };
  return { top: { ...held, question, message: '' } };
}

/** A drained node is let go at once; which one is asked before its jobs leave it. */
function onNode(top: Top): { top: Top; command?: Command } {
  const node = top.pane === 'nodes' ? chosenNode(top) : undefined;
  if (!node) return { top: { ...top, message: 'no node is chosen: Tab goes to the nodes' } };
  const held = { ...top, chosen: { ...top.chosen, nodes: node.name } };
  if (node.state === 'draining')
    return { top: held, command: { do: 'drain', node: node.name, draining: false } };
  return { top: { ...held, question: { of: 'drain', node: node.name }, message: '' } };
}

function answer(top: Top, question: Question, key: Key): { top: Top; command?: Command } {
  const without = { ...top, question: null };
  if (key.name === 'escape') return { top: without };
  if (question.of !== 'migrate') {
    if (key.name !== 'character') return { top };
    return key.text === 'y' ? { top: without, command: meant(question) } : { top: without };
  }
  const typing = (typed: string) => ({ top: { ...top, question: { ...question, typed } } });
  const { typed, job } = question;
  switch (key.name) {
    case 'character':
      return typing(typed + key.text);
    case 'backspace':
      return typing(typed.slice(0, -1));
    case 'tab':
      return typing(completed(top, typed));
    case 'enter':
      return typed ? { top: without, command: { do: 'migrate', job, node: typed } } : { top: without };
    default:
      return { top };
  }
}

const meant = (question: Exclude<Question, { of: 'migrate' }>): Command =>
  question.of === 'end'
    ? { do: 'end', job: question.job }
    : { do: 'drain', node: question.node, draining: true };

/** As far as all that begin so have the same. */
function completed({ snapshot }: Top, typed: string): string {
  const names = [...(snapshot?.nodes ?? []).map(({ name }) => name), 'home', 'best'];
  const meant = names.filter((name) => name.startsWith(typed));
  if (meant.length === 0) return typed;
  const [first, ...others] = meant as [string, ...string[]];
  let length = first.length;
  while (!others.every((name) => name.startsWith(first.slice(0, length)))) length--;
  return first.slice(0, length);
}
