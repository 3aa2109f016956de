import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HistoryEvent, MoveReport } from '../../agent/api/model';
import { pan, rangeOf, ticks, zoom } from '../../webviews/timeline/range';
import { type Lane, lanesOf } from '../../webviews/timeline/stays';

const JOB = 'aaaaaaaaaa';
const BEGIN = Date.parse('2027-03-05T14:00:00.000Z');

type Given = Omit<HistoryEvent, 'time' | 'job'> & { at: number; job?: string };

const history = (...given: Given[]): HistoryEvent[] =>
  given.map(({ at, job = JOB, ...event }) => ({ time: new Date(BEGIN + at).toISOString(), job, ...event }));

const report = (epoch: number, freezeMs: number, totalMs: number): MoveReport => ({
  job: JOB,
  from: 'node1',
  to: 'node2',
  epoch,
  transfer: 'stop',
  freezeMs,
  totalMs,
  bytes: 3_000_000,
  phases: { prepare: 92, park: 18, dump: 99, transfer: 10, restore: 81, commit: 2, thaw: 25 },
});

const lane = (...given: Given[]): Lane => {
  const [only, ...others] = lanesOf(history(...given));
  expect(others).toEqual([]);
  for (const part of [...only!.stays]) {
    part.from -= BEGIN;
    if (part.until !== null) part.until -= BEGIN;
  }
  for (const move of only!.moves) {
    move.began -= BEGIN;
    if (move.ended !== null) move.ended -= BEGIN;
    if (move.frozen) move.frozen = { from: move.frozen.from - BEGIN, until: move.frozen.until - BEGIN };
  }
  if (only!.end) only!.end.at -= BEGIN;
  return only!;
};

const launched: Given = { at: 0, node: 'node1', event: 'launched', epoch: 0 };
const intent: Given = { at: 1000, node: 'node1', to: 'node2', event: 'move-intent', epoch: 1 };
const committed: Given = { at: 1400, node: 'node1', to: 'node2', event: 'move-committed', epoch: 1 };
const thawed: Given = { at: 1430, node: 'node2', event: 'move-thawed', epoch: 1 };
const finished: Given = {
  at: 1440,
  node: 'node2',
  event: 'move-finished',
  epoch: 1,
  move: report(1, 224, 427),
};

