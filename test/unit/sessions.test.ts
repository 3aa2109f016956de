import { describe, expect, it } from 'vitest';
import { strandedOf } from '../../agent/daemon/preflight/sessions';

/** `inner parent session`, by the job's own numbers; the node's are a thousand more. */
const processes = (...rows: [inner: number, parent: number, session: number][]) =>
  rows.map(([inner, parent, session]) => ({
    ...{ pid: 1000 + inner, inner, parent: 1000 + parent, session },
    ...{ state: 'S', threads: 1, comm: 'x', rss: 0, cpuUsec: 0 },
  }));
const stranded = (...rows: [number, number, number][]) =>
  strandedOf(processes([1, 0, 1], ...rows)).map(({ inner }) => inner);

describe('sessions that can be brought back', () => {
  it.each([
    [
      'a shell and its pipeline',
      [
        [2, 1, 2],
        [3, 2, 2],
        [4, 2, 2],
      ],
    ],
    [
      'a daemon whose leader has ended',
      [
        [2, 1, 2],
        [5, 1, 4],
        [6, 5, 4],
      ],
    ],
    [
      'a child from before its parent became the leader of another',
      [
        [2, 1, 2],
        [3, 2, 3],
        [4, 3, 2],
      ],
    ],
    [
      'an orphan of PID 1 whose leader lives',
      [
        [2, 1, 2],
        [3, 2, 3],
        [5, 1, 3],
      ],
    ],
    [
      'a grandchild below one that has left, when those above have not',
      [
        [2, 1, 4],
        [3, 2, 3],
        [5, 3, 4],
      ],
    ],
  ] as [string, [number, number, number][]][])('%s', (_what, rows) => {
    expect(stranded(...rows)).toEqual([]);
  });
});

describe('sessions that can not', () => {
  it.each([
    [
      'an orphan that its subreaper has',
      [
        [2, 1, 2],
        [5, 2, 4],
      ],
      [5],
    ],
    [
      'a child whose parent has left',
      [
        [3, 1, 3],
        [5, 3, 4],
      ],
      [5],
    ],
    [
      'two children of one parent, of different sessions',
      [
        [2, 1, 2],
        [3, 2, 3],
        [4, 3, 2],
        [5, 3, 9],
      ],
      [5],
    ],
  ] as [string, [number, number, number][], number[]][])('%s', (_what, rows, found) => {
    expect(stranded(...rows)).toEqual(found);
  });
});
