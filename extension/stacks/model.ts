/** What the Stacks view shows: groups of threads that stand alike, their frames, who they are. */

import { type Plain, plain } from '../../agent/api/plain';
import type { Frame } from '../../agent/api/stacks';
import { type GroupedThread, type StackGroup, titleOf } from '../../agent/client/stacks';

/** More rows below one are of no help. */
const MOST_GROUPS = 500;
const MOST_THREADS = 2_000;

export interface Row {
  id: string;
  label: Plain;
  description: Plain;
  /** A ThemeIcon's name. */
  icon: string;
  /** For a screen reader. */
  spoken: Plain;
  /** Words that the menus ask for. */
  context: 'group' | 'frame' | 'threads' | 'thread' | 'note';
  fold: 'none' | 'open' | 'closed';
  /** Of a frame: where it stands, as its compiler was told. */
  source?: { path: string; line: number };
  /** Of a thread: what a debugger is to be attached to. */
  process?: { job: string; pid: number };
}

export interface Rows {
  rows: ReadonlyMap<string, Row>;
  /** The ids below an id; '' is the root. */
  children: ReadonlyMap<string, readonly string[]>;
}

export const NO_ROWS: Rows = { rows: new Map(), children: new Map() };

/** @param nameOf a job's name by its id @param notes what could not be read, in people's words */
export function stackRows(
  groups: readonly StackGroup[],
  nameOf: (job: string) => string,
  notes: readonly string[],
): Rows {
  const rows = new Map<string, Row>();
  const children = new Map<string, string[]>();
  const add = (parent: string, row: Row) => {
    rows.set(row.id, row);
    const siblings = children.get(parent) ?? [];
    siblings.push(row.id);
    children.set(parent, siblings);
  };
  for (const [index, group] of groups.slice(0, MOST_GROUPS).entries()) {
    const id = `group:${index}`;
    add('', groupRow(id, group));
    for (const [level, frame] of group.stack.entries()) add(id, frameRow(`${id}/frame:${level}`, frame));
    const threads = `${id}/threads`;
    add(id, threadsRow(threads, group.threads));
    const sorted = [...group.threads].sort(inOrder(nameOf)).slice(0, MOST_THREADS);
    for (const thread of sorted)
      add(threads, threadRow(`${id}/thread:${thread.job}.${thread.tid}`, thread, nameOf));
    const rest = group.threads.length - sorted.length;
    if (rest > 0) add(threads, noteRow(`${id}/more`, `and ${rest} more`));
  }
  if (groups.length > MOST_GROUPS) add('', noteRow('more', `and ${groups.length - MOST_GROUPS} more stacks`));
  for (const [index, note] of notes.entries()) add('', noteRow(`note:${index}`, note));
  return { rows, children };
}

export function parentRow({ children }: Rows, id: string): string | undefined {
  for (const [parent, ids] of children) if (ids.includes(id)) return parent || undefined;
  return undefined;
}

const inOrder = (nameOf: (job: string) => string) => (a: GroupedThread, b: GroupedThread) =>
  nameOf(a.job).localeCompare(nameOf(b.job)) || a.job.localeCompare(b.job) || a.pid - b.pid || a.tid - b.tid;

const count = (number: number, what: string) => `${number} ${what}${number === 1 ? '' : 's'}`;
const processesOf = (threads: readonly GroupedThread[]) =>
  new Set(threads.map(({ job, pid }) => `${job}.${pid}`)).size;

function groupRow(id: string, { stack, threads }: StackGroup): Row {
  const many = `of ${count(processesOf(threads), 'process').replace(/sss$/, 'sses')}`;
  return {
    id,
    label: plain(`${threads.length} in ${titleOf(stack)}`),
    description: plain(many),
    icon: 'layers',
    spoken: plain(`${count(threads.length, 'thread')} ${many} in ${titleOf(stack)}`),
    context: 'group',
    fold: 'closed',
  };
}

function frameRow(id: string, { function: name, file, line, own }: Frame): Row {
  const at = file === null ? '' : `${file.split('/').at(-1)}${line === null ? '' : `:${line}`}`;
  return {
    id,
    label: plain(name),
    description: plain(at),
    icon: own ? 'debug-stackframe' : 'debug-stackframe-dot',
    spoken: plain(`Frame ${name}${at ? `, ${at}` : ''}`),
    context: 'frame',
    fold: 'none',
    ...(file?.startsWith('/') && line !== null ? { source: { path: file, line } } : {}),
  };
}

const threadsRow = (id: string, { length }: readonly GroupedThread[]): Row => ({
  id,
  label: plain(length === 1 ? 'Thread' : 'Threads'),
  description: plain(length === 1 ? '' : String(length)),
  icon: 'list-tree',
  spoken: plain(count(length, 'thread')),
  context: 'threads',
  fold: 'closed',
});

function threadRow(id: string, { job, pid, tid, name }: GroupedThread, nameOf: (job: string) => string): Row {
  const where = pid === tid ? `process ${pid}` : `process ${pid}, thread ${tid}`;
  return {
    id,
    label: plain(name || String(tid)),
    description: plain(`${pid}.${tid} · ${nameOf(job)}`),
    icon: 'server-process',
    spoken: plain(`Thread ${name} of ${nameOf(job)}, ${where}`),
    context: 'thread',
    fold: 'none',
    process: { job, pid },
  };
}

const noteRow = (id: string, text: string): Row => ({
  id,
  label: plain(text),
  description: plain(''),
  icon: 'info',
  spoken: plain(text),
  context: 'note',
  fold: 'none',
});
