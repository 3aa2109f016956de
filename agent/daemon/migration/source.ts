/**
 * The source of a move, as a pure state machine: it freezes the job, sends it away, and keeps the frozen copy until the
 * home says what became of the move. It thaws only when the home says so (`abort`, `return`), after the home has
 * written that down; never by itself.
 *
 * The executor (source-executor.ts) carries effects out in order. `thaw-unpark` and `kill-copy` first end a dump that
 * still runs, and may be asked for twice. Before `restarted`, the executor has ended all that an earlier run of the
 * agent left running.
 */

import type { SourceFigures } from '../../api/move-contract';
import type { Epoch } from '../journal/ledger';
import type { Note } from '../journal/notes';
import {
  type CopyEffect,
  type CopyInput,
  type FromSource,
  fail,
  never,
  type Presence,
  reply,
  type Send,
  type Step,
  stay,
  type ToSource,
  type Why,
} from './messages';

/** The copy is, or may be, frozen here. `since`: the epoch under which the job is hosted if the move is aborted. */
interface Holding {
  at: 'holding';
  epoch: Epoch;
  since: Epoch;
  /** What `send` came to: figures, or why it failed. */
  result: { figures: SourceFigures } | Why;
  /** Why the frozen copy is not there any more, if it is not. */
  gone: string | null;
}

export type SourceState =
  /** `fence`: the highest epoch seen. `hosting`: the epoch under which this role knows the job to be here. */
  | { at: 'idle'; fence: Epoch; hosting: Epoch | null }
  | { at: 'noting'; epoch: Epoch; since: Epoch; order: Send }
  | { at: 'sending'; epoch: Epoch; since: Epoch }
  | Holding
  /** The thaw is under way; afterwards the job is hosted as `as`, and `resumed(epoch)` is said. */
  | { at: 'thawing'; epoch: Epoch; as: Epoch; answer: Epoch }
  | { at: 'rehosting'; epoch: Epoch; as: Epoch; answer: Epoch }
  | { at: 'killing'; epoch: Epoch }
  | { at: 'clearing'; epoch: Epoch };

export type SourceInput =
  | ToSource
  | CopyInput
  /** The executor has done what was asked, or has failed. */
  | { type: 'dumped'; epoch: Epoch; figures: SourceFigures }
  | ({ type: 'dump-failed'; epoch: Epoch } & Why)
  /** That the job is being sent could not be written down: nothing has been done. */
  | { type: 'not-noted'; epoch: Epoch; reason: string }
  /** There is no copy to thaw. One that the program, or a person, has ended is thawed like any other. */
  | { type: 'copy-died'; reason: string };

export type SourceEffect =
  | CopyEffect<FromSource>
  | { do: 'park-freeze-dump'; order: Send }
  | { do: 'thaw-unpark'; epoch: Epoch };

type Next = Step<SourceState, SourceEffect>;

export const sourceAtRest: SourceState = { at: 'idle', fence: 0, hosting: null };

const to = (state: SourceState, ...effects: SourceEffect[]): Next => ({ state, effects });
const goneFor = (epoch: Epoch, reason: string): SourceEffect => reply({ type: 'gone', epoch, reason });

/** Why a copy is gone whose end was not reported. */
const NONE_HERE = 'its agent found no process of it';

export function stepSource(state: SourceState, input: SourceInput): Next {
  switch (input.type) {
    case 'send':
      return send(state, input);
    case 'abort':
      return giveBack(state, input.epoch, null);
    case 'return':
      return giveBack(state, input.of, input.epoch);
    case 'discard':
      return discard(state, input.epoch);
    case 'outcome':
      return outcome(state, input);
    case 'noted':
      return noted(state, input.note);
    case 'not-noted':
      return notNoted(state, input.epoch, input.reason);
    case 'dumped':
    case 'dump-failed':
      return dumped(state, input);
    case 'unparked':
      if (state.at !== 'thawing' || state.epoch !== input.epoch)
        return stay(state, input.type, 'no thaw awaited');
      return to({ ...state, at: 'rehosting' }, { do: 'note', note: { state: 'hosting', epoch: state.as } });
    case 'killed':
      if (state.at !== 'killing' || state.epoch !== input.epoch)
        return stay(state, input.type, 'no kill awaited');
      return to({ ...state, at: 'clearing' }, { do: 'clear', epoch: state.epoch });
    case 'cleared':
      if (state.at !== 'clearing' || state.epoch !== input.epoch)
        return stay(state, input.type, 'nothing to clear');
      return to(
        { at: 'idle', fence: state.epoch, hosting: null },
        reply({ type: 'discarded', epoch: state.epoch }),
      );
    case 'copy-died':
      return died(state, input.reason);
    case 'disconnected':
    case 'retry':
      if (state.at !== 'holding') return to(state);
      return to(state, { do: 'ask', epoch: state.epoch }, { do: 'retry' });
    case 'restarted':
      return restarted(input.note, input.present);
    default:
      return never(input);
  }
}

function send(state: SourceState, order: Send): Next {
  const { epoch, since } = order;
  if (state.at === 'idle') {
    if (epoch <= state.fence)
      return to(state, fail(epoch, `epoch ${epoch} is over here, ${state.fence} is known`));
    return to(
      { at: 'noting', epoch, since, order },
      { do: 'note', note: { state: 'sending', epoch, since } },
    );
  }
  if (epoch !== state.epoch) return to(state, fail(epoch, `the node is still at epoch ${state.epoch}`));
  if (state.at !== 'holding') return stay(state, order.type, `already ${state.at}`);
  return to(state, said(state));
}

