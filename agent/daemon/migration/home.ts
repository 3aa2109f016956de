/**
 * The home of a job drives its moves, as a pure state machine; what its journal has is what is decided. What depends on
 * a decision is sent only after the journal has it: `write` is answered by `written` before the next message goes out.
 * Messages that must arrive (`commit`, `abort`, `return`, `discard`) are sent again until they are answered.
 *
 * After a write that failed the coordinator (coordinator.ts) reads the journal again and gives `restarted`.
 * The answer to another node's `outcome?` is read from the journal, never from this state.
 */
import assert from 'node:assert';
import type { NodeName } from '../../api/model';
import type { Debt, Entry, Epoch, Ledger, Move } from '../journal/ledger';
import type { HomeEffect, HomeInput, HomeState } from './home-state';
import {
  type FromDestination,
  type FromSource,
  never,
  type Step,
  stay,
  type ToSource,
  type Why,
} from './messages';

export { type Ending, type HomeEffect, type HomeInput, type HomeState, homeAtRest } from './home-state';

type Next = Step<HomeState, HomeEffect>;

const write = (entry: Entry): HomeEffect => ({ do: 'write', entry });

export function stepHome(state: HomeState, input: HomeInput): Next {
  switch (input.type) {
    case 'migrate':
      return migrate(state, input.move);
    case 'written':
      return written({ ...state, debts: input.ledger.debts }, input.entry);
    case 'from-source':
      return fromSource(state, input.node, input.message);
    case 'from-destination':
      return fromDestination(state, input.node, input.message);
    case 'cancel':
      return beforeCommit(state)
        ? abort(state, { reason: input.reason })
        : stay(state, 'cancel', `too late: ${state.at}`);
    case 'timeout':
      if (awaited(state) === null) return stay(state, 'timeout', 'no answer is awaited');
      return beforeCommit(state)
        ? abort(state, { reason: `${awaited(state)} took too long` })
        : { state, effects: [] };
    case 'disconnected':
      if (!beforeCommit(state) || awaited(state) !== input.node) return { state, effects: [] };
      return abort(state, { reason: `the connection to ${input.node} was lost` });
    case 'asked':
      return asked(state, input.node, input.epoch);
    case 'retry':
      return { state, effects: unanswered(state) };
    case 'adopt':
    case 'forget':
      return decide(state, input.type);
    case 'from-former-home':
      return paid(state, input.node, 'home', input.epoch, input.said);
    case 'restarted':
      return restarted(input.ledger);
    default:
      return never(input);
  }
}

/** May a move of the job begin, and may it go to `node`? */
export const free = (state: HomeState, node: NodeName): boolean =>
  state.at === 'idle' && !state.debts.some((debt) => debt.node === node);

function migrate(state: HomeState, move: Move): Next {
  if (state.at !== 'idle') return stay(state, 'migrate', `the job is ${state.at}`);
  if (!free(state, move.to)) return stay(state, 'migrate', `${move.to} has not cleared away an earlier move`);
  assert(move.from !== move.to && move.epoch > move.since, 'a move goes elsewhere, in a later epoch');
  return {
    state: { at: 'intending', move, cancelled: null, debts: state.debts },
    effects: [write({ type: 'intent', move })],
  };
}

type Revocable = HomeState & { at: 'intending' | 'preparing' | 'sending' | 'restoring' };

const beforeCommit = (state: HomeState): state is Revocable =>
  state.at === 'intending' || state.at === 'preparing' || state.at === 'sending' || state.at === 'restoring';

/** Whose answer is the move waiting for? */
function awaited(state: HomeState): NodeName | null {
  switch (state.at) {
    case 'preparing':
    case 'restoring':
    case 'thawing':
      return state.move.to;
    case 'sending':
    case 'resuming':
      return state.move.from;
    default:
      return null;
  }
}

function abort(state: Revocable, why: Why): Next {
  // An intent that is being written can only be revoked after it.
  if (state.at === 'intending') return { state: { ...state, cancelled: why }, effects: [] };
  return aborting(state.move, state.debts, why);
}

const aborting = (move: Move, debts: readonly Debt[], why: Why): Next => ({
  state: { at: 'aborting', move, why, debts },
  effects: [write({ type: 'abort', epoch: move.epoch, reason: why.reason })],
});

/** A node that asks while its own answer is awaited has lost its work. */
function asked(state: HomeState, node: NodeName, epoch: Epoch): Next {
  const answer: HomeEffect = { do: 'answer-outcome', node, epoch };
  if (!beforeCommit(state) || awaited(state) !== node || state.move.epoch !== epoch) {
    return { state, effects: [answer] };
  }
  const { state: next, effects } = abort(state, {
    reason: `the agent of ${node} was restarted or lost its connection during the move`,
  });
  return { state: next, effects: [answer, ...effects] };
}

