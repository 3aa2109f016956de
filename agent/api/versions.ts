/**
 * The numbers by which two versions of Godwit know whether they understand each other. Which change needs a new one:
 * docs/design/wire.md.
 */
import { z } from 'zod';

/** All numbers from one to the other. */
export const Versions = z
  .object({ oldest: z.int().min(1), newest: z.int().min(1) })
  .refine(({ oldest, newest }) => oldest <= newest, 'the oldest is newer than the newest');
export type Versions = z.infer<typeof Versions>;

/** What agents, clients and keepers say to each other. The one before is spoken too: nodes are upgraded one by one. */
export const PROTOCOL: Versions = { oldest: 1, newest: 1 };

/** What a source sends to a destination: a source writes the newest, a destination reads all of these. */
export const CHECKPOINT: Versions = { oldest: 1, newest: 1 };

/**
 * The keeper: its contract, and what of its own code must not wait for its end. The first had no number, and can't be
 * asked to retire.
 */
export const KEEPER = 2;

/** The newest that both know; null where there is none. */
export function common(one: Versions, other: Versions): number | null {
  const newest = Math.min(one.newest, other.newest);
  return newest >= Math.max(one.oldest, other.oldest) ? newest : null;
}

export const includes = ({ oldest, newest }: Versions, number: number): boolean =>
  oldest <= number && number <= newest;

export const versionsText = ({ oldest, newest }: Versions): string =>
  oldest === newest ? `${newest}` : `${oldest} to ${newest}`;

/** What a node understands. */
export const Understood = z.object({ protocol: Versions, checkpoint: Versions });
export type Understood = z.infer<typeof Understood>;
export const UNDERSTOOD: Understood = { protocol: PROTOCOL, checkpoint: CHECKPOINT };

const FIRST: Versions = { oldest: 1, newest: 1 };
/** By one that does not say. */
export const UNDERSTOOD_FIRST: Understood = { protocol: FIRST, checkpoint: FIRST };
