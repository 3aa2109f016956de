/** `godwit top`: what it shows, and what its keys do. */
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { isPrintable } from '../../agent/api/text';
import { frame } from '../../agent/command/top/frame';
import { keysIn } from '../../agent/command/top/keys';
import { type Command, FIRST, jobsOf, press, type Top } from '../../agent/command/top/state';

const SIZE = { rows: 14, columns: 100 };
const node = (name: string, load = 0) => ({
  ...{ name, address: '10.0.0.1', state: 'up' as const, cpus: 4, speed: 1, load },
  ...{ memTotal: 8e9, memFree: 4e9, jobs: 1 },
});
const job = (id: string, more: object = {}) => ({
  ...{ id, name: id, command: ['./sim', '100'], user: 'ann', state: 'running' as const, home: 'node1' },
  ...{ node: 'node1', pid: 2, address: null, cpu: 0.5, rss: 3e6, migrations: 0, debugged: false },
  ...{ pinned: false, exit: null, started: '2026-11-29T10:00:00.000Z', ended: null, epoch: 0, ...more },
});
const JOBS = [job('aaaaaaaaaa', { cpu: 1 }), job('bbbbbbbbbb', { cpu: 3 }), job('cccccccccc', { cpu: 2 })];
const top = (more: Partial<Top> = {}): Top => ({
  ...FIRST,
  snapshot: {
    time: '2026-11-29T10:00:00.000Z',
    nodes: [node('node10'), node('node2', 2), node('node1')],
    jobs: [...JOBS, job('dddddddddd', { state: 'ended', exit: { exit: 0, signal: null } })],
    moves: [],
  },
  ...more,
});

/** All keys, one after the other. */
function typed(first: Top, text: string): { top: Top; commands: Command[] } {
  const commands: Command[] = [];
  let now = first;
  for (const key of keysIn(text)) {
    const next = press(now, key);
    now = next.top;
    if (next.command) commands.push(next.command);
  }
  return { top: now, commands };
}
const bare = (lines: string[]) => lines.map((line) => stripVTControlCharacters(line).trimEnd());

describe('what is shown', () => {
  it('is nodes and jobs, in as many lines as there are', () => {
    const lines = bare(frame(top(), SIZE));
    expect(lines).toHaveLength(SIZE.rows);
    expect(lines[0]).toMatch(/^3 of 3 nodes up, 3 jobs, \d\d:00:00$/);
    expect(lines[1]).toMatch(/^NAME▴ +STATE +CPUS/);
    expect(lines.slice(2, 5).map((line) => line.split(' ')[0])).toEqual(['node1', 'node2', 'node10']);
    expect(lines[6]).toMatch(/^ID .*CPU▾/);
    expect(lines.slice(7, 10).map((line) => line.split(' ')[0])).toEqual([
      'bbbbbbbbbb',
      'cccccccccc',
      'aaaaaaaaaa',
    ]);
    expect(lines.at(-1)).toMatch(/^m migrate/);
  });

  it('has what is queued with its place, on no node, and counts it apart', () => {
    const first = top();
    const queued = { position: 4, since: '2026-11-29T10:00:00.000Z', why: 'no CPU is free' };
    const waiting = job('eeeeeeeeee', { state: 'starting', queued, cpu: 9 });
    const lines = bare(frame({ ...first, snapshot: { ...first.snapshot!, jobs: [...JOBS, waiting] } }, SIZE));
    expect(lines[0]).toMatch(/^3 of 3 nodes up, 3 jobs, 1 queued, /);
    expect(lines[7]).toMatch(/^eeeeeeeeee +eeeeeeeeee +ann +queued 4 +- +9 /);
  });

  it('says how old the oldest word of the jobs is, where that is of note', () => {
    const { snapshot } = top();
    const headOf = (jobsAgeMs: number) =>
      bare(frame(top({ snapshot: { ...snapshot!, jobsAgeMs } }), SIZE))[0];
    expect(headOf(4_000)).toMatch(/nodes up, 3 jobs, \d\d:/);
    expect(headOf(40_000)).toMatch(/nodes up, 3 jobs \(some as of 40 s ago\), \d\d:/);
  });

  it('fits every terminal, with the chosen row in sight', () => {
    const jobs = Array.from({ length: 300 }, (_, index) => job(`${1000000000 + index}`));
    const many = top({ snapshot: { ...top().snapshot!, jobs }, chosen: { nodes: null, jobs: '1000000250' } });
    for (const size of [SIZE, { rows: 50, columns: 30 }, { rows: 6, columns: 10 }, { rows: 1, columns: 1 }]) {
      const lines = frame(many, size);
      expect(lines.length).toBeLessThanOrEqual(size.rows);
      for (const line of bare(lines)) expect(line.length).toBeLessThanOrEqual(size.columns);
      if (size.rows > 8) expect(lines.find((line) => line.startsWith('\x1b[7m'))).toContain('1000000250');
    }
  });

  it('says where a job is going, and that nothing newer is known', () => {
    const { snapshot } = top();
    const moves = [
      {
        ...{ job: 'aaaaaaaaaa', from: 'node1', to: 'node2', epoch: 1 },
        phase: 'sending' as const,
        since: '',
      },
    ];
    const lines = bare(frame(top({ snapshot: { ...snapshot!, moves }, away: 'it has ended' }), SIZE));
    expect(lines.find((line) => line.startsWith('aaaaaaaaaa'))).toContain('node1 > node2');
    expect(lines[0]).toContain('as it was then, for no agent answers: it has ended');
    expect(bare(frame({ ...FIRST, away: 'no' }, SIZE))[0]).toBe('no agent answers: no');
  });

  it('has no control characters of others', () => {
    const jobs = [job('aaaaaaaaaa', { name: 'a\x1b[2Jb', command: ['\x1b]0;x\x07'] })];
    const lines = frame(top({ snapshot: { ...top().snapshot!, jobs } }), SIZE);
    for (const line of bare(lines)) expect(isPrintable(line)).toBe(true);
    expect(lines.join('')).not.toContain('\x1b[2J');
  });
});