function written(state: HomeState, entry: Entry): Next {
  const { debts } = state;
  if (entry.type === 'cleaned' || entry.type === 'given-up' || entry.type === 'adopted')
    return { state, effects: [] };
  const epoch =
    entry.type === 'intent' ? entry.move.epoch : entry.type === 'returned' ? entry.of : entry.epoch;
  const awaiting = state.at === 'idle' || state.move.epoch !== epoch ? null : state;
  switch (entry.type) {
    case 'intent':
      if (awaiting?.at !== 'intending') break;
      if (awaiting.cancelled !== null) return aborting(awaiting.move, debts, awaiting.cancelled);
      return prepare(awaiting.move, debts);
    case 'commit':
      if (awaiting?.at !== 'committing') break;
      return withUnanswered({ at: 'thawing', move: awaiting.move, debts });
    case 'abort':
      if (awaiting?.at !== 'aborting') break;
      return withUnanswered({ at: 'resuming', move: awaiting.move, as: null, why: awaiting.why, debts });
    case 'returned':
      if (awaiting?.at !== 'returning') break;
      return withUnanswered({
        at: 'resuming',
        move: awaiting.move,
        as: entry.epoch,
        why: { reason: entry.reason },
        debts,
      });
    case 'thawed':
    case 'resumed':
      if (awaiting?.at !== 'closing') break;
      return withUnanswered({ at: 'idle', debts }, [{ do: 'report', epoch, ...awaiting.ending }]);
    case 'lost': {
      if (awaiting?.at !== 'losing') break;
      const next: HomeState = entry.salvage
        ? { at: 'lost', move: awaiting.move, debts }
        : { at: 'idle', debts };
      return withUnanswered(next, [{ do: 'report', epoch, outcome: 'lost', reason: entry.reason }]);
    }
    case 'forgotten':
      if (awaiting?.at !== 'forgetting') break;
      return withUnanswered({ at: 'idle', debts }, [
        { do: 'report', epoch, outcome: 'lost', reason: 'a person let go of its frozen copy' },
      ]);
    default:
      return never(entry);
  }
  return stay(state, `written ${entry.type}`, `not while ${state.at}`);
}

const prepare = (move: Move, debts: readonly Debt[]): Next => ({
  state: { at: 'preparing', move, debts },
  effects: [
    {
      do: 'notify-destination',
      node: move.to,
      message: { type: 'prepare', epoch: move.epoch, from: move.from },
    },
  ],
});

const withUnanswered = (state: HomeState, first: HomeEffect[] = []): Next => ({
  state,
  effects: [...first, ...unanswered(state)],
});

/** The messages of all that has been decided and not been answered: sent, or sent again. */
function unanswered(state: HomeState): HomeEffect[] {
  const messages = [...decided(state), ...state.debts.map(claim)];
  return messages.length === 0 ? [] : [...messages, { do: 'retry' }];
}

function decided(state: HomeState): HomeEffect[] {
  if (state.at === 'thawing') {
    const { to: node, epoch } = state.move;
    return [{ do: 'notify-destination', node, message: { type: 'commit', epoch } }];
  }
  if (state.at === 'resuming') {
    const { from: node, epoch } = state.move;
    const message: ToSource =
      state.as === null ? { type: 'abort', epoch } : { type: 'return', epoch: state.as, of: epoch };
    return [{ do: 'notify-source', node, message }];
  }
  return [];
}

function claim({ node, role, epoch, message }: Debt): HomeEffect {
  if (role === 'home' || message === 'adopted') return { do: 'notify-home', node, epoch };
  return role === 'source'
    ? { do: 'notify-source', node, message: { type: message, epoch } }
    : { do: 'notify-destination', node, message: { type: message, epoch } };
}

function fromSource(state: HomeState, node: NodeName, message: FromSource): Next {
  if (message.type === 'discarded') return paid(state, node, 'source', message.epoch);
  if (state.at === 'idle' || state.move.from !== node)
    return stay(state, message.type, `${node} is not the source`);
  const { move, debts } = state;
  const answered = state.at === 'resuming' && message.epoch === (state.as ?? move.epoch) ? state : null;
  switch (message.type) {
    case 'sent':
      if (state.at !== 'sending' || message.epoch !== move.epoch) break;
      return {
        state: { at: 'restoring', move, debts },
        effects: [
          { do: 'notify-destination', node: move.to, message: { type: 'restore', epoch: move.epoch } },
        ],
      };
    case 'failed':
      if (state.at !== 'sending' || message.epoch !== move.epoch) break;
      return abort(state, { reason: message.reason, obstacle: message.obstacle });
    case 'resumed': {
      if (!answered) break;
      const { as, why } = answered;
      return {
        state: {
          at: 'closing',
          move,
          debts,
          ending: { outcome: as === null ? 'aborted' : 'returned', ...why },
        },
        effects: [write({ type: 'resumed', epoch: move.epoch })],
      };
    }
    case 'gone':
      if (!answered) break;
      return losing(
        state,
        move,
        `${node} has no copy left to thaw: ${message.reason}; the move had been given up: ${answered.why.reason}`,
        false,
      );
    default:
      return never(message);
  }
  return stay(state, message.type, `epoch ${message.epoch}, while ${state.at} ${move.epoch}`);
}

