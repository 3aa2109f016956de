/**
 * The destination of a move, as a pure state machine: it restores the job frozen and waits. It thaws only when the home
 * has committed, and writes down that it will before it does. A copy that was never committed is killed.
 *
 * The executor (destination-executor.ts) carries effects out in order. `kill-copy` first ends a restore that still runs
 * and takes away all that `prepare` made; it and `unpark-thaw` may be asked for twice. Before `restarted`, the executor
 * has ended all that an earlier run of the agent left running.
 */

import type { DestinationFigures } from '../../api/move-contract';
import type { Epoch } from '../journal/ledger';
import type { Note } from '../journal/notes';
import {
  type CopyEffect,
  type CopyInput,
  type FromDestination,
  fail,
  never,
  type Presence,
  reply,
  type Step,
  stay,
  type Tickets,
  type ToDestination,
  type Why,
} from './messages';

type Prepare = ToDestination & { type: 'prepare' };

export type DestinationState =
  /** `fence`: the highest epoch seen. `hosting`: the epoch whose copy was thawed here. */
  | { at: 'idle'; fence: Epoch; hosting: Epoch | null }
  | { at: 'noting'; epoch: Epoch; order: Prepare }
  | { at: 'preparing'; epoch: Epoch }
  | { at: 'prepared'; epoch: Epoch; tickets: Tickets }
  | { at: 'restoring'; epoch: Epoch }
  | { at: 'noting-restored'; epoch: Epoch; figures: DestinationFigures }
  | { at: 'restored'; epoch: Epoch; figures: DestinationFigures }
  /** Something failed, or the copy has gone: nothing here will ever be thawed. */
  | ({ at: 'dead'; epoch: Epoch } & Why)
  | { at: 'noting-thawing'; epoch: Epoch }
  | { at: 'thawing'; epoch: Epoch }
  /** The home committed, the thaw failed and nothing ran; the home's next `commit` tries again. */
  | { at: 'unthawed'; epoch: Epoch }
  | { at: 'noting-hosting'; epoch: Epoch }
  /** It was being thawed when it went: it may have run. */
  | { at: 'lost'; epoch: Epoch }
  | { at: 'killing'; epoch: Epoch; answer: 'dropped' | 'discarded' }
  | { at: 'clearing'; epoch: Epoch; answer: 'dropped' | 'discarded' };

export type DestinationInput =
  | ToDestination
  | CopyInput
  /** The executor has done what was asked, or has failed. */
  | ({ type: 'ready'; epoch: Epoch } & Tickets)
  | { type: 'restored'; epoch: Epoch; figures: DestinationFigures }
  | ({ type: 'executor-failed'; epoch: Epoch } & Why)
  /** There is no process of the copy any more. */
  | { type: 'copy-died' };

export type DestinationEffect =
  | CopyEffect<FromDestination>
  | { do: 'prepare'; order: Prepare }
  | { do: 'restore'; epoch: Epoch }
  | { do: 'unpark-thaw'; epoch: Epoch };

type Next = Step<DestinationState, DestinationEffect>;

export const destinationAtRest: DestinationState = { at: 'idle', fence: 0, hosting: null };

const to = (state: DestinationState, ...effects: DestinationEffect[]): Next => ({ state, effects });
const note = (state: 'receiving' | 'restored' | 'thawing' | 'hosting', epoch: Epoch): DestinationEffect => ({
  do: 'note',
  note: { state, epoch },
});

export function stepDestination(state: DestinationState, input: DestinationInput): Next {
  switch (input.type) {
    case 'prepare':
      return prepare(state, input);
    case 'restore':
      return restore(state, input.epoch);
    case 'commit':
      return commit(state, input.epoch);
    case 'abort':
      return abort(state, input.epoch);
    case 'discard':
      return discard(state, input.epoch);
    case 'outcome':
      return outcome(state, input);
    case 'noted':
      return noted(state, input.note);
    case 'ready':
    case 'restored':
    case 'executor-failed':
    case 'unparked':
    case 'killed':
    case 'cleared':
      return done(state, input);
    case 'copy-died':
      return died(state);
    case 'disconnected':
    case 'retry':
      return waits(state) ? to(state, { do: 'ask', epoch: state.epoch }, { do: 'retry' }) : to(state);
    case 'restarted':
      return restarted(input.note, input.present);
    default:
      return never(input);
  }
}

/** Does this node wait for a decision of the home's? */
const waits = (
  state: DestinationState,
): state is DestinationState & { at: 'restored' | 'dead' | 'unthawed' } =>
  state.at === 'restored' || state.at === 'dead' || state.at === 'unthawed';