describe('the stays of a job', () => {
  it('has an open bar for a job that runs where it was launched', () => {
    expect(lane(launched)).toEqual({
      job: JOB,
      stays: [{ node: 'node1', from: 0, until: null }],
      moves: [],
      end: null,
    });
  });

  it('ends a stay where the job was frozen, and begins the next where it was thawed', () => {
    const { stays, moves } = lane(launched, intent, committed, thawed, finished);
    expect(stays).toEqual([
      { node: 'node1', from: 0, until: 1430 - 224 },
      { node: 'node2', from: 1430, until: null },
    ]);
    expect(moves).toMatchObject([
      { began: 1000, ended: 1430, outcome: 'moved', frozen: { from: 1430 - 224, until: 1430 } },
    ]);
    expect(moves[0]?.report?.freezeMs).toBe(224);
  });

  it('never lets a freeze begin before the move did', () => {
    const { stays, moves } = lane(launched, intent, committed, thawed, {
      ...finished,
      move: report(1, 9e6, 9e6),
    });
    expect(stays[0]?.until).toBe(1000);
    expect(moves[0]?.frozen).toEqual({ from: 1000, until: 1430 });
  });

  it('keeps the job on its source during a move that is under way', () => {
    const { stays, moves } = lane(launched, intent);
    expect(stays).toEqual([{ node: 'node1', from: 0, until: null }]);
    expect(moves).toMatchObject([{ outcome: 'under-way', ended: null, frozen: null }]);
  });

  it('has it nowhere between commit and thaw', () => {
    expect(lane(launched, intent, committed).stays).toEqual([{ node: 'node1', from: 0, until: 1400 }]);
  });

  it('leaves the stay whole where a move was aborted, and says why', () => {
    const { stays, moves } = lane(launched, intent, {
      ...intent,
      at: 1300,
      event: 'move-aborted',
      reason: 'node2 has no room',
    });
    expect(stays).toEqual([{ node: 'node1', from: 0, until: null }]);
    expect(moves).toMatchObject([
      { outcome: 'aborted', ended: 1300, reason: 'node2 has no room', frozen: null },
    ]);
  });

  it('has a job that was given back on its source again, in a stay of its own', () => {
    const { stays, moves } = lane(launched, intent, committed, {
      at: 5000,
      node: 'node2',
      to: 'node1',
      event: 'move-committed',
      epoch: 2,
      reason: 'given back: node2 lost its copy before it was thawed',
    });
    expect(stays).toEqual([
      { node: 'node1', from: 0, until: 1400 },
      { node: 'node1', from: 5000, until: null },
    ]);
    expect(moves).toMatchObject([{ outcome: 'given-back', frozen: { from: 1400, until: 5000 } }]);
  });

  it('ends with the job, and with its exit status', () => {
    const exit = { exit: 3, signal: null };
    const { stays, end } = lane(launched, { at: 2000, node: 'node1', event: 'ended', epoch: 0, exit });
    expect(stays).toEqual([{ node: 'node1', from: 0, until: 2000 }]);
    expect(end).toEqual({ at: 2000, exit, lost: null });
  });

  it('knows that a job that ended at its destination had been thawed, even if that was told later', () => {
    const ended: Given = {
      at: 1420,
      node: 'node2',
      event: 'ended',
      epoch: 1,
      exit: { exit: 0, signal: null },
    };
    const { stays, moves, end } = lane(launched, intent, committed, ended, thawed, finished);
    expect(stays).toMatchObject([{ node: 'node1' }, { node: 'node2', from: 1420, until: 1420 }]);
    expect(moves).toMatchObject([{ outcome: 'moved', ended: 1420 }]);
    expect(end?.at).toBe(1420);
  });

  it('ends a lost job, and brings it back when a person adopts its frozen copy', () => {
    const lost: Given = { at: 1500, node: 'node2', event: 'lost', epoch: 1, reason: 'node2 lost its copy' };
    const gone = lane(launched, intent, committed, lost);
    expect(gone.end).toEqual({ at: 1500, exit: null, lost: 'node2 lost its copy' });
    expect(gone.moves).toMatchObject([{ outcome: 'lost', reason: 'node2 lost its copy' }]);
    const adopted = lane(launched, intent, committed, lost, {
      ...{ at: 9000, node: 'node2', to: 'node1', event: 'move-committed', epoch: 2 },
      reason: 'given back: a person gave the frozen copy its life back',
    });
    expect(adopted.end).toBeNull();
    expect(adopted.stays.at(-1)).toEqual({ node: 'node1', from: 9000, until: null });
  });

  it('goes on where a person has let it run that had lost its home, by what both homes know', () => {
    const here: Given = { at: 5000, node: 'node2', event: 'adopted', epoch: 2, reason: 'a person' };
    const there: Given = { at: 9000, node: 'node3', to: 'node2', event: 'adopted', epoch: 2 };
    for (const seen of [[here], [here, there], [there]]) {
      const { end, stays } = lane(launched, intent, ...seen);
      expect(end).toBeNull();
      expect(stays.at(-1)).toMatchObject({ node: 'node2', until: null });
    }
    const forgotten = lane(launched, { at: 5000, node: 'node1', event: 'forgotten', reason: 'given up' });
    expect(forgotten.end).toEqual({ at: 5000, exit: null, lost: 'given up' });
  });

  it('begins where a pruned history begins', () => {
    expect(lane(thawed, finished).stays).toEqual([{ node: 'node2', from: 1430, until: null }]);
  });

  it('keeps jobs apart', () => {
    const other = 'bbbbbbbbbb';
    const lanes = lanesOf(history(launched, { ...launched, job: other, node: 'node3' }, intent));
    expect(lanes.map(({ job, moves }) => [job, moves.length])).toEqual([
      [JOB, 1],
      [other, 0],
    ]);
  });
});

