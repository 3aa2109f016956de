import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ProgressDeadline } from '../../agent/machine/progress-deadline';

const LIMIT_MS = 200;

test('what goes on, however slowly, is waited for; what stands still is not', async () => {
  let done = 0;
  const deadline = new ProgressDeadline(LIMIT_MS, () => done);
  const began = performance.now();
  while (performance.now() - began < 4 * LIMIT_MS) {
    done++;
    expect(deadline.passed).toBe(false);
    await sleep(5);
  }
  const stopped = performance.now();
  while (!deadline.passed) await sleep(5);
  expect(performance.now() - stopped).toBeGreaterThan(LIMIT_MS / 2);
});
