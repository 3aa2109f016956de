/** Clusters in a time of their own, whose homes decide by the agent's policy: what comes of it, and that it ends. */
import { describe, expect, it } from 'vitest';
import type { NodeSaid } from '../../agent/daemon/balance/known';
import { mixedNodes, onOneMachine, poisson } from '../support/balance-work';
import { BalanceWorld, type JobPlan, type NodePlan, type WorldPlan } from '../support/balance-world';
import { LONG } from '../support/long';
import { chance } from '../support/membership-world';

const GIB = 2 ** 30;
const MINUTE = 60_000;
const ENDLESS = 1e12;
/** By then each has heard of all. */
const BEGUN = 2_000;
const node = (more: Partial<NodePlan> = {}): NodePlan => ({ cpus: 1, speed: 1, memTotal: 16 * GIB, ...more });
const nodes = (count: number, more: Partial<NodePlan> = {}) =>
  Array.from({ length: count }, () => node(more));
const job = (home: number, more: Partial<JobPlan> = {}): JobPlan => ({
  ...{ at: BEGUN, home, work: ENDLESS, threads: 1, memory: GIB / 16, ...more },
});
const jobs = (count: number, more: Partial<JobPlan> = {}) =>
  Array.from({ length: count }, (_, n) => job(0, { at: BEGUN + n, ...more }));
const world = (plan: Partial<WorldPlan> & Pick<WorldPlan, 'nodes' | 'jobs'>) =>
  new BalanceWorld({ seed: 1, policy: 'balance', ageMs: 2_000, ...plan });
const counts = ({ machines }: BalanceWorld) => machines.map(({ tasks }) => tasks.size);
const moved = ({ moves }: BalanceWorld) => moves.length;

describe('jobs that all begin on one node', () => {
  it('and are not placed, spread by speed, and stay then', () => {
    const all = world({
      nodes: [0.8, 0.4, 0.2, 0.2].map((cpus) => node({ cpus })),
      jobs: jobs(24),
      policy: 'moves',
    });
    all.run(5 * MINUTE);
    const [first, ...others] = counts(all);
    expect(first).toBeGreaterThanOrEqual(10);
    expect(first).toBeLessThanOrEqual(15);
    expect(Math.min(...others)).toBeGreaterThanOrEqual(2);
    const before = moved(all);
    all.run(60 * MINUTE);
    expect(moved(all)).toBe(before);
    // None was moved about: each that is elsewhere has moved once.
    expect(before).toBeLessThanOrEqual(14);
  });

  it('and are placed, are never moved: a balanced cluster at rest makes no move', () => {
    const all = world({ nodes: nodes(15, { cpus: 2 }), jobs: jobs(30) });
    all.run(60 * MINUTE);
    expect(counts(all)).toEqual(Array.from({ length: 15 }, () => 2));
    expect(moved(all)).toBe(0);
  });
});

describe('a cluster at rest', () => {
  it.each(LONG ? [1, 2, 3] : [1])('of any nodes comes to rest, and makes no move any more (%i)', (seed) => {
    const random = chance(seed);
    const many = Array.from({ length: 120 }, () =>
      job(Math.floor(random() * 40), { threads: 1 + Math.floor(random() * 3), at: BEGUN + 1_000 * random() }),
    );
    const all = world({ seed, nodes: mixedNodes(40), jobs: many, policy: 'moves' });
    all.run(60 * MINUTE);
    const before = moved(all);
    expect(before).toBeGreaterThan(10);
    all.run(60 * MINUTE);
    expect(moved(all)).toBe(before);
  });
});

describe('two homes', () => {
  it('that choose one idle node at the same instant send it one job', () => {
    const all = world({
      nodes: nodes(3),
      jobs: [0, 0, 1, 1].map((home) => job(home)),
      policy: 'moves',
    });
    all.run(10 * MINUTE);
    expect(counts(all).sort()).toEqual([1, 1, 2]);
    expect(moved(all)).toBe(1);
  });

  it.each([1, 2, 3, 4, 5])('and fifty of them no more than it has CPUs for (%i)', (seed) => {
    const all = world({
      seed,
      nodes: [...nodes(50), node({ cpus: 8 })],
      jobs: Array.from({ length: 100 }, (_, n) => job(n % 50)),
      policy: 'moves',
    });
    all.run(20 * MINUTE);
    expect(counts(all)[50]).toBeGreaterThanOrEqual(7);
    expect(counts(all)[50]).toBeLessThanOrEqual(12);
    expect(all.moves.every(({ to }) => to === 'node51')).toBe(true);
  });
});

