/** Work of a move that several processes and a network do together has an end only if all of them go on. */
import { setTimeout as sleep } from 'node:timers/promises';
import { GodwitError } from '../../api/errors';

/**
 * How long a transfer may make no progress before the move is aborted. Longer than a connection may be silent before it
 * is closed (15 s), and than CRIU waits for one answer of a home's files (10 s): those errors say more.
 */
export const STALL_MS = 20_000;
/** A stall is this many looks in a row at which nothing had changed: a node that was itself stopped counts none. */
const LOOKS = 20;

/**
 * The outcome of `work`, as long as `mark` changes meanwhile: bytes that have passed, CPU time that was used. What
 * `work` does after a stall is its caller's to end.
 * @throws GodwitError `stalled`
 */
export async function whileItMoves<T>(
  what: string,
  mark: () => Promise<string> | string,
  work: Promise<T>,
  stallMs = STALL_MS,
): Promise<T> {
  const over = new AbortController();
  const stall = stands(what, mark, stallMs, over.signal);
  try {
    return await Promise.race([work, stall]);
  } finally {
    over.abort();
    stall.catch(() => {});
    work.catch(() => {});
  }
}

async function stands(
  what: string,
  mark: () => Promise<string> | string,
  stallMs: number,
  signal: AbortSignal,
): Promise<never> {
  let last = await mark();
  for (let looks = 0; looks < LOOKS; ) {
    await sleep(stallMs / LOOKS, undefined, { signal });
    const now = await mark();
    looks = now === last ? looks + 1 : 0;
    last = now;
  }
  throw new GodwitError({
    code: 'stalled',
    message: `${what} stood still for ${stallMs / 1000} s`,
    fix: 'see whether both nodes, their disks and the network between them are well, then try again',
  });
}