function prepare(state: DestinationState, order: Prepare): Next {
  const { epoch } = order;
  if (state.at === 'idle') {
    if (epoch <= state.fence)
      return to(state, fail(epoch, `epoch ${epoch} is over here, ${state.fence} is known`));
    return to({ at: 'noting', epoch, order }, note('receiving', epoch));
  }
  if (epoch !== state.epoch) return to(state, fail(epoch, `the node is still at epoch ${state.epoch}`));
  if (state.at === 'prepared') return to(state, reply({ type: 'prepared', epoch, ...state.tickets }));
  if (state.at === 'dead') return to(state, fail(epoch, state.reason, state.obstacle));
  return stay(state, order.type, `already ${state.at}`);
}

function restore(state: DestinationState, epoch: Epoch): Next {
  if (state.at === 'idle') return to(state, fail(epoch, `nothing is prepared for epoch ${epoch}`));
  if (epoch !== state.epoch) return to(state, fail(epoch, `the node is at epoch ${state.epoch}`));
  if (state.at === 'prepared') return to({ at: 'restoring', epoch }, { do: 'restore', epoch });
  if (state.at === 'restored') return to(state, reply({ type: 'restored', epoch, figures: state.figures }));
  if (state.at === 'dead') return to(state, fail(epoch, state.reason, state.obstacle));
  return stay(state, 'restore', `already ${state.at}`);
}

function commit(state: DestinationState, epoch: Epoch): Next {
  if (state.at === 'idle') {
    if (state.hosting === epoch) return to(state, reply({ type: 'thawed', epoch }));
    return to(state, fail(epoch, `nothing of epoch ${epoch} is here`));
  }
  if (epoch !== state.epoch) return to(state, fail(epoch, `the node is at epoch ${state.epoch}`));
  switch (state.at) {
    case 'restored':
      return to({ at: 'noting-thawing', epoch }, note('thawing', epoch));
    case 'unthawed':
      return to({ at: 'thawing', epoch }, { do: 'unpark-thaw', epoch });
    case 'dead':
      return to(state, reply({ type: 'never-thawed', epoch }));
    case 'lost':
      return to(state, reply({ type: 'lost', epoch }));
    default:
      return stay(state, 'commit', `not while ${state.at}`);
  }
}

/** After a commit there is no abort: a message that asks for one is ignored. */
function abort(state: DestinationState, epoch: Epoch): Next {
  if (state.at === 'idle') {
    if (state.hosting === epoch) return stay(state, 'abort', 'it was committed and runs here');
    return to({ ...state, fence: Math.max(state.fence, epoch) }, reply({ type: 'dropped', epoch }));
  }
  if (epoch < state.epoch) return to(state, reply({ type: 'dropped', epoch }));
  if (epoch > state.epoch) return stay(state, 'abort', `about epoch ${epoch}, the node is at ${state.epoch}`);
  switch (state.at) {
    case 'noting':
    case 'preparing':
    case 'prepared':
    case 'restoring':
    case 'noting-restored':
    case 'restored':
    case 'dead':
      return to({ at: 'killing', epoch, answer: 'dropped' }, { do: 'kill-copy', epoch });
    default:
      return stay(state, 'abort', `not while ${state.at}`);
  }
}

function discard(state: DestinationState, epoch: Epoch): Next {
  if (state.at === 'idle') {
    // A person has let another copy run meanwhile: this one is the job no longer.
    if (state.hosting === epoch)
      return to({ at: 'killing', epoch, answer: 'discarded' }, { do: 'kill-copy', epoch });
    return to({ ...state, fence: Math.max(state.fence, epoch) }, reply({ type: 'discarded', epoch }));
  }
  if (epoch < state.epoch) return to(state, reply({ type: 'discarded', epoch }));
  if (epoch > state.epoch)
    return stay(state, 'discard', `about epoch ${epoch}, the node is at ${state.epoch}`);
  if (!endable(state.at)) return stay(state, 'discard', `not while ${state.at}`);
  return to({ at: 'killing', epoch, answer: 'discarded' }, { do: 'kill-copy', epoch });
}

/** What is not about to be thawed. */
const endable = (at: DestinationState['at']): boolean =>
  at === 'dead' || at === 'lost' || at === 'restored' || at === 'unthawed';

function outcome(state: DestinationState, input: DestinationInput & { type: 'outcome' }): Next {
  if (!waits(state) || state.epoch !== input.epoch) return stay(state, 'outcome', 'nothing was asked');
  switch (input.outcome) {
    case 'committed':
      return commit(state, input.epoch);
    case 'aborted':
      return abort(state, input.epoch);
    case 'returned':
      return discard(state, input.epoch);
    case 'moving':
      return to(state);
    case 'unknown':
      return to(state, { do: 'stranded', reason: `the home knows nothing of epoch ${input.epoch}` });
    default:
      return never(input.outcome);
  }
}

function noted(state: DestinationState, written: Note): Next {
  const expected = {
    noting: 'receiving',
    'noting-restored': 'restored',
    'noting-thawing': 'thawing',
    'noting-hosting': 'hosting',
  };
  switch (state.at) {
    case 'noting':
    case 'noting-restored':
    case 'noting-thawing':
    case 'noting-hosting':
      if (written.state !== expected[state.at] || written.epoch !== state.epoch) break;
      return afterNote(state);
    default:
  }
  return stay(state, 'noted', `not while ${state.at}`);
}

