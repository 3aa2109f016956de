/**
 * The messages of a move. The home speaks to the source and to the destination; each answers. Every message carries the
 * epoch of the move that it is about. Messages may come twice, late, or never: a repeated message is answered again and
 * changes nothing, a message of an older epoch is refused.
 */
import { z } from 'zod';
import { Bytes, Epoch, NodeName, Obstacle, Span } from './model';

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
const message = <T extends string>(type: T) => z.object({ type: z.literal(type), ...epoch });
/** Why a part of a move failed; also as an obstacle where the requester can do something about it. */
const Why = z.object({ reason: z.string(), obstacle: Obstacle.optional() });
export type Why = z.infer<typeof Why>;
const failed = message('failed').extend(Why.shape);

/** Park, freeze, dump, carry. `since`: the epoch under which the job is the source's if the move is aborted. */
export const Send = message('send').extend({ since: Epoch, to: NodeName, ...tickets });
export type Send = z.infer<typeof Send>;

/** From the home to the source. */
export const ToSource = z.discriminatedUnion('type', [
  Send,
  /** The move is aborted: the job is yours still. */
  message('abort'),
  /** The job lives elsewhere: kill the frozen copy. */
  message('discard'),
  /** Move `of` was committed, but the destination never thawed it: the job is yours again, as `epoch`. */
  message('return').extend({ of: Epoch }),
]);
export type ToSource = z.infer<typeof ToSource>;

/** From the home to the destination. */
export const ToDestination = z.discriminatedUnion('type', [
  message('prepare').extend({ from: NodeName }),
  message('restore'),
  /** The job is yours: thaw it. */
  message('commit'),
  /** The move is aborted: what you have was never the job. */
  message('abort'),
  /** The move was committed and then given back or lost: forget it. */
  message('discard'),
]);
export type ToDestination = z.infer<typeof ToDestination>;

/** From the source to the home. */
export const FromSource = z.discriminatedUnion('type', [
  message('sent').extend({ figures: SourceFigures }),
  failed,
  message('resumed'),
  /** There is no copy to thaw any more; what of Godwit's ended it, as far as that is known. */
  message('gone').extend({ reason: z.string().default('the cause is unknown') }),
  message('discarded'),
]);
export type FromSource = z.infer<typeof FromSource>;

/** From the destination to the home. */
export const FromDestination = z.discriminatedUnion('type', [
  message('prepared').extend(tickets),
  message('restored').extend({ figures: DestinationFigures }),
  failed,
  message('thawed'),
  /** Proof: the copy is not there, was never thawed and never will be. */
  message('never-thawed'),
  /** The copy is not there and may have run. */
  message('lost'),
  message('dropped'),
  message('discarded'),
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