const node = fc.constantFrom('node1', 'node2', 'node3');
const anyEvent = fc.record(
  {
    at: fc.integer({ min: 0, max: 100_000 }),
    job: fc.constantFrom(JOB, 'bbbbbbbbbb'),
    node,
    event: fc.constantFrom<HistoryEvent['event'][]>(
      'launched',
      'move-intent',
      'move-committed',
      'move-aborted',
      'move-thawed',
      'move-finished',
      'ended',
      'lost',
    ),
    epoch: fc.integer({ min: 0, max: 4 }),
    to: node,
    reason: fc.constant('why'),
    move: fc.record({ epoch: fc.integer({ min: 0, max: 4 }), freeze: fc.integer({ min: 0, max: 50_000 }) }),
    exit: fc.constant({ exit: 0, signal: null }),
  },
  { requiredKeys: ['at', 'job', 'node', 'event'] },
);
const anyHistory = fc.array(anyEvent, { maxLength: 40 }).map((given) =>
  history(
    ...given.map(({ move, ...event }) => ({
      ...event,
      ...(move ? { move: report(move.epoch, move.freeze, move.freeze + 100) } : {}),
    })),
  ),
);

/** What the journal of a home can write: any sequence of moves, each to any of its ends. */
interface Walk {
  events: HistoryEvent[];
  places: string[];
}

const trueHistory = fc
  .array(
    fc.record({
      to: node,
      pause: fc.integer({ min: 1, max: 60_000 }),
      freeze: fc.integer({ min: 1, max: 400 }),
      outcome: fc.constantFrom('moved', 'aborted', 'given-back'),
      reported: fc.boolean(),
    }),
    { maxLength: 20 },
  )
  .map((steps): Walk => {
    const given: Given[] = [launched];
    const places = ['node1'];
    let at = 0;
    let epoch = 0;
    for (const { to, pause, freeze, outcome, reported } of steps) {
      const from = places.at(-1)!;
      if (to === from) continue;
      at += pause;
      epoch += 1;
      given.push({ at, node: from, to, event: 'move-intent', epoch });
      at += 500;
      if (outcome === 'aborted') {
        given.push({ at, node: from, to, event: 'move-aborted', epoch, reason: 'why' });
        continue;
      }
      given.push({ at, node: from, to, event: 'move-committed', epoch });
      at += 30;
      if (outcome === 'given-back') {
        epoch += 1;
        given.push({ at, node: to, to: from, event: 'move-committed', epoch, reason: 'given back' });
        places.push(from);
        continue;
      }
      given.push({ at, node: to, event: 'move-thawed', epoch });
      if (reported)
        given.push({ at, node: to, event: 'move-finished', epoch, move: report(epoch, freeze, 530) });
      places.push(to);
    }
    return { events: history(...given), places };
  });

function expectSound({ stays, moves, end }: Lane): void {
  stays.forEach((stay, index) => {
    const next = stays[index + 1];
    if (stay.until === null) expect(next, 'an open stay is the last').toBeUndefined();
    else expect(stay.until).toBeGreaterThanOrEqual(stay.from);
    if (next) expect(next.from, 'two stays do not overlap').toBeGreaterThanOrEqual(stay.until!);
  });
  moves.forEach((move, index) => {
    if (move.outcome === 'under-way') expect(index).toBe(moves.length - 1);
    else expect(move.ended).toBeGreaterThanOrEqual(move.began);
    for (const stay of stays) {
      if (!move.frozen || move.outcome === 'under-way') continue;
      const overlap =
        Math.min(stay.until ?? Infinity, move.frozen.until) - Math.max(stay.from, move.frozen.from);
      expect(overlap, 'what is frozen stays nowhere').toBeLessThanOrEqual(0);
    }
  });
  if (end) {
    expect(moves.at(-1)?.outcome).not.toBe('under-way');
    for (const { until } of stays) expect(until).toBeLessThanOrEqual(end.at);
  }
}

