/** Whose turn it is in the queue, and whether a node has room: pure functions. */
import { describe, expect, it } from 'vitest';
import { Gate, PROMISE_MS } from '../../agent/daemon/balance/gate';
import type { KnownNode, NodeSaid } from '../../agent/daemon/balance/known';
import { afterTurn, fairOrder, unclaimed } from '../../agent/daemon/balance/queue';
import { RecentWants } from '../../agent/daemon/balance/recent-wants';
import { isLargeEnough, type Need, noRoom, type Taken } from '../../agent/daemon/balance/room';

const GIB = 2 ** 30;
const ANY: Need = { cpus: null, memory: null };
const NOTHING: Taken = { cpus: 0, idleCpus: 0, wantedCpus: 0, idleMemory: 0 };
const node = (more: Partial<KnownNode> = {}): KnownNode => ({
  ...{ name: 'node1', draining: false, cpus: 2, speed: 1, demand: 0, steady: 0 },
  ...{ memTotal: 16 * GIB, memFree: 12 * GIB, ...more },
});
const waiting = (...jobs: string[]) =>
  jobs.map((job) => ({ job, user: job.startsWith('a') ? 1 : job.startsWith('b') ? 2 : 3 }));
const order = (jobs: string[], served: number[] = []) =>
  fairOrder(waiting(...jobs), served)
    .map(({ job }) => job)
    .join(' ');

describe('the order of the queue', () => {
  it('of one user is that in which they came', () => {
    expect(order(['a1', 'a2', 'a3'])).toBe('a1 a2 a3');
    expect(order([])).toBe('');
  });

  it('has users in turn, however many jobs one of them has', () => {
    expect(order(['a1', 'a2', 'a3', 'a4', 'b1', 'c1', 'b2'])).toBe('a1 b1 c1 a2 b2 a3 a4');
  });

  it('has who was served last come last, and who never was first', () => {
    expect(order(['a1', 'a2', 'b1', 'c1'], [2, 1])).toBe('c1 b1 a1 a2');
  });

  it('gives each of three users a third of the turns, by whatever the queue holds', () => {
    let queue = waiting(...Array.from({ length: 60 }, (_, n) => `a${n}`), 'b1', 'c1', 'b2', 'c2', 'b3', 'c3');
    let served: number[] = [];
    const turns: number[] = [];
    for (let turn = 0; turn < 9; turn++) {
      const [next] = fairOrder(queue, served);
      turns.push(next!.user);
      served = afterTurn(served, next!.user);
      queue = queue.filter((one) => one !== next);
    }
    for (const user of [1, 2, 3]) expect(turns.filter((one) => one === user)).toHaveLength(3);
    expect(served).toHaveLength(3);
  });

  it('lets no later job have a node for which an earlier one waits', () => {
    expect(unclaimed(['node1', 'node2'], new Set(['node1']))).toEqual(['node2']);
  });
});

describe('a node has room', () => {
  it('where a CPU is free, little things not counted', () => {
    expect(noRoom(node({ demand: 1.4 }), NOTHING, ANY)).toBeNull();
    expect(noRoom(node({ demand: 2 }), NOTHING, ANY)).toBe('cpus');
    // A slow machine is a machine of one CPU.
    expect(noRoom(node({ cpus: 0.5, demand: 0.3 }), NOTHING, ANY)).toBeNull();
    expect(noRoom(node({ cpus: 0.5, demand: 1 }), NOTHING, ANY)).toBe('cpus');
  });

  it('where what its jobs have reserved leaves room, used or not', () => {
    const half: Need = { cpus: 0.5, memory: null };
    const taken = { ...NOTHING, cpus: 1.5, idleCpus: 1.5 };
    expect(noRoom(node(), taken, half)).toBeNull();
    expect(noRoom(node(), { ...taken, cpus: 2, idleCpus: 2 }, half)).toBe('cpus');
    // Two reserved and asleep, on two CPUs: others find none free either.
    expect(noRoom(node(), { ...taken, cpus: 2, idleCpus: 2 }, ANY)).toBe('cpus');
  });

  it('where a job that wants more than its limit does not count for more', () => {
    const throttled = { ...NOTHING, cpus: 0.5, idleCpus: 0.5 - 3, wantedCpus: 0.5 };
    expect(noRoom(node({ cpus: 1, demand: 3 }), throttled, { cpus: 0.5, memory: null })).toBeNull();
  });

  it('where the memory that is asked for is free, and not promised to others', () => {
    expect(noRoom(node(), NOTHING, { cpus: null, memory: 8 * GIB })).toBeNull();
    expect(noRoom(node(), { ...NOTHING, idleMemory: 4 * GIB }, { cpus: null, memory: 8 * GIB })).toBe(
      'memory',
    );
  });

  it('never where it is too small', () => {
    expect(noRoom(node(), NOTHING, { cpus: 4, memory: null })).toBe('too-small');
    expect(isLargeEnough(node(), { cpus: 2, memory: 15 * GIB })).toBe(false);
    expect(isLargeEnough(node(), { cpus: 2, memory: 14 * GIB })).toBe(true);
  });
});

