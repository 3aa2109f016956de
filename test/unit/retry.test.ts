import { describe, expect, test } from 'vitest';
import { GrowingPause, retryUntilDone } from '../../agent/api/retry';

const LIMITS = { firstMs: 1, mostMs: 4 };

describe('a growing pause', () => {
  test('doubles up to its bound, and begins anew after a reset', () => {
    const pause = new GrowingPause(LIMITS);
    expect([pause.next(), pause.next(), pause.next(), pause.next()]).toEqual([1, 2, 4, 4]);
    pause.reset();
    expect([pause.next(), pause.next()]).toEqual([1, 2]);
  });

  test('ends early, without an error, when its signal is aborted', async () => {
    const over = new AbortController();
    const waited = new GrowingPause({ firstMs: 1_000_000, mostMs: 1_000_000 }).wait(over.signal);
    over.abort();
    await expect(waited).resolves.toBeUndefined();
  });
});

describe('retrying until done', () => {
  test('tells of each failure, and gives the result of the try that succeeds', async () => {
    const told: string[] = [];
    let tries = 0;
    const work = async () => {
      tries += 1;
      if (tries < 4) throw new Error(`try ${tries}`);
      return tries;
    };
    await expect(retryUntilDone(work, (error) => told.push((error as Error).message), LIMITS)).resolves.toBe(
      4,
    );
    expect(told).toEqual(['try 1', 'try 2', 'try 3']);
  });

  test('ends with what is thrown when it is told of a failure that is final', async () => {
    let tries = 0;
    const work = async () => {
      tries += 1;
      throw new Error(tries === 2 ? 'final' : 'passing');
    };
    const failed = (error: unknown) => {
      if ((error as Error).message === 'final') throw error;
    };
    await expect(retryUntilDone(work, failed, LIMITS)).rejects.toThrow('final');
    expect(tries).toBe(2);
  });
});
