/**
 * The words of a move. The home speaks to the source and to the destination; each answers. Every word carries the
 * epoch of the move that it is about. Words may come twice, late, or never: a repeated word is answered again and
 * changes nothing, a word of an older epoch is refused.
 */
import { z } from 'zod';
import { Bytes, Epoch, NodeName, Span } from './model';

/** Spans measured on the source; `frozenAfter` is counted from the order's arrival. */
export const SourceFigures = z.object({
  park: Span,
  frozenAfter: Span,
  dump: Span,
  transfer: Span,
  bytes: Bytes,
});
export type SourceFigures = z.infer<typeof SourceFigures>;
export const DestinationFigures = z.object({ restore: Span });
export type DestinationFigures = z.infer<typeof DestinationFigures>;

/** Where the destination takes pages and images: one-time tickets for streams. */
const tickets = { pages: z.string(), images: z.string() };
export const Tickets = z.object(tickets);
export type Tickets = z.infer<typeof Tickets>;

const epoch = { epoch: Epoch };
const word = <T extends string>(type: T) => z.object({ type: z.literal(type), ...epoch });
const failed = word('failed').extend({ reason: z.string() });

/** Park, freeze, dump, carry. `since`: the epoch under which the job is the source's if the move is aborted. */
export const Send = word('send').extend({ since: Epoch, to: NodeName, ...tickets });
export type Send = z.infer<typeof Send>;

/** From the home to the source. */
export const ToSource = z.discriminatedUnion('type', [
  Send,
  /** The move is aborted: the job is yours still. */
  word('abort'),
  /** The job lives elsewhere: kill the frozen copy. */
  word('discard'),
  /** Move `of` was committed, but the destination never thawed it: the job is yours again, as `epoch`. */
  word('return').extend({ of: Epoch }),
]);
export type ToSource = z.infer<typeof ToSource>;

/** From the home to the destination. */
export const ToDestination = z.discriminatedUnion('type', [
  word('prepare').extend({ from: NodeName }),
  word('restore'),
  /** The job is yours: thaw it. */
  word('commit'),
  /** The move is aborted: what you have was never the job. */
  word('abort'),
  /** The move was committed and then given back or lost: forget it. */
  word('discard'),
]);
export type ToDestination = z.infer<typeof ToDestination>;

/** From the source to the home. */
export const FromSource = z.discriminatedUnion('type', [
  word('sent').extend({ figures: SourceFigures }),
  failed,
  word('resumed'),
  /** There is no copy to thaw any more; what of Godwit's ended it, as far as that is known. */
  word('gone').extend({ reason: z.string().default('nobody knows how it ended') }),
  word('discarded'),
]);
export type FromSource = z.infer<typeof FromSource>;

/** From the destination to the home. */
export const FromDestination = z.discriminatedUnion('type', [
  word('prepared').extend(tickets),
  word('held').extend({ figures: DestinationFigures }),
  failed,
  word('thawed'),
  /** Proof: the copy is not there, was never thawed and never will be. */
  word('never-thawed'),
  /** The copy is not there and may have run. */
  word('lost'),
  word('dropped'),
  word('discarded'),
]);
export type FromDestination = z.infer<typeof FromDestination>;

/**
 * What the home's journal says of an epoch. `unknown`: the journal has no such job or no such epoch.
 * `as`: the epoch as which a returned job lives on.
 */
export const EpochOutcome = z.discriminatedUnion('outcome', [
  z.object({ outcome: z.enum(['moving', 'committed', 'aborted', 'unknown']) }),
  z.object({ outcome: z.literal('returned'), as: Epoch }),
]);
export type EpochOutcome = z.infer<typeof EpochOutcome>;
