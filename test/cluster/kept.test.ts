/**
 * What is made again in a frozen copy: by the helper on a real job, of which nothing may run meanwhile, and what
 * becomes of a move whose copy can't be made as it was.
 */
import { execFile, execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { type ClientContract, clientContract } from '../../agent/api/client-contract';
import type { Remote } from '../../agent/api/contract';
import { faultsFolder } from '../../agent/daemon/migration/fault-points';
import { JobCgroup } from '../../agent/machine/cgroup/cgroup';
import { jobProcesses } from '../../agent/machine/proc/processes';
import { connectUnix } from '../../agent/wire/client';
import { compile } from '../support/c-programs';
import { Godwit } from '../support/godwit';
import { inProject } from '../support/project';
import { says } from '../support/rounds';

const ALL_MS = 200_000;
const LAB = `kept-${process.pid}`;
const HELPER = inProject('dist', 'godwit-helper');
const ADDR_NO_RANDOMIZE = '00040000';

let agent: Remote<ClientContract> & { close: () => void };
let folder = '';
const jobs: string[] = [];

beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'godwit-kept-')));
  await compile(inProject('test', 'programs', 'standing.c'), folder);
  await Godwit.labUp(LAB, { temp: folder });
  const socket = join('/var/lib/godwit/labs', LAB, 'node1', 'agent.sock');
  agent = await connectUnix(socket, { name: 'test', kind: 'client', contract: clientContract });
}, ALL_MS);
afterEach(async () => {
  for (const job of jobs.splice(0)) await agent.call('jobs.kill', { job, signal: 'SIGKILL' }).catch(() => {});
});
afterAll(async () => {
  agent?.close();
  await Godwit.labDown(LAB);
  rmSync(folder, { recursive: true, force: true });
});

const consoleOf = (job: string) => join('/var/lib/godwit/labs', LAB, 'node1', 'jobs', job, 'console');

async function launched(program: string, args: string[], more = {}): Promise<string> {
  const env = process.env as Record<string, string>;
  const request = { program, args, cwd: folder, env, node: 'home', stopped: false, ...more };
  const { id } = await agent.call('jobs.run', request);
  jobs.push(id);
  await says(consoleOf(id), 'ready');
  return id;
}

/** Where the job's body is on this machine, which all nodes share. */
async function bodyOf(job: string, epoch = 0): Promise<{ cgroup: JobCgroup; pids: number[] }> {
  const found = execFileSync('find', ['/sys/fs/cgroup', '-type', 'd', '-name', `${job}.${epoch}`], {
    encoding: 'utf8',
  });
  const paths = found.split('\n').filter((path) => path && readdirSync(path).includes('run'));
  const cgroup = JobCgroup.at(paths[0]!);
  return { cgroup, pids: (await jobProcesses(cgroup)).map(({ pid }) => pid) };
}

async function helper(verb: string, { cgroup, pids }: { cgroup: JobCgroup; pids: number[] }) {
  const files = ['--notes', join(folder, 'references'), '--traits', join(folder, 'traits')];
  const cgroups = ['--run', cgroup.run, '--attach', cgroup.attach];
  const { stdout } = await promisify(execFile)(HELPER, [
    verb,
    ...files,
    ...cgroups,
    '--',
    ...pids.map(String),
  ]);
  return stdout;
}

/**
 * Each thread's place: the system call that it is in, its stack and instruction pointers; the signals that wait; its state.
 */
function standing(pid: number) {
  return readdirSync(`/proc/${pid}/task`).map((tid) => {
    const status = readFileSync(`/proc/${pid}/task/${tid}/status`, 'utf8');
    const signals = status.split('\n').filter((line) => /^(State|SigPnd|ShdPnd|TracerPid)/.test(line));
    return [tid, readFileSync(`/proc/${pid}/task/${tid}/syscall`, 'utf8'), ...signals];
  });
}

const personalities = (pid: number) =>
  readdirSync(`/proc/${pid}/task`).map((tid) =>
    readFileSync(`/proc/${pid}/task/${tid}/personality`, 'utf8').trim(),
  );

/** What the program counts in its busy thread, at the address that it has printed. */
function counted(pid: number, job: string): bigint {
  const at = BigInt(/counter at (0x[0-9a-f]+)/.exec(readFileSync(consoleOf(job), 'utf8'))![1]!);
  const script = `import sys\nf = open("/proc/${pid}/mem", "rb", buffering=0)\nf.seek(${at})\nprint(int.from_bytes(f.read(8), "little"))`;
  return BigInt(execFileSync('python3', ['-c', script], { encoding: 'utf8' }).trim());
}

