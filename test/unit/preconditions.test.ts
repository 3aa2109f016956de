import { AssertionError } from 'node:assert';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { assertFrozen } from '../../agent/debug/attach/unpark';
import { firstOf } from '../../agent/wire/deadline';
import { connectionLost } from '../../agent/wire/errors';

it('nothing is waited for that has been given up already', () => {
  const error = () => connectionLost('it is a test');
  const ends = (lost: AbortSignal, cancelled?: AbortSignal) => ({
    lost: { signal: lost, error },
    cancelled: { signal: cancelled, error },
    late: { afterMs: 1, error },
  });
  const open = new AbortController().signal;
  expect(() => firstOf(Promise.resolve(), ends(AbortSignal.abort()))).toThrow(AssertionError);
  expect(() => firstOf(Promise.resolve(), ends(open, AbortSignal.abort()))).toThrow(AssertionError);
  return expect(firstOf(Promise.resolve(1), ends(open))).resolves.toBe(1);
});

it('no debugger is attached to a job, or let go of one, that is not frozen', () => {
  const run = mkdtempSync(join(tmpdir(), 'run-'));
  onTestFinished(() => rmSync(run, { recursive: true }));
  writeFileSync(join(run, 'cgroup.freeze'), '0\n');
  expect(() => assertFrozen(run)).toThrow(AssertionError);
  writeFileSync(join(run, 'cgroup.freeze'), '1\n');
  assertFrozen(run);
});