function afterNote(
  state: DestinationState & { at: 'noting' | 'noting-restored' | 'noting-thawing' | 'noting-hosting' },
): Next {
  const { epoch } = state;
  switch (state.at) {
    case 'noting':
      return to({ at: 'preparing', epoch }, { do: 'prepare', order: state.order });
    case 'noting-restored': {
      const { figures } = state;
      return to({ at: 'restored', epoch, figures }, reply({ type: 'restored', epoch, figures }), {
        do: 'retry',
      });
    }
    case 'noting-thawing':
      return to({ at: 'thawing', epoch }, { do: 'unpark-thaw', epoch });
    case 'noting-hosting':
      return to({ at: 'idle', fence: epoch, hosting: epoch }, reply({ type: 'thawed', epoch }));
    default:
      return never(state);
  }
}

type Done = DestinationInput & {
  type: 'ready' | 'restored' | 'executor-failed' | 'unparked' | 'killed' | 'cleared';
};

function done(state: DestinationState, input: Done): Next {
  if (state.at === 'idle' || state.epoch !== input.epoch) return stay(state, input.type, 'of another epoch');
  const { epoch } = state;
  const awaited = `${state.at} ${input.type}`;
  if (state.at === 'preparing' && input.type === 'ready') {
    const tickets = { pages: input.pages, images: input.images };
    return to({ at: 'prepared', epoch, tickets }, reply({ type: 'prepared', epoch, ...tickets }));
  }
  if (state.at === 'restoring' && input.type === 'restored') {
    return to({ at: 'noting-restored', epoch, figures: input.figures }, note('restored', epoch));
  }
  if (state.at === 'thawing' && input.type === 'unparked') {
    return to({ at: 'noting-hosting', epoch }, note('hosting', epoch));
  }
  if (state.at === 'killing' && input.type === 'killed') {
    return to({ ...state, at: 'clearing' }, { do: 'clear', epoch });
  }
  if (state.at === 'clearing' && input.type === 'cleared') {
    return to({ at: 'idle', fence: epoch, hosting: null }, reply({ type: state.answer, epoch }));
  }
  if (input.type !== 'executor-failed') return stay(state, input.type, `not awaited: ${awaited}`);
  return failed(state, epoch, { reason: input.reason, obstacle: input.obstacle });
}

function failed(state: DestinationState, epoch: Epoch, why: Why): Next {
  const said = fail(epoch, why.reason, why.obstacle);
  if (state.at === 'preparing' || state.at === 'restoring') {
    return to({ at: 'dead', epoch, ...why }, { do: 'kill-copy', epoch }, said, {
      do: 'retry',
    });
  }
  if (state.at === 'thawing') return to({ at: 'unthawed', epoch }, said, { do: 'retry' });
  return stay(state, 'executor-failed', `not while ${state.at}`);
}

function died(state: DestinationState): Next {
  switch (state.at) {
    case 'noting-restored':
    case 'restored':
      return to({ at: 'dead', epoch: state.epoch, reason: 'the restored copy died' }, { do: 'retry' });
    case 'noting-thawing':
    case 'unthawed':
      // Nothing ran: the note goes back to what a later run of the agent may conclude that from.
      return to(
        { at: 'dead', epoch: state.epoch, reason: 'the restored copy died' },
        note('restored', state.epoch),
        {
          do: 'retry',
        },
      );
    case 'thawing':
      return to({ at: 'lost', epoch: state.epoch }, reply({ type: 'lost', epoch: state.epoch }));
    default:
      return stay(state, 'copy-died', `not while ${state.at}`);
  }
}

function restarted(found: Note | null, present: Presence): Next {
  if (found === null || found.state === 'sending') return to(destinationAtRest);
  const { epoch } = found;
  const ask: DestinationEffect[] = [{ do: 'ask', epoch }, { do: 'retry' }];
  const reason = 'the agent was restarted during the move';
  switch (found.state) {
    case 'hosting':
      return to({ at: 'idle', fence: epoch, hosting: epoch });
    case 'receiving':
      // The home was never told that it is restored, so it cannot have committed.
      return to({ at: 'dead', epoch, reason }, { do: 'kill-copy', epoch }, ...ask);
    case 'restored':
      if (present === 'none' || present === 'ended')
        return to({ at: 'dead', epoch, reason: 'the restored copy died' }, ...ask);
      return to({ at: 'restored', epoch, figures: { restore: 0 } }, ...ask);
    case 'thawing':
      if (present === 'none') return to({ at: 'lost', epoch }, reply({ type: 'lost', epoch }));
      if (present === 'ended') return to({ at: 'noting-hosting', epoch }, note('hosting', epoch));
      return to({ at: 'thawing', epoch }, { do: 'unpark-thaw', epoch });
    default:
      return never(found);
  }
}