function fromDestination(state: HomeState, node: NodeName, message: FromDestination): Next {
  if (message.type === 'discarded' || message.type === 'dropped') {
    return paid(state, node, 'destination', message.epoch);
  }
  if (state.at === 'idle' || state.move.to !== node || state.move.epoch !== message.epoch) {
    return stay(state, message.type, `epoch ${message.epoch} is not the move's`);
  }
  const { move, debts } = state;
  const { epoch } = move;
  switch (message.type) {
    case 'prepared': {
      if (state.at !== 'preparing') break;
      const { pages, images } = message;
      const order: ToSource = { type: 'send', epoch, since: move.since, to: move.to, pages, images };
      return {
        state: { at: 'sending', move, debts },
        effects: [{ do: 'notify-source', node: move.from, message: order }],
      };
    }
    case 'restored':
      if (state.at !== 'restoring') break;
      return { state: { at: 'committing', move, debts }, effects: [write({ type: 'commit', epoch })] };
    case 'failed':
      if (state.at === 'preparing' || state.at === 'restoring')
        return abort(state, { reason: message.reason, obstacle: message.obstacle });
      if (state.at === 'thawing') {
        return {
          state,
          effects: [{ do: 'stranded', reason: `${node} can't thaw the job: ${message.reason}` }],
        };
      }
      break;
    case 'thawed':
      if (state.at !== 'thawing') break;
      return {
        state: { at: 'closing', move, debts, ending: { outcome: 'moved' } },
        effects: [write({ type: 'thawed', epoch })],
      };
    case 'never-thawed':
      if (state.at !== 'thawing') break;
      return returning(state, move, `${node} lost its copy before it was thawed`);
    case 'lost':
      if (state.at !== 'thawing') break;
      return losing(state, move, `${node} lost its copy while it was being thawed`, true);
    default:
      return never(message);
  }
  return stay(state, message.type, `not while ${state.at}`);
}

/** The move's epoch is the last that was used, so the next is the job's new one. */
const returning = ({ debts }: HomeState, move: Move, reason: string): Next => ({
  state: { at: 'returning', move, debts },
  effects: [write({ type: 'returned', epoch: move.epoch + 1, of: move.epoch, reason })],
});

const losing = ({ debts }: HomeState, move: Move, reason: string, salvage: boolean): Next => ({
  state: { at: 'losing', move, debts },
  effects: [write({ type: 'lost', epoch: move.epoch, reason, salvage })],
});

function paid(state: HomeState, node: NodeName, role: Debt['role'], epoch: Epoch, said?: string): Next {
  const due = state.debts.some((debt) => debt.node === node && debt.role === role && debt.epoch === epoch);
  if (!due) return stay(state, 'answer', `${node} owes nothing of epoch ${epoch}`);
  return {
    state,
    effects: [write({ type: 'cleaned', epoch, node, ...(said === undefined ? {} : { said }) })],
  };
}

function decide(state: HomeState, decision: 'adopt' | 'forget'): Next {
  if (state.at !== 'lost' && state.at !== 'thawing') return stay(state, decision, `not while ${state.at}`);
  const { move, debts } = state;
  if (decision === 'adopt') return returning(state, move, 'a person let the frozen copy run again');
  return {
    state: { at: 'forgetting', move, debts },
    effects: [write({ type: 'forgotten', epoch: move.epoch })],
  };
}

function restarted({ open, debts, epoch }: Ledger): Next {
  if (!open) return withUnanswered({ at: 'idle', debts });
  const { move, outcome } = open;
  const why = { reason: 'the home was restarted during the move' };
  switch (outcome) {
    case 'moving': {
      const next = aborting(move, debts, why);
      return { state: next.state, effects: [...next.effects, ...unanswered(next.state)] };
    }
    case 'committed':
      return withUnanswered({ at: 'thawing', move, debts });
    case 'aborted':
      return withUnanswered({ at: 'resuming', move, as: null, why, debts });
    case 'returned':
      return withUnanswered({ at: 'resuming', move, as: epoch, why, debts });
    case 'lost':
      return withUnanswered({ at: 'lost', move, debts });
    default:
      return never(outcome);
  }
}