it(
  'calls are made inside a frozen process, and none of its own instructions runs',
  async () => {
    const job = await launched(join(folder, 'standing'), [join(folder, 'go')]);
    const body = await bodyOf(job);
    const program = body.pids[1]!;
    await body.cgroup.freeze(10_000);
    await helper('note', body);
    const noted = readFileSync(join(folder, 'traits'), 'utf8');
    expect(await helper('recognise', body)).toBe('');

    writeFileSync(
      join(folder, 'traits'),
      noted.replaceAll('personality\t00000000', `personality\t${ADDR_NO_RANDOMIZE}`),
    );
    const before = { at: standing(program), counted: counted(program, job) };
    expect(new Set(personalities(program))).toEqual(new Set(['00000000']));
    expect(await helper('recognise', body)).toBe('');
    expect(new Set(personalities(program))).toEqual(new Set([ADDR_NO_RANDOMIZE]));
    expect(await body.cgroup.isFrozen()).toBe(true);
    // Counted as frozen, a thread is on its processor for an instant more.
    await expect
      .poll(() => ({ at: standing(program), counted: counted(program, job) }), { timeout: ALL_MS })
      .toEqual(before);

    await body.cgroup.thaw();
    writeFileSync(join(folder, 'go'), '');
    await says(consoleOf(job), 'all as it was');
  },
  ALL_MS,
);

it(
  'what does the calls takes the copy along when it is killed',
  async () => {
    const job = await launched('sh', ['-c', 'echo ready; exec sleep 1000']);
    const body = await bodyOf(job);
    await body.cgroup.freeze(10_000);
    await helper('note', body);
    const traits = readFileSync(join(folder, 'traits'), 'utf8').replaceAll(
      'personality\t00000000',
      `personality\t${ADDR_NO_RANDOMIZE}`,
    );
    writeFileSync(join(folder, 'traits'), traits);
    const argv = [
      '--notes',
      join(folder, 'references'),
      '--traits',
      join(folder, 'traits'),
      '--run',
      body.cgroup.run,
    ];
    const stuck = ['--attach', body.cgroup.run, '--', ...body.pids.map(String)];
    // Into the frozen leaf itself, where a call never comes to its end.
    const child = execFile(HELPER, ['recognise', ...argv, ...stuck]);
    const traced = () => /TracerPid:\s+[1-9]/.test(readFileSync(`/proc/${body.pids[0]}/status`, 'utf8'));
    for (const late = Date.now() + 30_000; !traced() && Date.now() < late; ) await sleep(5);
    expect(traced()).toBe(true);
    child.kill('SIGKILL');
    // Its PID 1 first of all, and so all of it.
    const { exit } = await agent.call('jobs.wait', { job });
    expect(exit).not.toBeNull();
  },
  ALL_MS,
);

/** A move to `node` that stands still when the copy is restored there and has yet to be recognised. */
async function stopsRestored(job: string, node: string) {
  const faults = faultsFolder(join('/var/lib/godwit/labs', LAB, node));
  const point = join(faults, 'destination.restored');
  mkdirSync(faults, { recursive: true });
  writeFileSync(point, '');
  const moved = agent.call('jobs.migrate', { job, node, transfer: 'auto' });
  moved.catch(() => {});
  const reached = `${point}.reached`;
  for (const late = Date.now() + 60_000; !existsSync(reached) && Date.now() < late; ) await sleep(20);
  expect(existsSync(reached)).toBe(true);
  return { moved, goOn: () => rmSync(reached) };
}

const whereOf = async (job: string) => (await agent.call('jobs.show', { job })).node;

it(
  'a copy that is not as it was, and that nothing can make so, is given up by name',
  async () => {
    const job = await launched('sh', ['-c', 'echo ready; exec sleep 1000']);
    const { moved, goOn } = await stopsRestored(job, 'node2');
    const copy = await bodyOf(job, 1);
    execFileSync('prlimit', ['--pid', `${copy.pids[1]}`, '--core=4096:4096']);
    goOn();
    await expect(moved).rejects.toMatchObject({
      message: expect.stringMatching(/limit of core file size of process 2 was .+ and is 4096:4096/),
    });
    expect(await whereOf(job)).toBe('node1');
    await agent.call('jobs.migrate', { job, node: 'node2', transfer: 'auto' });
  },
  ALL_MS,
);

