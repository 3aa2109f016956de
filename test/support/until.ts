/** Waiting for what comes to be so. */
import { GrowingPause } from '../../agent/api/retry';

/** Most comes soon; where it takes long, looking would only take CPU from what is waited for. */
const PAUSES = { firstMs: 10, mostMs: 250 };

/** A pause before each further look. */
export const betweenLooks = () => new GrowingPause(PAUSES);

/** @throws Error, from what is returned, where it does not hold within so many milliseconds */
export const untilWithin =
  (limitMs: number) =>
  async (what: string, holds: () => Promise<boolean> | boolean): Promise<void> => {
    const pause = betweenLooks();
    for (const end = performance.now() + limitMs; !(await holds()); await pause.wait())
      if (performance.now() > end) throw new Error(`not so within ${limitMs} ms: ${what}`);
  };
