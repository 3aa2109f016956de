import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { destinationAtRest, stepDestination } from '../../agent/daemon/migration/destination';
import { type HomeState, stepHome } from '../../agent/daemon/migration/home';
import { type SourceState, stepSource } from '../../agent/daemon/migration/source';
import { type Action, type Machines, machines, NODES, type NodeId, World } from './move-world';

/** Steps in which a healed world must be at rest. */
const BOUND = 2_000;

/** `calm`: how much rarer faults are than progress. */
interface Life {
  host: NodeId;
  calm: number;
  choices: readonly number[];
}

/** Lets `choices` decide the order of everything, faults included, then heals the world and looks at it. */
function live({ host, calm, choices }: Life, machine: Machines = machines): World {
  const world = new World(host, machine);
  const weight = (action: Action) => (action.fault ? action.weight : action.weight * calm);
  try {
    for (const choice of choices) {
      const actions = world.actions(true);
      let at = choice % actions.reduce((sum, action) => sum + weight(action), 0);
      world.take(
        actions.find((action) => {
          at -= weight(action);
          return at < 0;
        })!,
      );
    }
    world.trace.push('heals');
    world.heal(BOUND);
    world.checkAtRest();
  } catch (error) {
    throw new Error(`${(error as Error).message}\n  ${world.trace.join('\n  ')}\n  ${world.states()}`, {
      cause: error,
    });
  }
  return world;
}

const lives: fc.Arbitrary<Life> = fc.record({
  host: fc.constantFrom(...NODES),
  calm: fc.constantFrom(1, 5, 25),
  choices: fc.array(fc.nat(1_000_000), { minLength: 60, maxLength: 200, size: 'max' }),
});

describe('a move, whatever happens', () => {
  it('has one copy running at most, loses none, and comes to rest at the journal’s host', () => {
    const ends = { moved: 0, aborted: 0, returned: 0, lost: 0 };
    fc.assert(
      fc.property(lives, (life) => {
        for (const report of live(life).reports) ends[report as keyof typeof ends]++;
      }),
      { numRuns: Number(process.env.GODWIT_RUNS ?? 6_000) },
    );
    // A world in which none of these happens would prove nothing.
    for (const [end, count] of Object.entries(ends)) expect(count, end).toBeGreaterThan(10);
  }, 600_000);
});

/** The machines with one rule broken. */
const broken: Record<string, Machines> = {
  'a source that thaws by itself when it hears nothing': {
    ...machines,
    source: (state, input) =>
      input.type === 'retry' && state.at === 'holding'
        ? stepSource(state, { type: 'abort', epoch: state.epoch })
        : stepSource(state, input),
  },
  'a source that forgets what was aborted': {
    ...machines,
    source: (state, input) =>
      stepSource(input.type === 'send' && state.at === 'idle' ? { ...state, fence: 0 } : state, input),
  },
  'a source that thaws after a commit': {
    ...machines,
    source: (state, input) =>
      stepSource(
        state,
        input.type === 'outcome' && input.outcome === 'committed' ? { ...input, outcome: 'aborted' } : input,
      ),
  },
  'a source that says resumed when its copy is gone': {
    ...machines,
    source: (state, input) =>
      input.type === 'abort' && state.at === 'holding' && state.gone
        ? { state, effects: [{ do: 'reply', message: { type: 'resumed', epoch: input.epoch } }] }
        : stepSource(state, input),
  },
  'a home that says commit before it is written': {
    ...machines,
    home: (state, input) => {
      const next = stepHome(state, input);
      if (next.state.at !== 'committing' || state.at === 'committing') return next;
      const { to, epoch } = next.state.move;
      return {
        ...next,
        effects: [
          ...next.effects,
          { do: 'notify-destination', node: to, message: { type: 'commit', epoch } },
        ],
      };
    },
  },
  'a home that aborts what it has committed': {
    ...machines,
    home: (state, input) =>
      input.type === 'disconnected' && state.at === 'thawing'
        ? {
            state: { ...state, at: 'aborting', why: { reason: '' } },
            effects: [{ do: 'write', entry: { type: 'abort', epoch: state.move.epoch, reason: '' } }],
          }
        : stepHome(state, input),
  },
  'a home that says a commit only once': {
    ...machines,
    home: (state, input) =>
      input.type === 'retry' && state.at === 'thawing' ? { state, effects: [] } : stepHome(state, input),
  },
  'a home that lets the source go before the destination has thawed': {
    ...machines,
    home: (state, input) => {
      const next = stepHome(state, input);
      if (next.state.at !== 'thawing' || state.at === 'thawing') return next;
      const { from, epoch } = next.state.move;
      return {
        ...next,
        effects: [...next.effects, { do: 'notify-source', node: from, message: { type: 'discard', epoch } }],
      };
    },
  },
  'a destination that thaws what it holds when its agent starts': {
    ...machines,
    destination: (state, input) =>
      stepDestination(
        state,
        input.type === 'restarted' && input.note?.state === 'restored' && input.present === 'frozen'
          ? { ...input, note: { state: 'thawing', epoch: input.note.epoch } }
          : input,
      ),
  },
  'a destination that thaws without writing it down': {
    ...machines,
    destination: (state, input) =>
      input.type === 'commit' && state.at === 'restored' && state.epoch === input.epoch
        ? {
            state: { at: 'thawing', epoch: input.epoch },
            effects: [{ do: 'unpark-thaw', epoch: input.epoch }],
          }
        : stepDestination(state, input),
  },
  'a destination that runs on beside the copy that a person let run': {
    ...machines,
    destination: (state, input) =>
      input.type === 'discard' && state.at === 'idle' && state.hosting === input.epoch
        ? { state, effects: [] }
        : stepDestination(state, input),
  },
  'a destination that swears it never thawed when it may have': {
    ...machines,
    destination: (state, input) =>
      input.type === 'copy-died' && state.at === 'thawing'
        ? { state: { at: 'dead', epoch: state.epoch, reason: '' }, effects: [] }
        : stepDestination(state, input),
  },
};

