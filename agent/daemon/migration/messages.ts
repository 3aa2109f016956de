/** What the three roles of a move have in common. The messages themselves are the wire's. */
import type { EpochOutcome } from '../../api/move-contract';

export type {
  DestinationFigures,
  FromDestination,
  FromSource,
  Send,
  SourceFigures,
  Tickets,
  ToDestination,
  ToSource,
} from '../../api/move-contract';

export type { Presence } from '../jobs/presence';

export type Outcome = EpochOutcome['outcome'];

/** Error of a move whose job ended during it. */
export const PROGRAM_ENDED = 'its program has ended';

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
