/** Waiting for what the workbench comes to show. */
import { setTimeout as sleep } from 'node:timers/promises';

/** The machine may be slow, and a move takes seconds on it. */
export const PATIENCE_MS = 60_000;
const POLL_MS = 100;

/**
 * Looks until `good` holds.
 * @param what for the message: "the call stack"
 * @throws Error with what was seen last
 */
export async function until<T>(
  what: string,
  look: () => Promise<T>,
  good: (seen: T) => boolean,
  limitMs = PATIENCE_MS,
): Promise<T> {
  const end = Date.now() + limitMs;
  for (;;) {
    const seen = await look();
    if (good(seen)) return seen;
    if (Date.now() > end)
      throw new Error(`${what} did not come about within ${limitMs} ms; seen: ${JSON.stringify(seen)}`);
    await sleep(POLL_MS);
  }
}
