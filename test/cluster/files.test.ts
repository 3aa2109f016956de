/** Jobs on their home's files, on nodes that have none of them. */
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { asGodwitError } from '../../agent/api/errors';
import { bridgeNamespace, processesOfNode } from '../../agent/lab/namespaces';
import { compile } from '../support/c-programs';
import { FaultJob, FaultLab } from '../support/fault-lab';
import { commandLine } from '../support/processes';
import { inProject } from '../support/project';

let lab: FaultLab;
let program: string;
/** One below each of two folders that the other nodes have for themselves. */
let folders: { root: string; temp: string };

beforeAll(async () => {
  folders = { root: mkdtempSync('/root/godwit-files-'), temp: mkdtempSync('/tmp/godwit-files-') };
  mkdirSync(join(folders.root, 'many'));
  for (let entry = 0; entry < 10_000; entry++) writeFileSync(join(folders.root, 'many', `${entry}`), '');
  program = await compile(inProject('test', 'programs', 'abroad.c'), folders.temp);
  lab = await FaultLab.up(`files${process.pid}`);
});
afterAll(async () => {
  await lab?.down();
  for (const folder of Object.values(folders)) rmSync(folder, { recursive: true, force: true });
});
afterEach(() => lab.recover());

async function launch(host: string): Promise<FaultJob> {
  const request = { program, args: ['.'], cwd: folders.root, env: {}, stopped: false, node: host };
  const { id } = await lab.ask('node1', 'jobs.run', request, 60_000);
  const job = new FaultJob(lab, id, 'node1');
  await goesOn(job);
  return job;
}

/** Generous: a connection over a link that was down is tried again at growing intervals. */
const GOES_ON_MS = 60_000;

/** It goes on, or has said what is wrong with its files. */
async function goesOn(job: FaultJob): Promise<void> {
  const before = job.output.length;
  await lab.comesTo(async () => (job.output.length > before ? null : 'it prints nothing'), GOES_ON_MS);
  expect(job.output).not.toMatch(/wrong/);
}

/** Ends the job, and looks at what it leaves at home. */
async function checked(job: FaultJob): Promise<void> {
  await job.ends();
  const rounds = Number(/end (\d+)\n$/.exec(job.output)?.[1]);
  const lines = Array.from({ length: rounds }, (_, round) => `line ${round}\n`).join('');
  expect(readFileSync(join(folders.root, 'log'), 'utf8')).toBe(lines);
  const shared = readFileSync(join(folders.root, 'shared'));
  expect([shared.readBigInt64LE(0), shared.readBigInt64LE(64 << 10)]).toEqual([
    BigInt(rounds),
    BigInt(rounds),
  ]);
  await lab.leavesNothing();
}

/** Those at home. */
async function servers(): Promise<number[]> {
  const pids = await processesOfNode(lab.name, 'node1');
  return pids.filter((pid) => commandLine(pid).split('\0').includes('serve'));
}

/** The cable of a node, at the bridge. */
const cable = (node: string, state: 'up' | 'down') =>
  execFileSync('nsenter', [`--net=${bridgeNamespace(lab.name)}`, 'ip', 'link', 'set', node, state]);

test('a job works with all kinds of files wherever it is, and home again', async () => {
  const seen = execFileSync('nsenter', [...lab.seenFrom('node2'), 'ls', '-A', '/root', '/tmp'], {
    encoding: 'utf8',
  });
  expect(seen).toBe('/root:\n\n/tmp:\n');
  const job = await launch('node2');
  for (const node of ['node3', 'node1', 'node2', 'node3', 'node1']) {
    await job.place(node);
    await goesOn(job);
  }
  await checked(job);
});

test('what comes between a job and its files makes it wait', { timeout: 400_000 }, async () => {
  const job = await launch('node2');
  cable('node2', 'down');
  await sleep(10_000);
  cable('node2', 'up');
  await goesOn(job);
  for (const victim of ['node1', 'node2']) {
    await lab.kill(victim);
    await lab.restart(victim);
    await goesOn(job);
  }
  await job.place('node3');
  await goesOn(job);

  // A home that stands still: the move is given up, and the job waits for its home as any program for its disk.
  let pids: number[] = [];
  await lab.comesTo(async () => {
    pids = await servers();
    return pids.length === 1 ? null : `its home has ${pids.length} servers`;
  });
  process.kill(pids[0]!, 'SIGSTOP');
  try {
    const failed = await lab
      .ask('node1', 'jobs.migrate', { job: job.id, node: 'node2', transfer: 'stop' }, 90_000)
      .then(() => null, asGodwitError);
    expect(failed?.code).toBe('home-unreachable');
  } finally {
    process.kill(pids[0]!, 'SIGCONT');
  }
  await goesOn(job);
  await job.place('node1');
  await goesOn(job);
  await checked(job);
});