const said = ({ epoch, result }: Holding): SourceEffect =>
  'figures' in result
    ? reply({ type: 'sent', epoch, figures: result.figures })
    : fail(epoch, result.reason, result.obstacle);

function noted(state: SourceState, note: Note): Next {
  if (state.at === 'noting' && note.state === 'sending' && note.epoch === state.epoch) {
    const { epoch, since, order } = state;
    return to({ at: 'sending', epoch, since }, { do: 'park-freeze-dump', order });
  }
  if (state.at === 'rehosting' && note.state === 'hosting' && note.epoch === state.as) {
    const fence = Math.max(state.epoch, state.as);
    return to({ at: 'idle', fence, hosting: state.as }, reply({ type: 'resumed', epoch: state.answer }));
  }
  return stay(state, 'noted', `not while ${state.at}`);
}

function notNoted(state: SourceState, epoch: Epoch, reason: string): Next {
  if (state.at !== 'noting' || state.epoch !== epoch)
    return stay(state, 'not-noted', `not while ${state.at}`);
  return to({ at: 'idle', fence: epoch, hosting: state.since }, fail(epoch, reason));
}

function dumped(state: SourceState, input: SourceInput & { type: 'dumped' | 'dump-failed' }): Next {
  if (state.at !== 'sending' || state.epoch !== input.epoch)
    return stay(state, input.type, 'no dump awaited');
  const { epoch, since } = state;
  const result = input.type === 'dumped' ? { figures: input.figures } : reasonOf(input);
  const holding: Holding = { at: 'holding', epoch, since, result, gone: null };
  return to(holding, said(holding), { do: 'retry' });
}

const reasonOf = ({ reason, obstacle }: Why): Why => ({ reason, obstacle });

function died(state: SourceState, reason: string): Next {
  if (state.at !== 'thawing') return stay(state, 'copy-died', `not while ${state.at}`);
  const { epoch, as, answer } = state;
  const holding: Holding = { at: 'holding', epoch, since: as, result: { reason }, gone: reason };
  return to(holding, goneFor(answer, reason));
}

/** The home wrote that the job is the source's: after an abort as it was, after a return as epoch `as`. */
function giveBack(state: SourceState, epoch: Epoch, as: Epoch | null): Next {
  const message = as === null ? 'abort' : 'return';
  const answer = as ?? epoch;
  switch (state.at) {
    case 'idle':
      if (as !== null && state.hosting !== as) return to(state, goneFor(answer, NONE_HERE));
      return to(
        { ...state, fence: Math.max(state.fence, answer) },
        reply({ type: 'resumed', epoch: answer }),
      );
    case 'noting':
    case 'sending':
    case 'holding':
      if (epoch !== state.epoch)
        return stay(state, message, `about epoch ${epoch}, the node is at ${state.epoch}`);
      if (state.at === 'holding' && state.gone !== null) return to(state, goneFor(answer, state.gone));
      return to({ at: 'thawing', epoch, as: as ?? state.since, answer }, { do: 'thaw-unpark', epoch });
    case 'thawing':
    case 'rehosting':
    case 'killing':
    case 'clearing':
      return stay(state, message, `already ${state.at}`);
    default:
      return never(state);
  }
}

function discard(state: SourceState, epoch: Epoch): Next {
  if (state.at === 'idle') {
    return to({ ...state, fence: Math.max(state.fence, epoch) }, reply({ type: 'discarded', epoch }));
  }
  if (epoch < state.epoch) return to(state, reply({ type: 'discarded', epoch }));
  if (epoch > state.epoch)
    return stay(state, 'discard', `about epoch ${epoch}, the node is at ${state.epoch}`);
  if (state.at !== 'holding') return stay(state, 'discard', `not while ${state.at}`);
  return to({ at: 'killing', epoch }, { do: 'kill-copy', epoch });
}

/** `committed` changes nothing here: the copy is kept until the destination has thawed its own. */
function outcome(state: SourceState, input: SourceInput & { type: 'outcome' }): Next {
  if (state.at !== 'holding' || state.epoch !== input.epoch)
    return stay(state, 'outcome', 'nothing was asked');
  switch (input.outcome) {
    case 'aborted':
      return giveBack(state, input.epoch, null);
    case 'returned':
      if (input.returned === undefined) return stay(state, 'outcome', 'returned, but as which epoch?');
      return giveBack(state, input.epoch, input.returned);
    case 'moving':
    case 'committed':
      return to(state);
    case 'unknown':
      return to(state, { do: 'stranded', reason: `the home knows nothing of epoch ${input.epoch}` });
    default:
      return never(input.outcome);
  }
}

function restarted(note: Note | null, present: Presence): Next {
  if (note?.state !== 'sending') {
    const hosting = note?.state === 'hosting' ? note.epoch : null;
    return to({ at: 'idle', fence: hosting ?? 0, hosting });
  }
  const { epoch, since } = note;
  const result = { reason: 'the agent was restarted during the move' };
  return to(
    { at: 'holding', epoch, since, result, gone: present === 'none' ? NONE_HERE : null },
    { do: 'ask', epoch },
    { do: 'retry' },
  );
}
