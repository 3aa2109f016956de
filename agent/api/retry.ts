/** Trying again after a failure, with pauses that grow while nothing succeeds. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface PauseLimits {
  firstMs: number;
  mostMs: number;
}

/** A pause that doubles each time, up to a bound, until it is reset. */
export class GrowingPause {
  #nextMs: number;

  constructor(private readonly limits: PauseLimits) {
    this.#nextMs = limits.firstMs;
  }

  /** Milliseconds of the pause that is due now; the one after it is longer. */
  next(): number {
    const now = this.#nextMs;
    this.#nextMs = Math.min(2 * now, this.limits.mostMs);
    return now;
  }

  /** Something has succeeded: the next pause is the first one again. */
  reset(): void {
    this.#nextMs = this.limits.firstMs;
  }

  /** Resolves after the pause, or as soon as `signal` is aborted. */
  async wait(signal?: AbortSignal): Promise<void> {
    await sleep(this.next(), undefined, signal && { signal }).catch(() => {});
  }
}

/**
 * The result of `work`, which is tried again after each failure until it succeeds.
 * @param failed is called with each failure; what it throws ends the tries
 */
export async function retryUntilDone<T>(
  work: () => Promise<T>,
  failed: (error: unknown) => void,
  limits: PauseLimits,
): Promise<T> {
  const pause = new GrowingPause(limits);
  for (;;) {
    try {
      return await work();
    } catch (error) {
      failed(error);
      await pause.wait();
    }
  }
}
