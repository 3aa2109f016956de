/** `godwit top` as lines of a terminal: the nodes, the jobs, and a line for questions and messages. */
import { age } from '../../api/figures';
import type { Job, WindowSize } from '../../api/model';
import { printable } from '../../api/text';
import { type Column, commandLine, figure, size, table } from '../text';
import { NODE_COLUMNS } from '../verbs/nodes';
import { stateText } from '../verbs/ps';
import { chosenIn, jobsOf, nodesOf, type Pane, type Top } from './state';

const REVERSE = '\x1b[7m';
const BOLD = '\x1b[1m';
const PLAIN = '\x1b[0m';

/** An address is nothing to look at all day. */
const NODES = NODE_COLUMNS.filter(({ title }) => title !== 'ADDRESS');

/** @param whither where jobs go that are moving, by their ids */
const jobColumns = (whither: ReadonlyMap<string, string>): Column<Job>[] => [
  { title: 'ID', cell: ({ id }) => id },
  { title: 'NAME', cell: ({ name }) => name },
  { title: 'USER', cell: ({ user }) => user },
  {
    title: 'STATE',
    cell: (job) => (job.pinned ? `${stateText(job)}, pinned` : stateText(job)),
  },
  {
    title: 'NODE',
    cell: ({ id, node, queued }) => (queued ? '' : whither.has(id) ? `${node} > ${whither.get(id)}` : node),
  },
  { title: 'CPU', cell: ({ cpu }) => figure(cpu), figure: true },
  { title: 'MEMORY', cell: ({ rss }) => size(rss), figure: true },
  { title: 'MOVES', cell: ({ migrations }) => String(migrations), figure: true },
  { title: 'COMMAND', cell: ({ command }) => commandLine(command) },
];

const KEYS =
  'm migrate  p pin, unpin  k end  Tab nodes, jobs  d drain, undrain  b balance  < > sort by  r reverse  a ended too  q quit';

/** Of a pane: its titles and one row. */
const LEAST_LINES = 2;
/** What is not rows: the first line, the empty one between the panes, the last two. */
const FIXED_LINES = 4;

/** Jobs are asked for each second where some live, and less often in a large cluster: up to this nothing is said of it. */
const CURRENT_MS = 5_000;

/** Exactly as many lines as the terminal has; the panes share what is left. */
export function frame(top: Top, { rows, columns }: WindowSize): string[] {
  const room = Math.max(2 * LEAST_LINES, rows - FIXED_LINES);
  const wanted = nodesOf(top).length + 1;
  const ofNodes = Math.min(Math.max(LEAST_LINES, wanted), Math.floor(room / 2));
  const moves = new Map((top.snapshot?.moves ?? []).map(({ job, to }) => [job, to]));
  const lines = [
    cut(head(top), columns),
    ...pane(top, 'nodes', NODES, nodesOf(top), { lines: ofNodes, columns }),
    '',
    ...pane(top, 'jobs', jobColumns(moves), jobsOf(top), { lines: room - ofNodes, columns }),
    cut(lastLine(top), columns),
    cut(KEYS, columns),
  ];
  return lines.slice(0, rows);
}

/** How many jobs a page has. */
export const pageOf = (top: Top, { rows }: WindowSize): number =>
  Math.max(1, rows - FIXED_LINES - Math.min(nodesOf(top).length + 1, Math.floor(rows / 2)) - 1);

const cut = (line: string, columns: number) => printable(line).slice(0, columns);

function head({ snapshot, away }: Top): string {
  if (!snapshot) return away ? `no agent answers: ${away}` : 'asking the agent…';
  const up = snapshot.nodes.filter(({ state }) => state === 'up').length;
  const living = snapshot.jobs.filter(({ state }) => state !== 'ended' && state !== 'lost');
  const queued = living.filter((job) => job.queued).length;
  const waiting = queued > 0 ? `, ${queued} queued` : '';
  const at = new Date(snapshot.time).toTimeString().slice(0, 8);
  const { jobsAgeMs = 0 } = snapshot;
  const late = jobsAgeMs > CURRENT_MS ? ` (some as of ${age(jobsAgeMs)} ago)` : '';
  const old = away ? `; as it was then, for no agent answers: ${away}` : '';
  const jobs = `${living.length - queued} jobs${waiting}${late}`;
  return `${up} of ${snapshot.nodes.length} nodes up, ${jobs}, ${at}${old}`;
}

function pane<Row>(
  top: Top,
  which: Pane,
  columns: Column<Row>[],
  rows: Row[],
  room: { lines: number; columns: number },
): string[] {
  const { by, descending } = top.sort[which];
  const marked = columns.map((column) =>
    column.title === by ? { ...column, title: `${by}${descending ? '▾' : '▴'}` } : column,
  );
  const [titles, ...lines] = table(marked, rows, room.columns).split('\n') as [string, ...string[]];
  const chosen = chosenIn(top, which);
  const shown = room.lines - 1;
  const first = Math.max(0, Math.min(chosen - Math.floor(shown / 2), lines.length - shown));
  const isActive = top.pane === which;
  const styled = lines.slice(first, first + shown).map((line, index) => {
    const isChosen = isActive && first + index === chosen;
    return isChosen ? `${REVERSE}${line.padEnd(room.columns)}${PLAIN}` : line;
  });
  const blank = Array.from({ length: Math.max(0, shown - styled.length) }, () => '');
  return [`${BOLD}${titles}${PLAIN}`, ...styled, ...blank];
}

function lastLine({ question, message }: Top): string {
  if (question?.of === 'migrate')
    return `move ${question.job} to (a node, home or best; Tab completes): ${question.typed}_`;
  if (question?.of === 'drain')
    return `drain ${question.node}: its jobs leave, and none comes? y, or any other key`;
  if (question?.of === 'end') return `end ${question.job} with SIGTERM? y, or any other key`;
  return message;
}
