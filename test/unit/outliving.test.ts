/** What outlives its allocation on a node, as the node ends it; a real Slurm is in test/slurm. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Copies } from '../../agent/daemon/jobs/copies';
import { newCopy } from '../../agent/daemon/jobs/copy';
import { Outliving, type OutlivingParts } from '../../agent/daemon/jobs/outliving';

const USER = { name: 'ann', uid: 5, gid: 5, groups: [] };
let folder: string;
let program: ChildProcess;
let leaving: boolean;
let copies: Copies;
const said: string[] = [];

/** Files like a cgroup's, with a process in it; what would signal it writes down that it was asked to. */
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-outliving-'));
  program = spawn('sleep', ['1000']);
  leaving = true;
  copies = new Copies({ isLeaving: () => leaving });
  said.length = 0;
  const cgroup = join(folder, 'job');
  for (const leaf of ['run', 'attach']) {
    mkdirSync(join(cgroup, leaf), { recursive: true });
    writeFileSync(join(cgroup, leaf, 'cgroup.procs'), leaf === 'run' ? `${program.pid}\n` : '');
  }
  writeFileSync(join(folder, 'helper'), `#!/bin/sh\necho "$@" >>${folder}/asked\n`, { mode: 0o755 });
  writeFileSync(join(folder, 'asked'), '');
  const terms = { user: USER, limits: {}, address: null, terminal: false, shown: null, allocation: '17' };
  const made = { cgroup, report: '/report', files: null, launchedStopped: false };
  const copy = newCopy({ job: 'abcdefghij', epoch: 0, home: 'node9' }, terms, made);
  copy.init = program.pid!;
  copies.add(copy);
});
afterEach(() => {
  program.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

const outliving = (more: Partial<OutlivingParts> = {}) =>
  new Outliving({
    ...{ copies, helper: join(folder, 'helper'), graceMs: 0, leavingMs: 500 },
    allocations: { hasLeft: async () => true },
    host: { letGo: async () => {} },
    log: Object.assign((line: string) => said.push(line), {
      warn: (line: string) => said.push(line),
      error: (line: string) => said.push(line),
    }),
    ...more,
  } as unknown as OutlivingParts);
const asked = () => readFileSync(join(folder, 'asked'), 'utf8');

it('in a move it is left alone until that is over; one that is never over is named', async () => {
  await expect(outliving().end('17')).rejects.toThrow(
    'a frozen copy of job abcdefghij outlives its allocation 17: its home node9 does not say',
  );
  expect(asked()).toBe('');
  const ending = outliving({ leavingMs: 100_000 }).end('17');
  leaving = false;
  await expect.poll(asked, { timeout: 60_000 }).not.toBe('');
  program.kill('SIGKILL');
  await once(program, 'exit');
  writeFileSync(join(folder, 'job', 'run', 'cgroup.procs'), '');
  expect(await ending).toEqual(['abcdefghij']);
});

it('is not ended twice at once, and nothing of another allocation is', async () => {
  leaving = false;
  const ending = outliving({ graceMs: 100_000 });
  expect(await ending.end('18')).toEqual([]);
  expect(asked()).toBe('');
  const both = [ending.end('17'), ending.end('17')];
  expect(both[0]).toBe(both[1]);
  await expect
    .poll(() => said.filter((line) => line.endsWith('SIGTERM')), { timeout: 60_000 })
    .toHaveLength(1);
  writeFileSync(join(folder, 'job', 'run', 'cgroup.procs'), '');
  expect(await both[0]).toEqual(['abcdefghij']);
  expect(copies.get('abcdefghij')!.outlived).toBe(true);
});

it('is looked for by itself, and left alone while it is not known whether it is over', async () => {
  leaving = false;
  const refused = outliving({
    allocations: {
      hasLeft: async () => {
        throw new Error('no answer');
      },
    },
  });
  refused.start();
  await expect
    .poll(() => said.join(), { timeout: 60_000 })
    .toContain('whether allocation 17 is over is not known: no answer');
  expect(asked()).toBe('');
  outliving().start();
  await expect.poll(asked, { timeout: 60_000 }).not.toBe('');
  writeFileSync(join(folder, 'job', 'run', 'cgroup.procs'), '');
});
