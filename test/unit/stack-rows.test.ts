/** What the Stacks view makes of groups of threads. */
import { describe, expect, it } from 'vitest';
import type { Frame } from '../../agent/api/stacks';
import type { StackGroup } from '../../agent/client/stacks';
import { parentRow, type Rows, stackRows } from '../../extension/stacks/model';
import { pickedProcess, processesIn, processPicked } from '../../extension/stacks/processes';

const frame = (name: string, more: Partial<Frame> = {}): Frame => ({
  ...{ function: name, file: '/src/ranks.c', line: 8, own: true },
  ...more,
});
const thread = (tid: number, pid = 2, job = 'aaaaaaaaaa') => ({ job, pid, tid, name: `t${tid}` });
const group = (name: string, ...threads: StackGroup['threads']): StackGroup => ({
  stack: [frame('pause', { own: false, file: './pause.c' }), frame(name), frame('main', { line: null })],
  threads,
});
const names = (job: string) => `name-${job[0]}`;

function read({ rows, children }: Rows, id: string): string[] {
  return (children.get(id) ?? []).map((child) => {
    const { label, description } = rows.get(child)!;
    return `${label} | ${description}`;
  });
}

describe('the Stacks view', () => {
  const rows = stackRows(
    [group('exchange', thread(5, 2), thread(9, 3, 'bbbbbbbbbb'), thread(4, 2)), group('solve', thread(7))],
    names,
    ['process 5 of job b is not shown: it stands in a debugger'],
  );

  it('has a row a group, and one for each note', () => {
    expect(read(rows, '')).toEqual([
      '3 in exchange() | of 2 processes',
      '1 in solve() | of 1 process',
      'process 5 of job b is not shown: it stands in a debugger | ',
    ]);
  });

  it('has the frames of a group and then its threads, in order', () => {
    const [first] = rows.children.get('')!;
    expect(read(rows, first!)).toEqual([
      'pause | pause.c:8',
      'exchange | ranks.c:8',
      'main | ranks.c',
      'Threads | 3',
    ]);
    const threads = rows.children.get(first!)!.at(-1)!;
    expect(read(rows, threads)).toEqual(['t4 | 2.4 · name-a', 't5 | 2.5 · name-a', 't9 | 3.9 · name-b']);
    expect(rows.children.get(threads)!.map((id) => rows.rows.get(id)!.process)).toEqual([
      { job: 'aaaaaaaaaa', pid: 2 },
      { job: 'aaaaaaaaaa', pid: 2 },
      { job: 'bbbbbbbbbb', pid: 3 },
    ]);
    for (const id of rows.rows.keys())
      if (id.startsWith('group:0/thread:')) expect(parentRow(rows, id)).toBe(threads);
  });

  it('leads to the sources that have a path and a line', () => {
    const [first] = rows.children.get('')!;
    const sources = rows.children.get(first!)!.map((id) => rows.rows.get(id)!.source);
    expect(sources).toEqual([undefined, { path: '/src/ranks.c', line: 8 }, undefined, undefined]);
  });

  it('shows names of others as text', () => {
    const hostile = stackRows(
      [group('$(alert) [x](command:quit)\n\u202e', { ...thread(2), name: '$(bug)\u001b[2J' })],
      () => '$(trash)',
      ['$(error) [y](command:z)'],
    );
    for (const { label, description, spoken } of hostile.rows.values())
      for (const text of [label, description, spoken]) {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them is to be there
        expect(text).not.toMatch(/\$\(|\]\(|[\u0000-\u001f\u202e]/);
      }
  });

  it('is bounded', () => {
    const groups = Array.from({ length: 700 }, (_, index) => group(`f${index}`, thread(2)));
    const many = Array.from({ length: 5_000 }, (_, index) => thread(index + 2));
    const all = stackRows([group('wide', ...many), ...groups], names, []);
    expect(read(all, '').at(-1)).toBe('and 201 more stacks | ');
    const threads = all.children.get('group:0')!.at(-1)!;
    expect(all.children.get(threads)).toHaveLength(2_001);
    expect(read(all, threads).at(-1)).toBe('and 3000 more | ');
  });
});

describe('the processes of a job', () => {
  const standing = (name: string, ...threads: [pid: number, tid: number][]) => ({
    frames: [frame('pause', { own: false }), frame(name)],
    threads: threads.map(([pid, tid]) => ({ pid, tid, name: `t${tid}` })),
  });

  it('are listed with where each main thread stands, and those that can’t be read', () => {
    const stacks = [standing('exchange', [7, 9], [2, 2]), standing('solve', [7, 7])];
    const unread = [
      { pid: 4, tid: null, why: 'debugged' as const },
      { pid: 2, tid: 3, why: 'late' as const },
    ];
    expect(processesIn({ stacks, unread })).toEqual([
      { pid: 2, name: 't2', threads: 1, where: 'in exchange' },
      { pid: 4, name: '', threads: 0, where: 'debugged already' },
      { pid: 7, name: 't7', threads: 2, where: 'in solve' },
    ]);
  });

  it('are picked for a launch.json as one text', () => {
    expect(processPicked(pickedProcess('aaaaaaaaaa', 17))).toEqual({ job: 'aaaaaaaaaa', process: 17 });
    for (const other of ['aaaaaaaaaa', 'my/job', '', undefined, 'aaaaaaaaaa/'])
      expect(processPicked(other)).toBeUndefined();
  });
});
