import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ProgressDeadline } from '../../agent/machine/progress-deadline';

const LIMIT_MS = 200;
const STEP_MS = LIMIT_MS - 1;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

test('what goes on, however slowly, is waited for; what stands still is not', () => {
  let done = 0;
  const deadline = new ProgressDeadline(LIMIT_MS, () => done);
  for (let step = 0; step < 10; step++) {
    vi.advanceTimersByTime(STEP_MS);
    done++;
    expect(deadline.passed).toBe(false);
  }
  vi.advanceTimersByTime(LIMIT_MS);
  expect(deadline.passed).toBe(false);
  vi.advanceTimersByTime(1);
  expect(deadline.passed).toBe(true);
});