describe('keys', () => {
  it('choose rows, and what is chosen stays so when the order changes', () => {
    const { top: down } = typed(top(), '\x1b[B');
    expect(down.chosen.jobs).toBe('cccccccccc');
    expect(typed(down, 'r').top.chosen.jobs).toBe('cccccccccc');
    expect(typed(down, '\x1b[B\x1b[B\x1b[B').top.chosen.jobs).toBe('aaaaaaaaaa');
    expect(typed(down, '\x1b[H').top.chosen.jobs).toBe('bbbbbbbbbb');
    expect(typed(top(), '\t\x1b[B').top).toMatchObject({ pane: 'nodes', chosen: { nodes: 'node2' } });
  });

  it('sort by each column, both ways', () => {
    const ids = (now: Top) => jobsOf(now).map(({ id }) => id[0]);
    expect(ids(typed(top(), 'r').top)).toEqual(['a', 'c', 'b']);
    const titles = new Set<string>();
    let now = top();
    for (let count = 0; count < 9; count++) {
      titles.add(now.sort.jobs.by);
      now = typed(now, '>').top;
    }
    expect(titles.size).toBe(9);
    expect(now.sort.jobs.by).toBe('CPU');
    expect(typed(now, '<>').top.sort).toEqual(now.sort);
  });

  it('show ended jobs too', () => {
    expect(jobsOf(typed(top(), 'a').top).map(({ id }) => id)).toContain('dddddddddd');
  });

  it('move the chosen job to the node that is named', () => {
    const asked = typed(top(), 'm');
    expect(bare(frame(asked.top, SIZE)).at(-2)).toMatch(/^move bbbbbbbbbb to .*: _$/);
    expect(typed(asked.top, 'node2\r').commands).toEqual([
      { do: 'migrate', job: 'bbbbbbbbbb', node: 'node2' },
    ]);
    expect(typed(asked.top, 'nx\x7f\t10\r').commands).toEqual([
      { do: 'migrate', job: 'bbbbbbbbbb', node: 'node10' },
    ]);
    expect(typed(asked.top, 'h\t\r').commands).toMatchObject([{ node: 'home' }]);
    expect(typed(asked.top, 'node2\x1b').top.question).toBeNull();
    expect(typed(asked.top, 'q').top.question).toMatchObject({ typed: 'q' });
  });

  it('end a job only after a yes, and pin it', () => {
    expect(typed(top(), 'ky').commands).toEqual([{ do: 'end', job: 'bbbbbbbbbb' }]);
    expect(typed(top(), 'kn').commands).toEqual([]);
    expect(typed(top(), 'p').commands).toEqual([{ do: 'pin', job: 'bbbbbbbbbb', pinned: true }]);
  });

  it('drain the chosen node after a yes, and undrain one that is drained', () => {
    expect(typed(top(), 'd').top.message).toMatch(/no node is chosen: Tab/);
    expect(typed(top(), '\t\x1b[Bdy').commands).toEqual([{ do: 'drain', node: 'node2', draining: true }]);
    expect(typed(top(), '\tdn').commands).toEqual([]);
    const drained = { ...node('node1'), state: 'draining' as const };
    const now = top({ snapshot: { ...top().snapshot!, nodes: [drained] } });
    expect(typed(now, '\td').commands).toEqual([{ do: 'drain', node: 'node1', draining: false }]);
    expect(typed(now, 'b').commands).toEqual([{ do: 'balance' }]);
  });

  it('do nothing to a job that is over, or where there is none', () => {
    const over = top({ all: true, chosen: { nodes: null, jobs: 'dddddddddd' } });
    for (const now of [over, FIRST]) {
      const { top: after, commands } = typed(now, 'mkp');
      expect(commands).toEqual([]);
      expect(after.message).toBe('no job that runs is chosen');
    }
  });

  it('quit, also out of a question', () => {
    expect(typed(top(), 'q').commands).toEqual([{ do: 'quit' }]);
    expect(typed(top(), 'm\x03').commands).toEqual([{ do: 'quit' }]);
  });
});
