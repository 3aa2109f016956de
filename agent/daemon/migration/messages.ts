/** What the three roles of a move have in common. The messages themselves are the wire's. */
import type { Obstacle } from '../../api/model';
import type { EpochOutcome } from '../../api/move-contract';
import type { Presence } from '../jobs/presence';
import type { Epoch } from '../journal/ledger';
import type { Note } from '../journal/notes';

export type {
  DestinationFigures,
  FromDestination,
  FromSource,
  Send,
  SourceFigures,
  Tickets,
  ToDestination,
  ToSource,
  Why,
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

/** What comes to the source and to the destination alike, besides the home's messages: each has a copy. */
export type CopyInput =
  /** What the home's journal says of an epoch; of one that was given back, as which. */
  | { type: 'outcome'; epoch: Epoch; outcome: Outcome; returned?: Epoch }
  /** The executor has done what was asked. */
  | { type: 'unparked'; epoch: Epoch }
  | { type: 'killed'; epoch: Epoch }
  | { type: 'noted'; note: Note }
  | { type: 'cleared'; epoch: Epoch }
  | { type: 'disconnected' }
  | { type: 'retry' }
  | { type: 'restarted'; note: Note | null; present: Presence };

/** What the executors of both do. */
export type CopyEffect<Message> =
  | { do: 'note'; note: Note }
  | { do: 'clear'; epoch: Epoch }
  | { do: 'kill-copy'; epoch: Epoch }
  | { do: 'reply'; message: Message }
  | { do: 'ask'; epoch: Epoch }
  /** Come back with `retry` after a while, as long as the state waits for the home. */
  | { do: 'retry' }
  /** What this copy is can't be known: it stays frozen until a person decides. */
  | { do: 'stranded'; reason: string }
  | Ignored;

export const reply = <Message>(message: Message) => ({ do: 'reply', message }) as const;
export const fail = (epoch: Epoch, reason: string, obstacle?: Obstacle) =>
  reply({ type: 'failed', epoch, reason, ...(obstacle && { obstacle }) } as const);

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