describe('a node that lies', () => {
  const lying = (lie: (truth: NodeSaid) => Partial<NodeSaid>) => (index: number, truth: NodeSaid) =>
    index === 2 ? { ...truth, ...lie(truth) } : truth;
  const hogs = [{ at: 0, node: 2, threads: 9, ms: ENDLESS }];

  it('saying that it is idle, gets few of our jobs, and they come away again', () => {
    const says = lying(() => ({ demand: 0, steady: 0, ageMs: 0 }));
    const all = world({ nodes: nodes(3), jobs: jobs(6), hogs, says, policy: 'moves' });
    all.run(10 * MINUTE);
    expect(counts(all)[2]).toBeLessThanOrEqual(1);
    expect(all.moves.filter(({ to }) => to === 'node3').length).toBeLessThanOrEqual(6);
  });

  it('saying that it is a hundred times as fast, has no more than its share for long', () => {
    const says = lying(({ cpus, speed }) => ({ cpus: 100 * cpus, speed: 100 * speed, demand: 0, steady: 0 }));
    const all = world({ nodes: nodes(3), jobs: jobs(6), hogs, says, policy: 'moves' });
    all.run(20 * MINUTE);
    expect(counts(all)[2]).toBeLessThanOrEqual(2);
  });

  it.each([Number.NaN, -1, Number.POSITIVE_INFINITY, 0])('saying %d of itself, harms nobody', (figure) => {
    const garbage = {
      demand: figure,
      steady: figure,
      cpus: figure,
      speed: figure,
      memFree: figure,
      memTotal: figure,
    };
    const all = world({ nodes: nodes(3), jobs: jobs(4), says: lying(() => garbage), policy: 'moves' });
    all.run(10 * MINUTE);
    const [first, second] = counts(all);
    expect(second).toBeGreaterThanOrEqual(1);
    expect(first! + second! + counts(all)[2]!).toBe(4);
  });
});

describe('a node', () => {
  it('that is drained is empty soon, gets nothing, and gets jobs again when it is not any more', () => {
    const all = world({ nodes: nodes(4, { cpus: 2 }), jobs: jobs(8) });
    all.run(MINUTE);
    expect(counts(all)).toEqual([2, 2, 2, 2]);
    all.machines[1]!.draining = true;
    const before = moved(all);
    all.run(MINUTE);
    expect(counts(all)[1]).toBe(0);
    all.run(10 * MINUTE);
    expect(all.moves.slice(before).every(({ to }) => to !== 'node2')).toBe(true);
    all.machines[1]!.draining = false;
    all.run(5 * MINUTE);
    expect(counts(all)).toEqual([2, 2, 2, 2]);
  });

  it('on which something else begins to run is left by our jobs', () => {
    const hogs = [{ at: MINUTE, node: 0, threads: 4, ms: ENDLESS }];
    const all = world({ nodes: nodes(4, { cpus: 2 }), jobs: jobs(4), hogs });
    all.run(MINUTE);
    const before = moved(all);
    all.run(5 * MINUTE);
    expect(counts(all)[0]).toBe(0);
    expect(moved(all) - before).toBeLessThanOrEqual(2);
  });

  it('whose agent does not run decides nothing, and nothing comes to it', () => {
    const all = world({ nodes: nodes(3), jobs: jobs(6), policy: 'moves' });
    all.machines[2]!.stopped = true;
    all.run(10 * MINUTE);
    expect(counts(all)).toEqual([3, 3, 0]);
  });
});

describe('over a day of work', () => {
  const plan = { nodes: mixedNodes(30), load: 0.8, ms: 15 * MINUTE };
  const work = poisson({ ...plan, random: chance(11) });
  const finished = (policy: WorldPlan['policy']) => {
    const all = world({ nodes: plan.nodes, jobs: work, policy, ageMs: 2_900 });
    all.finish();
    return all;
  };
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const slowdown = ({ tasks }: BalanceWorld) =>
    mean(tasks.map(({ endedAt, plan: { at, work: alone } }) => (endedAt! - at) / alone));
  const balanced = finished('balance');
  const moves = finished('moves');

  it('moves gain more than they cost, in hindsight, and none takes much of a job’s time', () => {
    for (const all of [balanced, moves]) {
      const lost = all.tasks.reduce((sum, { lostMs }) => sum + lostMs, 0);
      const gained = all.tasks.flatMap(({ gains }) => gains).reduce((sum, gain) => sum + gain, 0);
      expect(moved(all)).toBeGreaterThan(50);
      expect(gained).toBeGreaterThan(2 * lost);
      // What had run so long had as much behind it as the move took, twice, at least.
      for (const {
        lostMs,
        endedAt,
        plan: { at },
      } of all.tasks)
        expect(lostMs).toBeLessThan((endedAt! - at) / 3);
    }
  });

  it('jobs end in less than half the time of jobs that stay where they are launched', () => {
    const stayed = slowdown(finished('home'));
    expect(slowdown(balanced)).toBeLessThan(stayed / 2);
    expect(slowdown(moves)).toBeLessThan(stayed / 2);
  });

  it('no schedule is better than one machine with all CPUs', () => {
    const ends = onOneMachine(plan.nodes, work);
    const bound = mean(work.map(({ at, work: alone }, index) => (ends[index]! - at) / alone));
    expect(bound).toBeGreaterThanOrEqual(1);
    expect(slowdown(balanced)).toBeGreaterThan(bound);
  });
});
