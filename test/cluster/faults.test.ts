/** What goes wrong during a move, or between two: the job goes on, once, and nothing of it is left anywhere else. */
import { execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { asGodwitError } from '../../agent/api/errors';
import type { FaultPoint } from '../../agent/daemon/migration/fault-points';
import { JobCgroup } from '../../agent/machine/cgroup/cgroup';
import { readIdentity } from '../../agent/machine/proc/identity';
import { type FaultJob, FaultLab } from '../support/fault-lab';
import type { Gdb } from '../support/gdb';
import { commandLine, copiesOf } from '../support/processes';
import { attachedTo, debugsOn, letGo } from '../support/stepping';

let lab: FaultLab;
const gdbs: Gdb[] = [];
const undo: (() => void)[] = [];

beforeAll(async () => {
  lab = await FaultLab.up(`faults${process.pid}`);
});
afterAll(() => lab?.down());
afterEach(async () => {
  for (const back of undo.splice(0)) back();
  for (const gdb of gdbs.splice(0)) gdb.kill();
  lab.criu('real');
  await lab.recover();
});

/** The failure of a call that must fail. */
async function failure(call: Promise<unknown>) {
  const outcome = await call.then(
    (value) => ({ value }),
    (error) => ({ error: asGodwitError(error) }),
  );
  if ('error' in outcome) return outcome.error;
  throw new Error(`it should have failed, but: ${JSON.stringify(outcome.value)}`);
}

/** A node that a test fills. */
function fullDisk(node: string) {
  const images = join(lab.paths(node).state, 'images');
  mkdirSync(images, { recursive: true });
  const mount = ['-t', 'tmpfs', '-o', 'size=8k', 'full', images];
  execFileSync('nsenter', [...lab.seenFrom(node), 'mount', ...mount]);
  let full = true;
  const back = () => {
    if (full) execFileSync('nsenter', [...lab.seenFrom(node), 'umount', '-l', images]);
    full = false;
  };
  undo.push(back);
  return back;
}

async function stands(node: string, point: FaultPoint): Promise<void> {
  await lab.comesTo(async () => (lab.stands(node, point) ? null : `no move comes by ${point}`));
}

/** A move that is waited for as long as it takes to be given up. */
const migrateSlowly = ({ id, home }: FaultJob) =>
  lab.ask(home, 'jobs.migrate', { job: id, node: 'node3', transfer: 'stop' }, 90_000);

const attached = (job: FaultJob, node = 'node1') => attachedTo(lab, job, node, gdbs);

/** It has not moved, goes on where it was, and can be moved. */
async function runsOn(job: FaultJob, node: string): Promise<void> {
  expect(await job.settles()).toBe(node);
  await job.goesOn();
}

async function isOver(job: FaultJob): Promise<void> {
  await job.ends();
  await lab.leavesNothing();
}

const processesWith = (node: string, word: string) => lab.processesWith(node, word);

describe('an agent is killed while nothing moves', () => {
  test('at home the job runs on meanwhile; elsewhere it does when its files are reached again', async () => {
    const atHome = await lab.run('node2', 'node2');
    const job = await lab.run('node1', 'node2');
    for (const victim of ['node2', 'node1']) {
      for (let time = 0; time < 2; time++) {
        await lab.kill(victim);
        await atHome.goesOn();
        await lab.restart(victim);
        await runsOn(job, 'node2');
      }
    }
    await atHome.ends();
    await job.migrate('node3');
    await isOver(job);
  });

  test.for([
    { home: 'node2', victim: 'node2' },
    { home: 'node1', victim: 'node1' },
    { home: 'node1', victim: 'node2' },
  ])('a job of $home on node2 ends while the agent of $victim is away', async ({ home, victim }) => {
    const job = await lab.run(home, 'node2');
    const [pid] = copiesOf(lab.program);
    await lab.kill(victim);
    process.kill(pid!, 'SIGTERM');
    // What it says at its end waits for its home.
    if (home === 'node2')
      await lab.comesTo(async () => (copiesOf(lab.program).length === 0 ? null : 'it runs on'));
    await lab.restart(victim);
    await job.ended();
    await lab.leavesNothing();
  });

  test('what belongs to no job is gone when it is back, and a process that is no job’s is left alone', async () => {
    const job = await lab.run('node1', 'node2');
    await lab.kill('node2');
    const { state } = lab.paths('node2');
    const left = ['images', 'roots'].map((folder) => join(state, folder, 'nobody0000.3'));
    for (const folder of left) mkdirSync(folder);
    left.push(join(state, 'reports', 'nobody0000.3'));
    writeFileSync(left.at(-1)!, '');
    const needed = join(state, 'reports', 'nobody0000.4');
    writeFileSync(needed, '');
    const empty = await JobCgroup.of(`${lab.name}-node2`, 'nobody0000.3');
    const lived = await JobCgroup.of(`${lab.name}-node2`, 'nobody0000.4');
    await empty.create();
    await lived.create();
    const stray = spawn('sleep', ['600']);
    undo.push(() => stray.kill('SIGKILL'));
    writeFileSync(join(lived.run, 'cgroup.procs'), `${stray.pid}`);
    await lab.restart('node2');
    expect(left.filter((path) => existsSync(path))).toEqual([]);
    expect(existsSync(empty.path)).toBe(false);
    expect(stray.exitCode).toBeNull();
    expect(await lived.pids()).toEqual([stray.pid]);
    expect(existsSync(needed)).toBe(true);
    await lived.kill();
    await lived.remove();
    rmSync(needed);
    await runsOn(job, 'node2');
    await isOver(job);
  });

  test('a job that a signal ends while its agent is away', async () => {
    const job = await lab.run('node2', 'node2');
    const [pid] = copiesOf(lab.program);
    await lab.kill('node2');
    process.kill(pid!, 'SIGKILL');
    await lab.restart('node2');
    expect(await job.wait()).toMatchObject({ exit: 137, signal: 'SIGKILL' });
    await lab.leavesNothing();
  });
});

describe('with gdb attached', () => {
  test("the client's agent and then the host's are killed, and gdb goes on", async () => {
    const job = await lab.run('node1', 'node2');
    const gdb = await attached(job, 'node3');
    for (const victim of ['node3', 'node2', 'node1']) {
      await lab.kill(victim);
      await lab.restart(victim);
      await debugsOn(gdb);
    }
    await letGo(gdb);
    await isOver(job);
  });

  test('each agent that is killed and left to itself comes back, and gdb goes on', async () => {
    const job = await lab.run('node1', 'node2');
    const gdb = await attached(job, 'node3');
    for (const victim of lab.nodes) {
      const { pidFile } = lab.paths(victim).agent;
      const killed = (await readIdentity(pidFile))!;
      process.kill(killed.pid, 'SIGKILL');
      await lab.comesTo(async () => {
        const there = await readIdentity(pidFile);
        if (!there || there.pid === killed.pid) return 'it is not started again';
        (await lab.connect(victim)).close();
        return null;
      });
      await debugsOn(gdb);
    }
    await letGo(gdb);
    await isOver(job);
  });
});

test('a source that comes back in the midst of a move thaws nothing before its home has spoken', async () => {
  const job = await lab.run('node1', 'node2');
  // Another keeper than the one that the job began with knows nothing of it.
  await lab.killKeeper('node2');
  await job.goesOn();
  lab.arm('node2', 'source.images-sent');
  const failed = failure(job.migrate('node3'));
  await stands('node2', 'source.images-sent');
  await Promise.all([lab.kill('node2'), lab.kill('node1')]);
  lab.disarm();
  await lab.restart('node2');
  const copy = await JobCgroup.of(`${lab.name}-node2`, `${job.id}.0`);
  for (let look = 0; look < 20; look++, await sleep(100)) expect(await copy.isFrozen()).toBe(true);
  await lab.restart('node1');
  await failed;
  await runsOn(job, 'node2');
  await isOver(job);
});

describe('a job that ends while it moves', () => {
  test.for([
    { node: 'node1', point: 'home.intent-written' },
    { node: 'node3', point: 'destination.receiving-noted' },
    { node: 'node2', point: 'source.sending-noted' },
    { node: 'node2', point: 'source.streams-open' },
  ] as const)('by itself, at $point', async ({ node, point }) => {
    const job = await lab.run('node1', 'node2');
    lab.arm(node, point);
    const failed = failure(job.migrate('node3'));
    await stands(node, point);
    for (const pid of copiesOf(lab.program)) process.kill(pid, 'SIGTERM');
    // With its PID 1: what is left of a program that is just ending can still be moved.
    await lab.comesTo(async () => {
      const alive = (await lab.copies()).filter((copy) => copy.includes(`/${job.id}.`));
      return alive.length === 0 ? null : `not all of it has ended: ${alive}`;
    });
    lab.disarm();
    expect(await failed).toMatchObject({ code: 'job-ended' });
    await job.ended();
    await lab.leavesNothing();
  });

  test('by a signal, which it gets where it has come to', async () => {
    const job = await lab.run('node1', 'node2');
    lab.arm('node2', 'source.images-sent');
    const moved = job.migrate('node3');
    await stands('node2', 'source.images-sent');
    const told = job.signal('SIGTERM').then(
      () => 'told',
      (error) => asGodwitError(error).code,
    );
    // Refused, it would be so at once.
    expect(await Promise.race([told, sleep(1_000, 'waits')])).toBe('waits');
    lab.disarm();
    expect(await told).toBe('told');
    await moved.catch(() => {});
    await job.ended();
    await lab.leavesNothing();
  });

  test.for(['source.parked', 'source.dump-started'] as const)('by SIGKILL, frozen, at %s', async (point) => {
    const job = await lab.run('node1', 'node2');
    lab.arm('node2', point);
    const failed = failure(job.migrate('node3'));
    await stands('node2', point);
    for (const pid of copiesOf(lab.program)) process.kill(pid, 'SIGKILL');
    lab.disarm();
    expect((await failed).code).toMatch(/^(job-ended|move-failed)$/);
    expect(await job.wait()).toMatchObject({ exit: 137, signal: 'SIGKILL' });
    await lab.leavesNothing();
  });
});

describe('a move that fails', () => {
  test('the destination dies while the pages come in', async () => {
    const job = await lab.run('node1', 'node2', ['fill', '64']);
    const gdb = await attached(job);
    lab.criu('slow-dump');
    const failed = failure(job.migrate('node3'));
    await lab.comesTo(async () =>
      (await processesWith('node2', 'sleep')).length > 0 ? null : 'the dump does not begin',
    );
    await lab.kill('node3');
    for (const pid of await processesWith('node3', 'page-server')) process.kill(pid, 'SIGKILL');
    expect(await failed).toMatchObject({ code: 'move-failed', message: expect.stringContaining('node3') });
    await debugsOn(gdb);
    await lab.restart('node3');
    lab.criu('real');
    await job.place('node3');
    await debugsOn(gdb);
    await letGo(gdb);
    await isOver(job);
  });

  test("the destination's page server dies while the pages come in", async () => {
    const job = await lab.run('node1', 'node2', ['fill', '64']);
    lab.criu('slow-dump');
    const failed = failure(job.migrate('node3'));
    await lab.comesTo(async () => ((await processesWith('node2', 'sleep')).length > 0 ? null : 'no dump'));
    for (const pid of await processesWith('node3', 'page-server')) process.kill(pid, 'SIGKILL');
    expect(await failed).toMatchObject({ code: 'move-failed' });
    lab.criu('real');
    await runsOn(job, 'node2');
    await job.place('node3');
    await isOver(job);
  });

  test('half an image arrives', async () => {
    const job = await lab.run('node1', 'node2', ['fill', '8']);
    for (const { name, word } of [
      { name: /^pages-\d+\.img$/, word: 'did not arrive whole' },
      { name: /^core-\d+\.img$/, word: 'restore' },
    ]) {
      lab.arm('node3', 'destination.pages-here');
      const failed = failure(job.migrate('node3'));
      await stands('node3', 'destination.pages-here');
      const images = join(lab.paths('node3').state, 'images');
      const [folder] = readdirSync(images).filter((entry) => entry.startsWith(`${job.id}.`));
      for (const image of readdirSync(join(images, folder!)).filter((entry) => name.test(entry))) {
        const path = join(images, folder!, image);
        truncateSync(path, Math.floor(statSync(path).size / 2));
      }
      lab.disarm();
      const { code, message } = await failed;
      expect(code).toBe('move-failed');
      expect(message).toContain(word);
      await runsOn(job, 'node2');
    }
    await job.place('node3');
    await isOver(job);
  });

  test('what sends or takes the pages stands still for good', async () => {
    const [sender, taker] = [
      await lab.run('node1', 'node2', ['fill', '64']),
      await lab.run('node1', 'node2', ['fill', '64']),
    ];
    const ofJob = async (node: string, word: string, { id }: FaultJob) => {
      const pids = await processesWith(node, word);
      return pids.filter((pid) => commandLine(pid).includes(`/${id}.`));
    };
    const stop = async (node: string, word: string, job: FaultJob) => {
      let pids: number[] = [];
      await lab.comesTo(async () => {
        pids = await ofJob(node, word, job);
        // CRIU itself, not what is about to become it.
        const isShell = pids.some((pid) => commandLine(pid).startsWith('/bin/sh'));
        return pids.length > 0 && !isShell ? null : `no ${word} runs`;
      });
      for (const pid of pids) process.kill(pid, 'SIGSTOP');
    };
    lab.arm('node2', 'source.dump-started');
    const moves = [failure(migrateSlowly(sender))];
    await stands('node2', 'source.dump-started');
    await stop('node2', 'dump', sender);
    lab.disarm();
    lab.arm('node2', 'source.parked');
    moves.push(failure(migrateSlowly(taker)));
    await stands('node2', 'source.parked');
    await stop('node3', 'page-server', taker);
    lab.disarm();
    for (const { code, message } of await Promise.all(moves)) {
      expect(code).toBe('move-failed');
      expect(message).toContain('the transfer of its memory to node3 stood still for 20 s');
    }
    for (const job of [sender, taker]) {
      await runsOn(job, 'node2');
      await job.place('node3');
      await job.ends();
    }
    await lab.leavesNothing();
  });

  test.for(['node2', 'node3'])('the disk of %s is full', async (node) => {
    const job = await lab.run('node1', 'node2');
    const gdb = await attached(job);
    const back = fullDisk(node);
    const { code, message } = await failure(job.migrate('node3'));
    expect(code).toBe('move-failed');
    expect(message).toMatch(/no room|no space left/i);
    await debugsOn(gdb);
    back();
    await job.place('node3');
    await debugsOn(gdb);
    await letGo(gdb);
    await isOver(job);
  });

  test.for([
    { args: async () => ['open', '/dev/kmsg'], code: 'device-open', word: '/dev/kmsg' },
    {
      args: async () => ['tcp', ...(await lab.agentAt('node1'))],
      code: 'network-socket',
      word: 'has a TCP connection to 10.',
    },
  ])('the preflight names an obstacle: $code', async ({ args, code, word }) => {
    const job = await lab.run('node1', 'node2', await args());
    const error = await failure(job.migrate('node3'));
    expect(error).toMatchObject({ code, message: expect.stringContaining(word) });
    await runsOn(job, 'node2');
    await isOver(job);
  });

  test('the preflight names an obstacle of a job that is debugged: a Unix socket to a process outside', async () => {
    const path = join(lab.folder, 'outside');
    const server = createServer(() => {}).listen(path);
    undo.push(() => server.close());
    const job = await lab.run('node2', 'node2', ['connect', path]);
    const gdb = await attached(job);
    const { code, message } = await failure(job.migrate('node3'));
    expect(code).toBe('external-socket');
    expect(message).toContain('connected to a process outside the job over a Unix socket');
    await debugsOn(gdb);
    await letGo(gdb);
    await runsOn(job, 'node2');
    await isOver(job);
  });

  test.for([
    { mode: 'restore-fails' as const, word: 'The stars are wrong' },
    { mode: 'restore-lies' as const, word: 'restore' },
  ])('the restore does not work: $mode', async ({ mode, word }) => {
    const job = await lab.run('node1', 'node2');
    const gdb = await attached(job);
    lab.criu(mode);
    const { code, message } = await failure(job.migrate('node3'));
    expect(code).toBe('move-failed');
    expect(message).toContain(word);
    await debugsOn(gdb);
    lab.criu('real');
    await job.place('node3');
    await debugsOn(gdb);
    await letGo(gdb);
    await isOver(job);
  });

  test('there is no such node, or it is down', async () => {
    const job = await lab.run('node1', 'node2');
    expect(await failure(job.migrate('node9'))).toMatchObject({ code: 'no-such-node' });
    await lab.kill('node3');
    expect(await failure(job.migrate('node3'))).toMatchObject({ code: 'node-unreachable' });
    await runsOn(job, 'node2');
    await lab.restart('node3');
    await job.place('node3');
    await isOver(job);
  });
});

test('the client that asked for a move ends during it', async () => {
  const job = await lab.run('node1', 'node2');
  for (const moment of [0, 50, 100, 200, 300, 400, 500]) {
    await job.place('node2');
    const agent = await lab.connect('node1');
    const move = agent.call('jobs.migrate', { job: job.id, node: 'node3', transfer: 'stop' }).catch(() => {});
    await sleep(moment);
    agent.close();
    await move;
    await job.settles();
    await job.goesOn();
  }
  await isOver(job);
});

test('what agents and keepers have said of all that are lines of JSON, of the jobs that they are about', () => {
  const entries = lab.nodes.flatMap((node) =>
    [lab.paths(node).agent.log, lab.paths(node).keeper.log].flatMap((file) =>
      readFileSync(file, 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    ),
  );
  for (const entry of entries)
    expect(entry).toMatchObject({
      time: expect.stringMatching(/^\d{4}-.*Z$/),
      level: expect.stringMatching(/^(info|warn|error)$/),
      msg: expect.any(String),
    });
  const moves = entries.filter(({ role }) => role === 'source' || role === 'home');
  expect(moves.length).toBeGreaterThan(0);
  for (const { job } of moves) expect(job).toMatch(/^[a-z0-9]{10}$/);
});