/** Holds a lock on the first byte of a mapped file. */
const HOLDER = `
import fcntl, mmap, sys, time
file = open(sys.argv[1], "r+b")
page = mmap.mmap(file.fileno(), 4096)
fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
print("ready", flush=True)
time.sleep(1000)`;
/** Tries to lock that byte, and says whether it could. */
const TRY = `
import fcntl, sys
try:
    fcntl.lockf(open(sys.argv[1], "r+b"), fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
    print("mine")
except OSError:
    print("taken")`;
const tried = (path: string) => execFileSync('python3', ['-c', TRY, path], { encoding: 'utf8' }).trim();

it(
  'a lock that another process has taken at the home keeps the job from coming there, and it keeps its own',
  async () => {
    const file = join(folder, 'locked');
    writeFileSync(file, 'x'.repeat(4096));
    const job = await launched('python3', ['-c', HOLDER, file]);
    expect(tried(file)).toBe('taken');
    await agent.call('jobs.migrate', { job, node: 'node2', transfer: 'auto' });
    const { moved, goOn } = await stopsRestored(job, 'node1');
    const other = execFile('python3', ['-c', HOLDER, file]);
    await new Promise((ready) => other.stdout!.once('data', ready));
    goOn();
    await expect(moved).rejects.toMatchObject({
      message: expect.stringMatching(/process 2 held a write lock by its descriptor 3/),
    });
    expect(await whereOf(job)).toBe('node2');
    other.kill('SIGKILL');
    await new Promise((ended) => other.once('close', ended));
    await agent.call('jobs.migrate', { job, node: 'node1', transfer: 'auto' });
    expect(tried(file)).toBe('taken');
  },
  ALL_MS,
);

/** Both ends of a connection of the job's to itself, closed and still open as descriptors (7 is TCP_CLOSE). */
const ENDED = `
import socket, time
listener = socket.create_server(("127.0.0.1", 0))
ends = [socket.create_connection(listener.getsockname()), listener.accept()[0]]
listener.close()
for end in ends:
    end.shutdown(socket.SHUT_RDWR)
while any(end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) != b"\\x07" for end in ends):
    time.sleep(0.01)
print("ready", flush=True)
time.sleep(1000)`;

it(
  'a TCP connection that has ended moves, whatever size of segments its kernel still knows of it',
  async () => {
    const job = await launched('python3', ['-c', ENDED]);
    for (const node of ['node2', 'node1']) await agent.call('jobs.migrate', { job, node, transfer: 'auto' });
    expect(await whereOf(job)).toBe('node1');
  },
  ALL_MS,
);

/** As the job has locked a file, which it has not mapped, and as somebody else then does. */
const HOLDERS = [
  ['POSIX', 'fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)'],
  ['BSD', 'fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)'],
] as const;

it.each(HOLDERS)(
  'nobody is waited for who has locked what the job has locked: a %s lock',
  async (kind, lock) => {
    const file = join(folder, `locked-${kind}`);
    writeFileSync(file, '');
    const script = `import fcntl, sys, time\nfile = open(sys.argv[1], "r+b")\n${lock}\nprint("ready", flush=True)\ntime.sleep(1000)`;
    const job = await launched('python3', ['-c', script, file]);
    await agent.call('jobs.migrate', { job, node: 'node2', transfer: 'auto' });
    const other = execFile('python3', ['-c', script, file]);
    await new Promise((ready) => other.stdout!.once('data', ready));
    const moved = agent.call('jobs.migrate', { job, node: 'node1', transfer: 'auto' });
    await expect(moved).rejects.toThrow('another process has locked a file that the job has locked');
    expect(await whereOf(job)).toBe('node2');
    other.kill('SIGKILL');
    await new Promise((ended) => other.once('close', ended));
    await agent.call('jobs.migrate', { job, node: 'node1', transfer: 'auto' });
    expect(await whereOf(job)).toBe('node1');
  },
  ALL_MS,
);

it(
  'a job has the real-time policies that its node allows, and with a share of CPUs those that its group allows',
  async () => {
    const script = 'chrt -f 1 true 2>&- && echo allowed || echo refused; echo ready; sleep 1000';
    const printed = async (more: object) =>
      readFileSync(consoleOf(await launched('sh', ['-c', script], more)), 'utf8');
    const outside = execFileSync('sh', ['-c', script.replace('; sleep 1000', '')], { encoding: 'utf8' });
    expect(await printed({})).toBe(outside);
    // Of cgroup v1, with groups for real-time scheduling: a group has no such time until it is given some.
    const grouped = existsSync('/sys/fs/cgroup/cpu/cpu.rt_runtime_us');
    const limited = await printed({ limits: { cpus: 1 } });
    expect(limited.includes('refused')).toBe(grouped || outside.includes('refused'));
  },
  ALL_MS,
);
