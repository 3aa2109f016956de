import { AssertionError } from 'node:assert';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import type { Handlers } from '../../agent/api/contract';
import type { PeerContract } from '../../agent/api/peer-contract';
import { Peers } from '../../agent/daemon/cluster/peers';
import type { Settings } from '../../agent/daemon/cluster/settings';
import { assertFrozen } from '../../agent/debug/attach/unpark';
import type { Inferior } from '../../agent/debug/stub/inferior';
import { leave, standStill } from '../../agent/debug/stub/standstill';
import { firstOf } from '../../agent/wire/deadline';
import { connectionLost } from '../../agent/wire/errors';
import type { TlsIdentity } from '../../agent/wire/tls';

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

it.each([standStill, leave])('no process that runs is asked about: %o', async (about) => {
  let asked = 0;
  const requireServer = () => {
    asked += 1;
    throw new Error('it is a test');
  };
  const inferior = (runs: boolean) => ({ pid: 2, runs, requireServer }) as unknown as Inferior;
  await expect(about(inferior(true))).rejects.toThrow(AssertionError);
  expect(asked).toBe(0);
  await expect(about(inferior(false))).rejects.toThrow('it is a test');
});

it('a node answers itself only when it has been told how, and is told once', async () => {
  const peers = new Peers('node1', {} as Settings, {} as TlsIdentity);
  await expect(peers.call('node1', 'node.status', {})).rejects.toThrow(AssertionError);
  const told = { here: true };
  peers.serve({ 'node.status': async () => told } as unknown as Handlers<PeerContract>);
  await expect(peers.call('node1', 'node.status', {})).resolves.toBe(told);
  expect(() => peers.serve({} as Handlers<PeerContract>)).toThrow(AssertionError);
});
