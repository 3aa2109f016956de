/** The policy by which jobs are moved: what it wishes of what is known, and what a node's own word is worth. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cpuStretch, hasRoom, marginal, memoryStretch, stretch } from '../../agent/daemon/balance/cost';
import { decide, type Picture } from '../../agent/daemon/balance/decide';
import { Delays, UNSEEN_DELAY } from '../../agent/daemon/balance/delays';
import { Gate, PROMISE_MS } from '../../agent/daemon/balance/gate';
import { Given } from '../../agent/daemon/balance/given';
import { known, MOST_AGE_MS, type NodeSaid, type OwnJob } from '../../agent/daemon/balance/known';
import { place, UNKNOWN_JOB } from '../../agent/daemon/balance/place';
import { Refusals } from '../../agent/daemon/balance/refusals';
import { nextRoundMs, RULES } from '../../agent/daemon/balance/rules';
import { whyStays, whyWished } from '../../agent/daemon/balance/words';
import { chance } from '../support/membership-world';

const GIB = 2 ** 30;
const said = (name: string, more: Partial<NodeSaid> = {}): NodeSaid => ({
  ...{ name, ageMs: 1_000, up: true, draining: false, cpus: 1, speed: 1, demand: 0 },
  ...{ steady: more.demand ?? 0, memTotal: 16 * GIB, memFree: 12 * GIB, ...more },
});
const job = (id: string, more: Partial<OwnJob> = {}): OwnJob => ({
  ...{ id, host: 'home', demand: 1, memory: GIB / 8, usedMs: 60_000, hereMs: 60_000, priceMs: 1_000 },
  ...{ away: 0, held: null, only: null, ...more },
});
const picture = (nodes: NodeSaid[], jobs: OwnJob[], more: Partial<Picture> = {}): Picture => ({
  ...{ self: 'home', nodes, jobs, sent: [], given: () => 1, refusals: new Refusals(), rules: RULES },
  ...{ now: 0, random: chance(1), ...more },
});
const busy = said('home', { demand: 3 });
const idle = said('idle');
const threeJobs = ['a', 'b', 'c'].map((id) => job(id));
const only = (nodes: NodeSaid[], more: Partial<OwnJob> = {}, rest: Partial<Picture> = {}) => {
  const { wishes, stays } = decide(picture(nodes, [job('a', more)], rest));
  return wishes[0] ?? stays[0]!;
};

describe('a job away from its files', () => {
  const at = { host: 'idle', away: 4 };
  it('comes home to them, to a slower node too, and it is said why', () => {
    const wish = only([said('home', { speed: 0.5 }), idle], at);
    expect(wish).toMatchObject({ because: 'faster', here: { files: 5 }, there: { node: 'home' } });
    expect('there' in wish && whyWished(wish as Parameters<typeof whyWished>[0])).toContain(
      'it takes 5.0 times as long on idle as alone, where it waits for its files, and 2.0 times on home',
    );
  });

  it('though it hardly runs, for it waits for them', () => {
    expect(only([said('home'), idle], { ...at, demand: 0.05 })).toMatchObject({ there: { node: 'home' } });
  });

  it('stays at home while that is not as many times slower', () => {
    expect(only([said('home', { demand: 3 }), idle], { away: 4 })).toMatchObject({ because: 'best-here' });
    expect(only([said('home', { demand: 3 }), idle], { away: 0.1 })).toMatchObject({ because: 'faster' });
  });
});

describe('the delays of a job away from its files', () => {
  const look = (delays: Delays, delayedMs: number | null, seconds: number, host = 'away') =>
    delays.saw('a', host, delayedMs, seconds * 1_000);

  it('are the time that it waits beside the time in which it runs', () => {
    const delays = new Delays();
    expect(look(delays, 0, 0)).toBe(UNSEEN_DELAY);
    expect(look(delays, 1_000, 2)).toBeCloseTo(1 + UNSEEN_DELAY);
    expect(look(delays, 2_000, 4)).toBeCloseTo(1 + UNSEEN_DELAY);
  });

  it('are kept in mind at home, and through a move', () => {
    const delays = new Delays();
    look(delays, 0, 0);
    look(delays, 1_000, 2);
    expect(look(delays, null, 3, 'home')).toBeCloseTo(1 + UNSEEN_DELAY);
    expect(look(delays, 5, 4, 'elsewhere')).toBeCloseTo(1 + UNSEEN_DELAY);
  });

  it('fade when it uses its files no more', () => {
    const delays = new Delays();
    look(delays, 0, 0);
    look(delays, 1_000, 2);
    for (let second = 4; second < 120; second += 2) look(delays, 1_000, second);
    expect(look(delays, 1_000, 120)).toBeLessThan(0.05);
  });

  it('have an end, whatever a host says', () => {
    const delays = new Delays();
    look(delays, 0, 0);
    expect(look(delays, 1e15, 2)).toBeLessThanOrEqual(20);
    expect(look(delays, 3, 4)).toBeLessThanOrEqual(20);
  });
});

describe('the cost of a place', () => {
  it('is time: a thread among so many, on CPUs of that speed', () => {
    expect(cpuStretch({ cpus: 4, speed: 1 }, 3)).toBe(1);
    expect(cpuStretch({ cpus: 4, speed: 1 }, 8)).toBe(2);
    expect(cpuStretch({ cpus: 1, speed: 0.5 }, 2)).toBe(4);
  });

  it('of a fifth of a CPU is that of a machine five times as slow', () => {
    expect(cpuStretch({ cpus: 0.2, speed: 1 }, 1)).toBeCloseTo(5);
    expect(cpuStretch({ cpus: 0.2, speed: 1 }, 2)).toBeCloseTo(10);
    // Also for one that wants less than all of it.
    expect(cpuStretch({ cpus: 0.2, speed: 1 }, 0.1)).toBeCloseTo(5);
  });

  it('counts what the others lose', () => {
    const node = known(said('x', { demand: 3 }))!;
    // One more among three on one CPU: its own fourfold time, and one time more for each of the three.
    expect(marginal(node, { demand: 1, memory: 0 })).toBeCloseTo(4 + 3);
  });

  it('of memory is none while there is room, and beyond all CPU where there is none', () => {
    const node = known(idle)!;
    expect(memoryStretch(node, 8 * GIB)).toBe(1);
    expect(memoryStretch(node, 0)).toBeGreaterThan(40);
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (a, b) => {
          const [less, more] = [Math.min(a, b), Math.max(a, b)];
          expect(memoryStretch(node, more * node.memTotal)).toBeLessThanOrEqual(
            memoryStretch(node, less * node.memTotal),
          );
        },
      ),
    );
  });
});

describe('a job moves', () => {
  it('from a busy node to an idle one, one of them, and it is said why', () => {
    const { wishes, stays } = decide(picture([busy, idle], threeJobs));
    expect(wishes).toHaveLength(1);
    expect(wishes[0]).toMatchObject({ because: 'faster', here: { node: 'home' }, there: { node: 'idle' } });
    expect(wishes[0]!.here.stretch).toBeCloseTo(3);
    expect(wishes[0]!.there.stretch).toBeCloseTo(1);
    expect(whyWished(wishes[0]!)).toMatch(
      /3\.0 times as long on home .* 1\.0 times on idle; moving takes 1\.0 s/,
    );
    expect(stays).toEqual([]);
  });

  it('from a slow node to a fast one', () => {
    const slow = said('home', { speed: 0.4, demand: 1 });
    expect(only([slow, said('fast')])).toMatchObject({ there: { node: 'fast' } });
    expect(only([said('home', { demand: 1 }), said('slow', { speed: 0.4 })])).toMatchObject({
      because: 'best-here',
    });
    expect(only([said('home', { cpus: 0.2, demand: 1 }), said('fast', { cpus: 0.8 })])).toMatchObject({
      there: { node: 'fast' },
    });
  });

  it('from a node that something else keeps busy', () => {
    expect(only([said('home', { demand: 5 }), idle])).toMatchObject({ there: { node: 'idle' } });
  });

  it('out of a node that runs out of memory, though it is young and the CPUs are no busier', () => {
    const full = said('home', { demand: 1, memFree: GIB / 4 });
    expect(only([full, idle], { usedMs: 100 })).toMatchObject({ because: 'memory', there: { node: 'idle' } });
  });

  it('out of a drained node, whatever it costs, if there is room anywhere', () => {
    const drained = said('home', { demand: 1, draining: true });
    const slow = said('slow', { speed: 0.1, demand: 5 });
    expect(only([drained, slow], { usedMs: 0, hereMs: 0, demand: 0 })).toMatchObject({ because: 'drain' });
    expect(only([drained, said('full', { memFree: GIB })])).toMatchObject({ because: 'no-room' });
    expect(only([drained, said('too', { draining: true })])).toMatchObject({ because: 'no-node' });
  });

  it('back home, where its files are', () => {
    const far = { host: 'far', away: 0.5 };
    const nodes = [said('home'), said('far', { demand: 1 })];
    expect(only(nodes, far)).toMatchObject({ there: { node: 'home' } });
    expect(only(nodes, { ...far, away: 0 })).toMatchObject({ because: 'best-here' });
  });
});

describe('a job stays', () => {
  it.each(['pinned', 'debugged', 'moving', 'stopped', 'off'] as const)(
    'when it is %s, also on a drained node',
    (held) => {
      expect(only([busy, idle], { held })).toMatchObject({ because: held });
      expect(only([{ ...busy, draining: true }, idle], { held })).toMatchObject({ because: held });
    },
  );

  it('when it is young: what it has used is what is left of it', () => {
    expect(only([busy, idle], { usedMs: 900 })).toMatchObject({ because: 'young' });
    expect(only([busy, idle], { usedMs: 1_100 })).toHaveProperty('worth');
    expect(only([busy, idle], { usedMs: 1_100, priceMs: 5_000 })).toMatchObject({ because: 'young' });
  });

  it('when it has just come', () => {
    expect(only([busy, idle], { hereMs: 4_000 })).toMatchObject({ because: 'just-came' });
    expect(only([busy, idle], { hereMs: 9_000, priceMs: 2_000 })).toMatchObject({ because: 'just-came' });
  });

  it('when it would be little better off', () => {
    expect(only([said('home', { speed: 0.9, demand: 1 }), idle])).toMatchObject({ because: 'too-little' });
  });

  it('when it sleeps', () => {
    expect(only([busy, idle], { demand: 0 })).toMatchObject({ because: 'asleep' });
    // It would not wake at home either.
    expect(only([said('home'), idle], { host: 'idle', demand: 0.01, away: 0.5 })).toMatchObject({
      because: 'asleep',
    });
  });

  it('when a load is there for a moment only', () => {
    expect(only([said('home', { demand: 3, steady: 1 }), idle])).toMatchObject({ because: 'best-here' });
    expect(only([busy, said('idle', { demand: 0, steady: 3 })])).toMatchObject({ because: 'best-here' });
  });

  it('where it alone may be', () => {
    expect(only([busy, idle], { only: ['home', 'other'] })).toMatchObject({ because: 'no-node' });
    expect(only([busy, idle, said('other', { demand: 1 })], { only: ['home', 'other'] })).toMatchObject({
      there: { node: 'other' },
    });
  });

  it('when its memory is wanted where it would go', () => {
    expect(only([busy, said('idle', { memFree: 2 * GIB })], { memory: GIB })).toMatchObject({
      because: 'no-room',
    });
  });

  it('after a refusal for a moment, after a failure for longer each time, after an obstacle for long', () => {
    const refusals = new Refusals();
    const at = (now: number) => only([busy, idle], {}, { refusals, now });
    refusals.note('a', 'idle', 'refused', 0);
    expect(at(0)).toMatchObject({ because: 'set-back' });
    expect(at(4_000)).toHaveProperty('worth');
    refusals.note('a', 'idle', 'failed', 10_000);
    expect(at(39_000)).toMatchObject({ because: 'set-back' });
    refusals.note('a', 'idle', 'failed', 40_000);
    expect(at(99_000)).toMatchObject({ because: 'set-back' });
    expect(at(100_000)).toHaveProperty('worth');
    refusals.note('a', 'idle', 'obstacle', 200_000);
    expect(at(700_000)).toMatchObject({ because: 'set-back' });
    // An obstacle is one on the way to that node.
    expect(only([busy, idle, said('other')], {}, { refusals, now: 700_000 })).toMatchObject({
      there: { node: 'other' },
    });
    refusals.moved('a');
    expect(at(700_000)).toHaveProperty('worth');
  });

  it('and each reason has its words', () => {
    for (const because of [
      'host-unknown',
      'no-node',
      'no-room',
      'best-here',
      'too-little',
      'young',
      'asleep',
    ] as const)
      expect(
        whyStays({ job: 'a', because, here: null, there: null, priceMs: 1, gainMs: null }).text.length,
      ).toBeGreaterThan(10);
    const stays = decide(
      picture([said('home', { demand: 1 }), said('slow', { speed: 0.4 })], [job('a')]),
    ).stays;
    expect(whyStays(stays[0]!).text).toMatch(/home: 1\.0 times as long .*slow: 2\.5 times as long/);
  });
});

describe('what others say', () => {
  it('is not used when it is old, or of a node that does not answer', () => {
    expect(only([busy, said('idle', { ageMs: MOST_AGE_MS + 1 })])).toMatchObject({ because: 'no-node' });
    expect(only([busy, said('idle', { up: false })])).toMatchObject({ because: 'no-node' });
    expect(only([{ ...busy, ageMs: MOST_AGE_MS + 1 }, idle])).toMatchObject({ because: 'host-unknown' });
  });

  it('is taken within bounds', () => {
    expect(known(said('x', { speed: 1e9, cpus: 1e9 }))).toMatchObject({ speed: 8, cpus: 4_096 });
    expect(known(said('x', { memFree: 1e30 }))!.memFree).toBe(16 * GIB);
    expect(known(said('x', { demand: Number.NaN }))!.demand).toBe(0);
    for (const cpus of [0, -1, Number.NaN]) expect(known(said('x', { cpus }))).toBeNull();
  });

  it('is never an hour off by a clock: there are only spans, of one clock', () => {
    const at = (now: number) => decide(picture([busy, idle], threeJobs, { now }));
    expect(at(3_600_000)).toEqual(at(0));
    expect(at(-3_600_000)).toEqual(at(0));
  });

  it('does not hide the jobs of ours that are there', () => {
    const there = ['x', 'y'].map((id) => job(id, { host: 'idle', held: 'pinned' }));
    const { stays } = decide(picture([said('home', { demand: 2 }), idle], [job('a'), ...there]));
    expect(stays.find(({ job: id }) => id === 'a')).toMatchObject({
      because: 'best-here',
      there: { stretch: 3 },
    });
  });

  it('counts with what is on its way', () => {
    const sent = [{ node: 'idle', demand: 2, memory: 0, ageMs: 1_500 }];
    expect(only([said('home', { demand: 2 }), idle], {}, { sent })).toMatchObject({ because: 'best-here' });
    // By now it is in what the node says.
    const seen = [{ ...sent[0]!, ageMs: 10_000 }];
    expect(only([said('home', { demand: 2 }), idle], {}, { sent: seen })).toHaveProperty('worth');
  });

  it('of its speed is corrected by what it gives, and that is forgotten', () => {
    const given = new Given();
    for (let look = 0; look < 60; look++) given.saw('liar', 2_000, 200, look * 2_000);
    expect(given.of('liar', 120_000)).toBeLessThan(0.15);
    expect(only([busy, said('liar')], {}, { given: (node) => given.of(node, 120_000) })).toMatchObject({
      because: 'best-here',
    });
    expect(given.of('liar', 120_000 + 3_600_000)).toBeGreaterThan(0.99);
    for (const [promised, got] of [
      [0, 1],
      [Number.NaN, 1],
      [1, Number.NaN],
      [1, -1],
    ] as const)
      given.saw('node', promised, got, 0);
    given.saw('node', 1, 0.85, 0);
    expect(given.of('node', 0)).toBe(1);
  });
});

const garbage = fc.oneof(
  fc.double(),
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1, 0, 1e300, 5e-324),
);
const anyNode = (name: string) =>
  fc
    .record({
      ...{ ageMs: garbage, up: fc.boolean(), draining: fc.boolean(), cpus: garbage, speed: garbage },
      ...{ demand: garbage, steady: garbage, memTotal: garbage, memFree: garbage },
    })
    .map((one): NodeSaid => ({ name, ...one }));
const anyJob = (id: string, hosts: string[]) =>
  fc
    .record({
      ...{
        host: fc.constantFrom(...hosts),
        demand: garbage,
        memory: garbage,
        usedMs: garbage,
        hereMs: garbage,
      },
      ...{ priceMs: garbage, away: garbage },
    })
    .map((one): OwnJob => ({ id, held: null, only: null, ...one }));
/** Of doubles most would be next to nothing. */
const between = (min: number, max: number) =>
  fc.integer({ min: 0, max: 1_000 }).map((part) => min + ((max - min) * part) / 1_000);
