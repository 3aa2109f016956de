import type { Daemons } from '../homefs/daemons';
import type { Copies } from './copies';

interface Held {
  copies: Copies;
  /** The two ends of homes' files. */
  daemons: readonly Daemons[];
  isMoving: () => boolean;
}

/**
 * What a keeper holds that can do without it: supervisors, which write down how a job ended, and file servers, which are
 * found by their sockets. Null while a job is launched or moved here, for which processes are asked that are neither.
 */
export async function dispensable({ copies, daemons, isMoving }: Held): Promise<string[] | null> {
  const keys = await Promise.all(daemons.map((some) => some.keys()));
  if (copies.isLaunching || isMoving()) return null;
  return [...copies.supervisors, ...keys.flat()];
}
