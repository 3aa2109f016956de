/** What nodes tell each other of who is alive and how loaded, in datagrams and over links. */
import { z } from 'zod';
import { list } from './bounded';
import { MOST_NODES } from './lists';
import { NodeName } from './model';

/** In the order in which they hold against each other within one incarnation. */
export const STANDINGS = ['alive', 'suspect', 'dead'] as const;
export const Standing = z.enum(STANDINGS);
export type Standing = z.infer<typeof Standing>;

/**
 * A number that only the member itself raises, when it hears that it is suspected or dead: whatever was said of the one
 * before is void then.
 */
export const Incarnation = z.int().min(0);

/**
 * A later version may add to a tuple's end: what comes behind these is not read, and not passed on. An item that is added
 * must be optional, for members who do not know of it yet.
 */
const growing = <const T extends readonly [z.ZodType, ...z.ZodType[]]>(...items: T) =>
  z
    .tuple(items, z.unknown())
    .transform((all) => all.slice(0, items.length) as unknown as z.output<z.ZodTuple<T, null>>);

/** Of whom; how it is; in which incarnation; who found it so, which of `alive` is the member itself. */
export const Statement = growing(NodeName, Standing, Incarnation, NodeName);
export type Statement = z.infer<typeof Statement>;

/** Of no use to anybody when it is older. */
export const MOST_AGE_MS = 3_600_000;

const Amount = z
  .number()
  .min(0)
  .max(2 ** 48);

const Count = z
  .int()
  .min(0)
  .max(2 ** 32);

/**
 * Its name, age in milliseconds, CPUs, speed, load, MiB of memory in all and free, jobs; and of later versions: threads
 * that want to run, now and on average, 1 if it is drained, and a mark that is another when its jobs have changed.
 */
export const LoadRecord = growing(
  NodeName,
  z.int().min(0).max(MOST_AGE_MS),
  Amount,
  Amount,
  Amount,
  Count,
  Count,
  Count,
  Amount.optional(),
  Amount.optional(),
  z.int().min(0).max(1).optional(),
  Count.optional(),
);
export type LoadRecord = z.infer<typeof LoadRecord>;

/** What goes along with each message between members. */
export const Telling = z.object({
  /** The sender's own. */
  incarnation: Incarnation,
  /** The latest entry of the list of members that the sender has. */
  roster: z.int().min(0),
  statements: list(Statement, { most: MOST_NODES }),
  loads: list(LoadRecord, { most: MOST_NODES }),
});
export type Telling = z.infer<typeof Telling>;