describe('any history', () => {
  it('makes sound lanes, whatever it says', () => {
    fc.assert(
      fc.property(anyHistory, (events) => {
        for (const each of lanesOf(events)) expectSound(each);
      }),
    );
  });

  it('makes sound lanes of a move during which the job was seen on another node', () => {
    const events = history(
      { at: 0, node: 'node3', to: 'node1', event: 'move-intent', epoch: 4 },
      { at: 0, node: 'node1', event: 'launched' },
      { at: 1, node: 'node1', event: 'move-finished', epoch: 4, move: report(4, 1, 101) },
    );
    for (const each of lanesOf(events)) expectSound(each);
  });

  it('makes sound lanes of a move that left another node than the last', () => {
    const events = history(
      { at: 0, node: 'node1', event: 'launched' },
      { at: 0, node: 'node3', event: 'launched' },
      { at: 0, node: 'node1', to: 'node1', event: 'move-committed', epoch: 2 },
      { at: 1, node: 'node1', event: 'move-finished', epoch: 2, move: report(2, 0, 100) },
    );
    for (const each of lanesOf(events)) expectSound(each);
  });

  it('of a true home has a stay for each place, and the last one open', () => {
    fc.assert(
      fc.property(trueHistory, ({ events, places }) => {
        const [only] = lanesOf(events);
        expectSound(only!);
        expect(only!.stays.map((stay) => stay.node)).toEqual(places);
        expect(only!.stays.at(-1)?.until).toBeNull();
        expect(only!.moves.every(({ outcome }) => outcome !== 'under-way')).toBe(true);
      }),
    );
  });

  it('says of a true home’s every beginning where the job is', () => {
    fc.assert(
      fc.property(trueHistory, fc.nat(100), ({ events }, length) => {
        const [only] = lanesOf(events.slice(0, Math.max(1, length % (events.length + 1))));
        expectSound(only!);
        const nowhere = only!.stays.at(-1)?.until !== null;
        expect(nowhere).toBe(
          only!.moves.at(-1)?.outcome === 'under-way' && only!.moves.at(-1)!.frozen !== null,
        );
      }),
    );
  });
});

describe('the range', () => {
  const lanes = lanesOf(history(launched, intent, committed, thawed, finished));
  const now = BEGIN + 100_000;

  it('fits what lives, up to now', () => {
    const { from, until } = rangeOf({ kind: 'recent' }, lanes, now);
    expect(from).toBeLessThanOrEqual(BEGIN);
    expect(until).toBeGreaterThanOrEqual(now);
    expect(until - from).toBeLessThan(120_000);
  });

  it('fits a job that ended long ago without all the time since', () => {
    const ended = lanesOf(
      history(launched, { at: 60_000, node: 'node1', event: 'ended', exit: { exit: 0, signal: null } }),
    );
    const { from, until } = rangeOf({ kind: 'recent' }, ended, now + 86_400_000);
    expect([from <= BEGIN, until >= BEGIN + 60_000, until < BEGIN + 90_000]).toEqual([true, true, true]);
  });

  it('is never empty', () => {
    for (const kind of ['recent', 'all'] as const) {
      const { from, until } = rangeOf({ kind }, [], now);
      expect(until - from).toBeGreaterThan(0);
    }
  });

  it('zooms around a moment that stays put, and pans by its own length', () => {
    const range = { from: 0, until: 1000 };
    const closer = zoom(range, 0.5, 0.25);
    expect(closer).toEqual({ from: 125, until: 625 });
    expect(pan(range, 0.1)).toEqual({ from: 100, until: 1100 });
    expect(zoom(range, 0, 0.5).until).toBeGreaterThan(zoom(range, 0, 0.5).from);
  });

  it('has round ticks, and not too many', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 50, max: 5e9, noNaN: true }),
        fc.integer({ min: 3, max: 12 }),
        (length, most) => {
          const found = ticks({ from: BEGIN, until: BEGIN + length }, most);
          expect(found.length).toBeLessThanOrEqual(most + 1);
          for (const { at } of found) expect(at >= BEGIN && at <= BEGIN + length).toBe(true);
        },
      ),
    );
  });
});