test('what is edited at home is seen by the job, and what the job writes at home', async () => {
  const at = (name: string) => join(folders.root, name);
  writeFileSync(at('note'), 'first\n');
  // Each round the note as it is now, on what it says and in a file.
  const script = 'while :; do read -r note < note; echo "$note"; echo "$note" > answer; sleep 0.05; done';
  const request = { program: '/bin/sh', args: ['-c', script], cwd: folders.root, env: {}, stopped: false };
  const { id } = await lab.ask('node1', 'jobs.run', { ...request, node: 'node2' }, 60_000);
  const job = new FaultJob(lab, id, 'node1');
  const isAnswered = (note: string) =>
    lab.comesTo(async () => (job.output.endsWith(`${note}\n`) ? null : 'the job sees the old note'));
  const answers = (note: string) =>
    lab.comesTo(async () =>
      readFileSync(at('answer'), 'utf8') === `${note}\n` ? null : 'home sees the old',
    );
  await isAnswered('first');
  // The file itself and one in its place; here, and on another host.
  writeFileSync(at('note'), 'second, written over\n');
  await isAnswered('second, written over');
  await answers('second, written over');
  await job.place('node3');
  writeFileSync(at('note.new'), 'third, put in its place\n');
  renameSync(at('note.new'), at('note'));
  await isAnswered('third, put in its place');
  await answers('third, put in its place');
  await job.signal('SIGKILL');
  await job.wait();
  await lab.leavesNothing();
});

test('a file that was away from its name for a moment is no deleted one', async () => {
  const at = (name: string) => join(folders.root, name);
  // It writes through a descriptor and reads through a mapping, and says whether the name is there and what /proc says.
  const script = [
    'import mmap, os, time',
    'fd = os.open("kept", os.O_RDWR)',
    'shown = mmap.mmap(fd, 4096)',
    'number = 0',
    'while True:',
    '    number += 1',
    '    os.pwrite(fd, b"%8d" % number, 0)',
    '    print("there" if os.path.exists("kept") else "gone", os.readlink(f"/proc/self/fd/{fd}"), int(shown[:8]) == number, flush=True)',
    '    time.sleep(0.05)',
  ].join('\n');
  writeFileSync(at('kept'), Buffer.alloc(4096));
  const request = {
    program: '/usr/bin/python3',
    args: ['-c', script],
    cwd: folders.root,
    env: {},
    stopped: false,
  };
  const { id } = await lab.ask('node1', 'jobs.run', { ...request, node: 'node2' }, 60_000);
  const job = new FaultJob(lab, id, 'node1');
  const says = (line: string) =>
    lab.comesTo(async () => (job.output.endsWith(`${line}\n`) ? null : `it says other than ${line}`));
  await says(`there ${at('kept')} True`);
  renameSync(at('kept'), at('away'));
  await says(`gone ${at('kept')} (deleted) True`);
  renameSync(at('away'), at('kept'));
  await says(`there ${at('kept')} (deleted) True`);
  for (const node of ['node3', 'node2', 'node1']) {
    await job.place(node);
    await says(`there ${at('kept')} True`);
  }
  await job.signal('SIGKILL');
  await job.wait();
  expect(readdirSync(folders.root).filter((name) => name.startsWith('link_remap'))).toEqual([]);
  await lab.leavesNothing();
});

/** A move to node3 that is waited for as long as it takes to be given up. */
const failure = (job: FaultJob) =>
  lab
    .ask('node1', 'jobs.migrate', { job: job.id, node: 'node3', transfer: 'stop' }, 120_000)
    .then(() => null, asGodwitError);

test('a home that stands still during a move does no harm to the job', { timeout: 300_000 }, async () => {
  const blows = [
    { node: 'node2', point: 'source.streams-open', holder: 'node2' },
    { node: 'node2', point: 'source.parked', holder: 'node2' },
    { node: 'node3', point: 'destination.pages-here', holder: 'node3' },
  ] as const;
  const stopped: number[] = [];
  const jobs: FaultJob[] = [];
  const failures: ReturnType<typeof failure>[] = [];
  try {
    for (const { node, point, holder } of blows) {
      const job = await lab.run('node1', 'node2');
      jobs.push(job);
      lab.arm(node, point);
      failures.push(failure(job));
      await lab.comesTo(async () => (lab.stands(node, point) ? null : `no move comes by ${point}`));
      const pids = (await servers()).filter((pid) => {
        const line = commandLine(pid);
        return line.includes(`${job.id}.`) && line.includes(`.${holder}\0`);
      });
      expect(pids).toHaveLength(1);
      stopped.push(...pids);
      process.kill(pids[0]!, 'SIGSTOP');
      lab.disarm();
    }
    const outcomes = await Promise.all(failures);
    expect(outcomes.map((failed) => failed?.code)).toEqual(blows.map(() => 'move-failed'));
    const unreachable = expect.stringContaining("the files of its home node1 can't be reached");
    expect(outcomes.map((failed) => failed?.message)).toEqual(blows.map(() => unreachable));
  } finally {
    // The one of a destination that has cleared the move away is gone.
    for (const pid of stopped) if (commandLine(pid)) process.kill(pid, 'SIGCONT');
  }
  for (const job of jobs) {
    expect(await job.settles()).toBe('node2');
    await job.goesOn();
    await job.place('node3');
    await job.ends();
  }
  await lab.leavesNothing();
});