const saneNode = (name: string) =>
  fc
    .record({
      ...{ cpus: between(0.1, 64), speed: between(0.1, 2), demand: between(0, 100), steady: between(0, 100) },
      ...{ memFree: between(0, 16 * GIB), draining: fc.boolean() },
    })
    .map((one) => said(name, one));
const saneJob = (id: string, hosts: string[]) =>
  fc
    .record({
      ...{ host: fc.constantFrom(...hosts), demand: between(0, 8), memory: between(0, 2 * GIB) },
      ...{ usedMs: between(0, 1e6), hereMs: between(0, 1e6), priceMs: between(200, 20_000) },
    })
    .map((one) => job(id, one));
const hosts = ['home', 'n1', 'n2', 'n3', 'n4'];
const clusters = (node: typeof saneNode, one: typeof saneJob) =>
  fc.tuple(
    fc.tuple(...hosts.map((name) => node(name))),
    fc.tuple(...Array.from({ length: 6 }, (_, n) => one(`job${n}`, hosts))),
    fc.integer(),
  );

describe('of any cluster', () => {
  it('garbage makes no harm: each job is wished once or stays, nothing is not a number', () => {
    fc.assert(
      fc.property(clusters(anyNode, anyJob), ([nodes, jobs, seed]) => {
        const { wishes, stays } = decide(picture([...nodes], [...jobs], { random: chance(seed) }));
        const all = [...wishes, ...stays].map(({ job: id }) => id);
        expect(new Set(all).size).toBe(all.length);
        for (const wish of wishes) {
          expect(Number.isNaN(wish.worth.stretch) || Number.isNaN(wish.worth.cost)).toBe(false);
          expect(Number.isNaN(wish.demand) || Number.isNaN(wish.memory)).toBe(false);
          expect(nodes.find(({ name }) => name === wish.there.node)!.up).toBe(true);
          whyWished(wish);
        }
        for (const stay of stays) expect(whyStays(stay).text).not.toContain('NaN');
      }),
      { numRuns: 500 },
    );
  });

  it('one moves from and one to a node, never where it is, to a drained one or without room, and all gain', () => {
    fc.assert(
      fc.property(clusters(saneNode, saneJob), ([nodes, jobs, seed]) => {
        const { wishes } = decide(picture([...nodes], [...jobs], { random: chance(seed) }));
        expect(new Set(wishes.map(({ here }) => here.node)).size).toBe(wishes.length);
        expect(new Set(wishes.map(({ there }) => there.node)).size).toBe(wishes.length);
        for (const wish of wishes) {
          const to = nodes.find(({ name }) => name === wish.there.node)!;
          expect(to.draining).toBe(false);
          expect(hasRoom(known(to)!, wish.memory)).toBe(true);
          expect(wish.there.node).not.toBe(wish.here.node);
          if (wish.because === 'drain') continue;
          expect(wish.there.stretch).toBeLessThan(wish.here.stretch);
          expect(wish.there.cost).toBeLessThan(wish.here.cost);
          if (wish.because === 'faster')
            expect(wish.gainMs).toBeGreaterThanOrEqual(wish.priceMs * (RULES.payback - 1) * 0.999);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('a job that has been moved is not wished back as things are then', () => {
    fc.assert(
      fc.property(clusters(saneNode, saneJob), ([nodes, jobs, seed]) => {
        const calm = nodes.map((node) => ({
          ...node,
          draining: false,
          steady: node.demand,
          memFree: 12 * GIB,
        }));
        const [wish] = decide(picture(calm, [...jobs], { random: chance(seed) })).wishes;
        fc.pre(wish !== undefined);
        const { demand, here, there } = wish;
        const shifted = calm.map((node) => {
          const by = node.name === here.node ? -demand : node.name === there.node ? demand : 0;
          const then = Math.max(0, node.demand + by);
          return { ...node, demand: then, steady: then };
        });
        const after = jobs.map(
          (one): OwnJob =>
            one.id === wish.job ? { ...one, host: there.node, hereMs: 1e6 } : { ...one, held: 'pinned' },
        );
        const back = decide(picture(shifted, after, { random: chance(seed) })).wishes[0];
        expect(back?.there.node).not.toBe(here.node);
      }),
      { numRuns: 500 },
    );
  });
});

describe('a destination', () => {
  const asking = (id: string, more: Partial<{ demand: number; memory: number }> = {}) => ({
    ...{ job: id, demand: 1, memory: GIB / 8, worth: { stretch: 1.5, cost: 2 }, ...more },
  });

  it('takes one at a time: of two homes that choose it at once, one is refused', () => {
    const gate = new Gate();
    expect(gate.ask(asking('a'), idle, 0)).toEqual({ ok: true });
    expect(gate.ask(asking('b'), idle, 0)).toEqual({ ok: false, why: 'busy' });
    expect(gate.ask(asking('a'), idle, 10)).toEqual({ ok: true });
  });

  it('counts one that has come before it shows in its load, and no longer', () => {
    const gate = new Gate();
    gate.ask(asking('a'), idle, 0);
    gate.came('a', 1_000);
    expect(gate.ask(asking('b'), idle, 1_100)).toEqual({ ok: false, why: 'costs-more' });
    expect(gate.ask(asking('b'), idle, 4_000)).toEqual({ ok: true });
  });

  it('refuses by its own figures, which are newer than those by which it was chosen', () => {
    const refusal = (own: NodeSaid, more = {}) => new Gate().ask(asking('a', more), own, 0);
    expect(refusal(said('x', { demand: 1 }))).toEqual({ ok: false, why: 'costs-more' });
    expect(refusal(said('x', { draining: true }))).toEqual({ ok: false, why: 'draining' });
    expect(refusal(idle, { memory: 12 * GIB })).toEqual({ ok: false, why: 'no-room' });
  });

  it('forgets a promise of which nobody made use', () => {
    const gate = new Gate();
    gate.ask(asking('a'), idle, 0);
    expect(gate.ask(asking('b'), idle, PROMISE_MS - 1)).toMatchObject({ ok: false });
    expect(gate.ask(asking('b'), idle, PROMISE_MS)).toEqual({ ok: true });
    gate.withdrawn('b');
    expect(gate.ask(asking('c'), idle, PROMISE_MS)).toEqual({ ok: true });
  });

  it('and a source lets one out at a time', () => {
    const gate = new Gate();
    expect(gate.leave('a', 0)).toBe(true);
    expect(gate.leave('b', 1)).toBe(false);
    gate.left('a');
    expect(gate.leave('b', 2)).toBe(true);
    expect(gate.leave('c', 2 + PROMISE_MS)).toBe(true);
  });
});

describe('a job that is launched', () => {
  const placing = (nodes: NodeSaid[], more = {}) =>
    place({
      ...{
        self: 'home',
        nodes,
        sent: [],
        given: () => 1,
        only: null,
        away: 0,
        lookedAt: 16,
        random: chance(2),
      },
      ...{ ...UNKNOWN_JOB, ...more },
    });

  it('begins at home where no other place costs less', () => {
    expect(placing([said('n1'), said('home'), said('n2')])).toBe('home');
    expect(placing([said('home', { demand: 1 }), said('n1', { speed: 0.4 })])).toBe('n1');
    expect(placing([said('home', { demand: 1 }), said('n1', { speed: 0.3 })])).toBe('home');
  });

  it('begins on the faster of two that are idle', () => {
    expect(placing([said('home', { speed: 0.5 }), said('n1')])).toBe('n1');
  });

  it('does not begin on a node that is drained, silent, not allowed or full', () => {
    const home = said('home', { demand: 1 });
    expect(placing([home, said('n1', { draining: true })])).toBe('home');
    expect(placing([home, said('n1', { up: false })])).toBe('home');
    expect(placing([home, said('n1'), said('n2')], { only: ['n2'] })).toBe('n2');
    expect(placing([home, said('n1', { memFree: GIB })])).toBe('home');
    expect(placing([{ ...home, draining: true }])).toBeNull();
  });

  it('and 24 at once are spread by speed, before any node has said that it is busy', () => {
    const nodes = [0.8, 0.4, 0.2, 0.2].map((cpus, n) =>
      said(n === 0 ? 'home' : `n${n}`, { cpus, ageMs: 900 }),
    );
    const sent: { node: string; demand: number; memory: number; ageMs: number }[] = [];
    for (let n = 0; n < 24; n++) {
      const node = placing(nodes, { sent, random: chance(n) })!;
      sent.push({ node, demand: 1, memory: 0, ageMs: 100 });
    }
    const count = (name: string) => sent.filter(({ node }) => node === name).length;
    expect(['home', 'n1', 'n2', 'n3'].map(count)).toEqual([12, 6, 3, 3]);
  });
});

describe('the time until the next decision', () => {
  it('is another one each time, for homes not to decide at the same instant', () => {
    const random = chance(5);
    const all = Array.from({ length: 100 }, () => nextRoundMs(random));
    expect(new Set(all.map(Math.round)).size).toBeGreaterThan(80);
    expect(Math.min(...all)).toBeGreaterThanOrEqual(1_000);
    expect(Math.max(...all)).toBeLessThan(3_000);
  });
});

describe('numbers at their limits', () => {
  it('of a cost are numbers', () => {
    const node = known(said('x', { demand: 1e5, memFree: 0 }))!;
    expect(Number.isFinite(stretch(node, { demand: 1e5, memory: 2 ** 50 }))).toBe(true);
  });
});
