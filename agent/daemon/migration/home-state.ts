/** What the home of a job knows of its move, what it hears, and what it does about it: see home.ts. */
import type { NodeName } from '../../api/model';
import type { Debt, Entry, Epoch, Ledger, Move } from '../journal/ledger';
import type { FromDestination, FromSource, Ignored, ToDestination, ToSource, Why } from './messages';

/** How a move ends: the answer to its request. */
export type Ending = { outcome: 'moved' } | ({ outcome: 'aborted' | 'returned' | 'lost' } & Why);

type Phase =
  | { at: 'idle' }
  | { at: 'intending'; move: Move; cancelled: Why | null }
  | { at: 'preparing'; move: Move }
  | { at: 'sending'; move: Move }
  | { at: 'restoring'; move: Move }
  | { at: 'committing'; move: Move }
  | { at: 'aborting'; move: Move; why: Why }
  /** Committed: the destination gets `commit` until it answers. */
  | { at: 'thawing'; move: Move }
  | { at: 'returning'; move: Move }
  /** Aborted, or returned as epoch `as`: the source gets `abort` or `return` until it answers. */
  | { at: 'resuming'; move: Move; as: Epoch | null; why: Why }
  | { at: 'losing'; move: Move }
  /** The last answer is being written; then the move is over. */
  | { at: 'closing'; move: Move; ending: Ending }
  /** It runs nowhere, but the source may hold its frozen copy: a person decides. */
  | { at: 'lost'; move: Move }
  | { at: 'forgetting'; move: Move };

/** `debts` are the journal's. */
export type HomeState = Phase & { debts: readonly Debt[] };

export type HomeInput =
  /** The intent: the journal's host, its epoch and the next one. */
  | { type: 'migrate'; move: Move }
  /** The journal has `entry`, and with it is `ledger`. */
  | { type: 'written'; entry: Entry; ledger: Ledger }
  | { type: 'from-source'; node: NodeName; message: FromSource }
  | { type: 'from-destination'; node: NodeName; message: FromDestination }
  | { type: 'cancel'; reason: string }
  /** The answer that is awaited has not come in the time that it may take. */
  | { type: 'timeout' }
  | { type: 'disconnected'; node: NodeName }
  /** A node asked for the outcome of `epoch`: its agent was restarted or lost the connection. */
  | { type: 'asked'; node: NodeName; epoch: Epoch }
  | { type: 'retry' }
  /**
   * A person's word, of a job that is lost, or whose destination is gone before it has said that it thawed: let the
   * source's frozen copy run again, or discard it.
   */
  | { type: 'adopt' }
  | { type: 'forget' }
  /** The home that the job had before has heard that it has another. */
  | { type: 'from-former-home'; node: NodeName; epoch: Epoch; said: string }
  | { type: 'restarted'; ledger: Ledger };

export type HomeEffect =
  | { do: 'write'; entry: Entry }
  | { do: 'notify-source'; node: NodeName; message: ToSource }
  | { do: 'notify-destination'; node: NodeName; message: ToDestination }
  /** To the home that the job had before: that it is this node's now, as `epoch`. */
  | { do: 'notify-home'; node: NodeName; epoch: Epoch }
  /** Answer from the journal. */
  | { do: 'answer-outcome'; node: NodeName; epoch: Epoch }
  /** Come back with `retry` after a while that grows; one such timer a job. */
  | { do: 'retry' }
  | ({ do: 'report'; epoch: Epoch } & Ending)
  /** A state that nothing here resolves: a person should look. */
  | { do: 'stranded'; reason: string }
  | Ignored;

export const homeAtRest: HomeState = { at: 'idle', debts: [] };
