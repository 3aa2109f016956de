/**
 * The words of a move. The home speaks to the source and to the destination; each answers. Every word carries
 * the job (by the connection's request) and the epoch of the move that it is about. Words may come twice, late,
 * or never: a repeated word is answered again and changes nothing, a word of an older epoch is refused.
 */
import type { NodeName } from '../api/model';
import type { DestinationFigures, SourceFigures } from '../api/peer-contract';
import type { Epoch } from '../journal/ledger';

/** Where the destination takes pages and images. */
export interface Tickets {
  pages: string;
  images: string;
}

/** What the home's journal says of an epoch. `unknown`: the journal has no such job or no such epoch. */
export type Outcome = 'moving' | 'committed' | 'aborted' | 'returned' | 'unknown';

/** Park, freeze, dump, carry. */
export type Send = { type: 'send'; epoch: Epoch; since: Epoch; to: NodeName } & Tickets;

/** From the home to the source. */
export type ToSource =
  | Send
  /** The move is aborted: the job is yours still. */
  | { type: 'abort'; epoch: Epoch }
  /** The job lives elsewhere: kill the frozen copy. */
  | { type: 'discard'; epoch: Epoch }
  /** Move `of` was committed, but the destination never thawed it: the job is yours again, as `epoch`. */
  | { type: 'return'; epoch: Epoch; of: Epoch };

/** From the home to the destination. */
export type ToDestination =
  | { type: 'prepare'; epoch: Epoch; from: NodeName }
  | { type: 'restore'; epoch: Epoch }
  /** The job is yours: thaw it. */
  | { type: 'commit'; epoch: Epoch }
  /** The move is aborted: what you have was never the job. */
  | { type: 'abort'; epoch: Epoch }
  /** The move was committed and then given back or lost: forget it. */
  | { type: 'discard'; epoch: Epoch };

/** From the source to the home. */
export type FromSource =
  | { type: 'sent'; epoch: Epoch; figures: SourceFigures }
  | { type: 'failed'; epoch: Epoch; reason: string }
  | { type: 'resumed'; epoch: Epoch }
  /** There is no copy to thaw any more, and nobody knows how it ended. */
  | { type: 'gone'; epoch: Epoch }
  | { type: 'discarded'; epoch: Epoch };

/** From the destination to the home. */
export type FromDestination =
  | ({ type: 'prepared'; epoch: Epoch } & Tickets)
  | { type: 'held'; epoch: Epoch; figures: DestinationFigures }
  | { type: 'failed'; epoch: Epoch; reason: string }
  | { type: 'thawed'; epoch: Epoch }
  /** Proof: the copy is not there, was never thawed and never will be. */
  | { type: 'never-thawed'; epoch: Epoch }
  /** The copy is not there and may have run. */
  | { type: 'lost'; epoch: Epoch }
  | { type: 'dropped'; epoch: Epoch }
  | { type: 'discarded'; epoch: Epoch };

/**
 * What of the job is physically on the node when its agent starts. `held` is a restored copy, frozen.
 * `ended`: it is not there, and the keeper knows how it ended. `none`: it is not there and nobody knows why.
 */
export type Presence = 'running' | 'frozen' | 'held' | 'ended' | 'none';

/** An input that means nothing in this state; for the log. */
export interface Ignored {
  do: 'ignored';
  input: string;
  reason: string;
}

export interface Step<State, Effect> {
  state: State;
  effects: Effect[];
}

export const stay = <State>(state: State, input: string, reason: string): Step<State, Ignored> => ({
  state,
  effects: [{ do: 'ignored', input, reason }],
});

/** Every case has been dealt with: what comes here is a fault in the program. */
export function never(value: never): never {
  throw new Error(`not a known case: ${JSON.stringify(value)}`);
}