test('a job whose server at home is killed is lost, and the reason is told', async () => {
  const job = await launch('node2');
  for (const pid of await servers()) process.kill(pid, 'SIGKILL');
  await lab.comesTo(async () => {
    const { state } = await job.seen();
    return state === 'lost' ? null : `it is ${state}`;
  }, GOES_ON_MS);
  const { events } = await lab.ask('node1', 'jobs.history', { job: job.id });
  expect(events.at(-1)).toMatchObject({
    event: 'lost',
    reason: expect.stringContaining('files of its home node1'),
  });
  await lab.leavesNothing();
});

/** Appends its count to the file that it is given, over one descriptor, until it is ended. */
const APPENDS = `exec 3>>"$1"; i=0; while :; do echo "line $i" >&3; echo; i=$((i+1)); sleep 0.05; done`;

/** Empty of a process that has gone. */
function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return '';
  }
}

/** The type of the file system by which the job on that node has `file` open. */
async function fileSystemOf(file: string, node: string): Promise<string> {
  // Its shell, not one that is about to become a `sleep`.
  const [pid] = (await processesOfNode(lab.name, node)).filter(
    (process) => commandLine(process).split('\0').at(-2) === file && /^NSpid:.*\t2$/m.test(statusOf(process)),
  );
  const mount = /^mnt_id:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/3`, 'utf8'))![1];
  const lines = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').split('\n');
  return lines.find((line) => line.startsWith(`${mount} `))!.replace(/^.* - (\S+) .*$/, '$1');
}

test('a folder that nodes share is used directly where it is, and over the home elsewhere', async () => {
  const common = join(lab.folder, 'common');
  mkdirSync(common);
  for (const node of ['node1', 'node2']) {
    const { config } = lab.paths(node);
    const known = JSON.parse(readFileSync(config, 'utf8'));
    writeFileSync(config, JSON.stringify({ ...known, sharedPaths: [`${common}/`] }));
    await lab.kill(node);
    await lab.restart(node);
  }
  const sh = (script: string, file: string) => {
    const request = {
      program: '/bin/sh',
      args: ['-c', script, 'sh', file],
      cwd: '/',
      env: {},
      stopped: false,
    };
    return lab.ask('node1', 'jobs.run', { ...request, node: 'node1' }, 60_000);
  };
  const log = join(common, 'log');
  const { id } = await sh(APPENDS, log);
  const job = new FaultJob(lab, id, 'node1');
  await goesOn(job);
  const why = (node: string) => lab.ask('node1', 'jobs.why', { job: id, node });
  const via = async (node: string) => (await why(node)).files.find(({ path }) => path === log)?.via;
  expect(await via('node2')).toBe('shared');
  expect(await via('node3')).toBe('home');
  for (const node of ['node2', 'node3', 'node2', 'node1']) {
    await job.place(node);
    await goesOn(job);
    const fileSystem = await fileSystemOf(log, node);
    expect(fileSystem.startsWith('fuse')).toBe(node === 'node3');
  }
  expect(await via('node1')).toBe('local');
  await lab.ask('node1', 'jobs.kill', { job: id, signal: 'SIGKILL' });
  await lab.ask('node1', 'jobs.wait', { job: id });
  const written = readFileSync(log, 'utf8').split('\n').slice(0, -1);
  expect(written).toEqual(written.map((_, line) => `line ${line}`));

  // Of such a file a lock is known on both nodes: the copy that is to take over could never have it.
  const locks = await sh('exec 3>>"$1"; flock 3; echo; sleep 1000', join(common, 'locked'));
  const locker = new FaultJob(lab, locks.id, 'node1');
  await lab.comesTo(async () => (locker.output ? null : 'it has no lock yet'));
  const obstacles = async (node: string) =>
    (await lab.ask('node1', 'jobs.why', { job: locks.id, node })).obstacles.map(({ code }) => code);
  expect(await obstacles('node2')).toEqual(['file-lock']);
  expect(await obstacles('node3')).toEqual([]);
  await lab.ask('node1', 'jobs.kill', { job: locks.id, signal: 'SIGKILL' });
  await lab.ask('node1', 'jobs.wait', { job: locks.id });
  await lab.leavesNothing();
});