describe('the properties can fail', () => {
  it.each(Object.entries(broken))(
    '%s is found out',
    (_, machine) => {
      const found = fc.check(
        fc.property(lives, (life) => void live(life, machine)),
        { numRuns: 60_000, endOnFailure: true },
      );
      expect(found.failed).toBe(true);
    },
    600_000,
  );
});

describe('one rule each', () => {
  const move = { from: 'a', to: 'b', epoch: 1, since: 0, transfer: 'stop' } as const;
  const holding: SourceState = { at: 'holding', epoch: 1, since: 0, result: { reason: 'x' }, gone: null };
  const does = ({ effects }: { effects: { do: string }[] }) => effects.map((effect) => effect.do);

  it('a frozen copy that dies while it is about to be thawed is said to be gone', () => {
    const thawing = stepSource(holding, { type: 'abort', epoch: 1 });
    expect(does(thawing)).toEqual(['thaw-unpark']);
    const died = stepSource(thawing.state, { type: 'copy-died', reason: 'the stars' });
    expect(died.effects).toEqual([{ do: 'reply', message: { type: 'gone', epoch: 1, reason: 'the stars' } }]);
    expect(stepSource(died.state, { type: 'abort', epoch: 1 }).effects).toEqual(died.effects);
  });

  it('an order that can not be written down fails, and changes nothing', () => {
    const order = { type: 'send', epoch: 1, since: 0, to: 'b', pages: 'p', images: 'i' } as const;
    const noting = stepSource({ at: 'idle', fence: 0, hosting: 0 }, order);
    expect(does(noting)).toEqual(['note']);
    const failed = stepSource(noting.state, { type: 'not-noted', epoch: 1, reason: 'no room' });
    expect(failed.effects).toEqual([
      { do: 'reply', message: { type: 'failed', epoch: 1, reason: 'no room' } },
    ]);
    expect(stepSource(failed.state, { type: 'abort', epoch: 1 }).effects).toEqual([
      { do: 'reply', message: { type: 'resumed', epoch: 1 } },
    ]);
    expect(does(stepSource(failed.state, order))).toEqual(['reply']);
  });

  it('a source keeps its copy on hearing of a commit, until it is told to let go', () => {
    const heard = stepSource(holding, { type: 'outcome', epoch: 1, outcome: 'committed' });
    expect(heard).toEqual({ state: holding, effects: [] });
    expect(does(stepSource(heard.state, { type: 'discard', epoch: 1 }))).toEqual(['kill-copy']);
  });

  it('an abort that overtakes its order keeps the job running', () => {
    const fenced = stepSource({ at: 'idle', fence: 0, hosting: 0 }, { type: 'abort', epoch: 1 });
    const order = { type: 'send', epoch: 1, since: 0, to: 'b', pages: 'p', images: 'i' } as const;
    const late = stepSource(fenced.state, order);
    expect(late.state.at).toBe('idle');
    expect(late.effects).toMatchObject([{ do: 'reply', message: { type: 'failed', epoch: 1 } }]);
  });

  it('a home that does not know the epoch leaves the copy frozen and calls a person', () => {
    const { state, effects } = stepSource(holding, { type: 'outcome', epoch: 1, outcome: 'unknown' });
    expect([state, effects.map((effect) => effect.do)]).toEqual([holding, ['stranded']]);
  });

  it('nothing but a thaw written down beforehand counts as perhaps lived', () => {
    const answer = (state: 'restored' | 'thawing') =>
      stepDestination(
        stepDestination(destinationAtRest, { type: 'restarted', note: { state, epoch: 1 }, present: 'none' })
          .state,
        { type: 'commit', epoch: 1 },
      ).effects;
    expect(answer('restored')).toEqual([{ do: 'reply', message: { type: 'never-thawed', epoch: 1 } }]);
    expect(answer('thawing')).toEqual([{ do: 'reply', message: { type: 'lost', epoch: 1 } }]);
  });

  it('a program that ended right after the thaw is not lost', () => {
    const note = { state: 'thawing', epoch: 1 } as const;
    const { state } = stepDestination(destinationAtRest, { type: 'restarted', note, present: 'ended' });
    const { effects } = stepDestination(state, { type: 'noted', note: { state: 'hosting', epoch: 1 } });
    expect(effects).toEqual([{ do: 'reply', message: { type: 'thawed', epoch: 1 } }]);
  });

  it('a lost connection to the source does not stop what only the destination has to answer', () => {
    const restoring: HomeState = { at: 'restoring', move, debts: [] };
    expect(stepHome(restoring, { type: 'disconnected', node: 'a' }).state).toBe(restoring);
    expect(stepHome(restoring, { type: 'disconnected', node: 'b' }).state.at).toBe('aborting');
  });

  it('a cancel that comes when the commit is being written is too late', () => {
    const committing: HomeState = { at: 'committing', move, debts: [] };
    expect(stepHome(committing, { type: 'cancel', reason: 'x' })).toMatchObject({
      state: committing,
      effects: [{ do: 'ignored', reason: 'too late: committing' }],
    });
  });

  it('a person’s word counts while the destination has not said that it thawed, and not before the commit', () => {
    const thawing: HomeState = { at: 'thawing', move, debts: [] };
    expect(stepHome(thawing, { type: 'adopt' }).effects).toEqual([
      { do: 'write', entry: expect.objectContaining({ type: 'returned', of: 1, epoch: 2 }) },
    ]);
    expect(stepHome(thawing, { type: 'forget' }).effects).toEqual([
      { do: 'write', entry: { type: 'forgotten', epoch: 1 } },
    ]);
    for (const at of ['preparing', 'sending', 'restoring', 'committing'] as const)
      expect(does(stepHome({ at, move, debts: [] }, { type: 'adopt' }))).toEqual(['ignored']);
  });

  it('a home that the job had before is told that it has another, until it answers', () => {
    const debts = [{ node: 'c', role: 'home', epoch: 4, message: 'adopted' } as const];
    const idle: HomeState = { at: 'idle', debts };
    expect(stepHome(idle, { type: 'retry' }).effects).toEqual([
      { do: 'notify-home', node: 'c', epoch: 4 },
      { do: 'retry' },
    ]);
    const heard = stepHome(idle, { type: 'from-former-home', node: 'c', epoch: 4, said: 'so' });
    expect(heard.effects).toEqual([
      { do: 'write', entry: { type: 'cleaned', epoch: 4, node: 'c', said: 'so' } },
    ]);
  });

  it('no move goes to a node that has an earlier one to clear away', () => {
    const debts = [{ node: 'b', role: 'destination', epoch: 1, message: 'abort' } as const];
    const next = { ...move, epoch: 2 };
    expect(does(stepHome({ at: 'idle', debts }, { type: 'migrate', move: next }))).toEqual(['ignored']);
    expect(does(stepHome({ at: 'idle', debts }, { type: 'migrate', move: { ...next, to: 'c' } }))).toEqual([
      'write',
    ]);
  });
});