describe('what a job has wanted lately', () => {
  it('is the most of some looks, one CPU while nothing is known, and goes with the job', () => {
    const wants = new RecentWants();
    expect(wants.saw('a', 0, 0)).toBe(1);
    expect(wants.saw('a', 0.2, 1_000)).toBe(1);
    expect(wants.saw('a', 0.2, 5_500)).toBe(0.2);
    expect([wants.saw('a', 3, 6_000), wants.saw('a', 0, 10_900), wants.saw('a', 0, 11_000)]).toEqual([
      3, 3, 0,
    ]);
    wants.keep([]);
    expect(wants.saw('a', 0, 12_000)).toBe(1);
  });
});

describe('a gate', () => {
  const own: NodeSaid = { ...node(), ageMs: 0, up: true };
  const begin = (gate: Gate, job: string, now = 0, need = ANY, said = own) =>
    gate.begin(job, need, said, NOTHING, now);

  it('promises each CPU once, until who was promised it has had the time', () => {
    const gate = new Gate();
    expect([begin(gate, 'a'), begin(gate, 'b'), begin(gate, 'c')]).toEqual([null, null, 'cpus']);
    // Asked again, as the answer was lost.
    expect(begin(gate, 'b')).toBeNull();
    gate.withdrawn('a');
    expect(begin(gate, 'c')).toBeNull();
    expect(begin(gate, 'd', PROMISE_MS)).toBeNull();
  });

  it('counts one that has come until its figures show it', () => {
    const gate = new Gate();
    const small = { ...own, cpus: 1 };
    expect(begin(gate, 'a', 0, ANY, small)).toBeNull();
    gate.came('a', 0);
    expect(begin(gate, 'b', 500, ANY, small)).toBe('cpus');
    expect(begin(gate, 'b', 3_500, ANY, { ...small, demand: 1 })).toBe('cpus');
    expect(begin(gate, 'b', 3_500, ANY, small)).toBeNull();
  });

  it('adds up what is reserved by jobs that are about to begin', () => {
    const gate = new Gate();
    const need = { cpus: 1, memory: null };
    expect([1, 2, 3].map((job) => begin(gate, `${job}`, 0, need))).toEqual([null, null, 'cpus']);
  });

  it('lets a job move in while others begin, but none begin on a node that is drained', () => {
    const gate = new Gate();
    begin(gate, 'a');
    const asking = { job: 'm', demand: 0.1, memory: 0, worth: { stretch: 9, cost: 9 } };
    expect(gate.ask(asking, own, 0)).toEqual({ ok: true });
    expect(begin(gate, 'b', 0, ANY, { ...own, draining: true })).toBe('draining');
  });

  it('keeps no more promises than jobs can begin', () => {
    const gate = new Gate();
    const tiny = { cpus: 0.0001, memory: 0 };
    for (let n = 0; n < 1_000; n++) expect(begin(gate, `${n}`, 0, tiny)).toBeNull();
    expect(begin(gate, 'more', 0, tiny)).toBe('cpus');
  });
});
