/** What the kernel says about a job's processes (man 5 proc). */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { GodwitError } from '../../api/errors';
import { killPid } from './identity';
import { parseStat, pidsAmong, statusBytes, statusField, statusNumbers } from './parse';

export { parseStat } from './parse';

/** Ticks of /proc/PID/stat a second: USER_HZ, the same on every architecture that Godwit runs on. */
const TICKS_PER_SECOND = 100;

export interface JobProcess {
  /** As this node numbers it. */
  pid: number;
  /** As the job numbers it: the same wherever it runs. */
  inner: number;
  parent: number;
  /** The session's number, as the job numbers it. */
  session: number;
  /** R, S, D, T (stopped by a signal), t (by a tracer), Z. A frozen process shows S. */
  state: string;
  /** That have not ended, and the first in any case. */
  threads: number;
  comm: string;
  /** Resident memory, bytes. */
  rss: number;
  /** User and system time, microseconds. */
  cpuUsec: number;
}

export interface Thread {
  tid: number;
  state: string;
  comm: string;
  /** The kernel function it sleeps in; empty when it runs or the kernel does not show it. */
  wchan: string;
}

/** Anything that can list the processes of a job: its cgroup. */
export interface ProcessSource {
  pids(): Promise<number[]>;
}

/** The processes of this node, zombies excepted, that have this argument on their command line. */
export async function processesNaming(argument: string): Promise<number[]> {
  const pids = pidsAmong(await readdir('/proc'));
  const found = await Promise.all(
    pids.map(async (pid) =>
      (await read(`/proc/${pid}/cmdline`))?.split('\0').includes(argument) ? Number(pid) : null,
    ),
  );
  return found.filter((pid) => pid !== null);
}

/** Kills processes; those that have gone are passed over. */
export function killEach(pids: number[]): void {
  for (const pid of pids) killPid(pid);
}

/** null when the process has gone. */
export async function readProcess(pid: number): Promise<JobProcess | null> {
  const [stat, status] = await Promise.all([read(`/proc/${pid}/stat`), read(`/proc/${pid}/status`)]);
  if (!stat || !status) return null;
  const { comm, state, parent, ticks } = parseStat(stat);
  return {
    pid,
    inner: innerOf(status) ?? pid,
    parent,
    session: innerOf(status, 'NSsid') ?? 0,
    state,
    threads: Number(statusField(status, 'Threads') ?? 1),
    comm,
    rss: statusBytes(status, 'VmRSS'),
    cpuUsec: (ticks * 1_000_000) / TICKS_PER_SECOND,
  };
}

/** A job's processes in the order of their own numbers, PID 1 included. */
export async function jobProcesses(job: ProcessSource): Promise<JobProcess[]> {
  const processes = await Promise.all((await job.pids()).map(readProcess));
  return processes.filter((process) => process !== null).sort((a, b) => a.inner - b.inner);
}

/** This node's number of the job's process `inner`. Throws `no-such-process`. */
export async function nodePid(job: ProcessSource, inner: number): Promise<number> {
  for (const pid of await job.pids()) {
    const status = await read(`/proc/${pid}/status`);
    if (status && innerOf(status) === inner) return pid;
  }
  throw new GodwitError({
    code: 'no-such-process',
    message: `the job has no process ${inner}`,
    fix: "see `godwit ps` for its program's",
  });
}

/** Files looked at in one process, and of one job: more would make a long command line. */
const MAX_FILES_EACH = 256;
const MAX_FILES = 2048;

/** Descriptors of files (not sockets, pipes, devices) that the job has open, as `/proc/PID/fd/N`. */
export async function openFiles(job: ProcessSource): Promise<string[]> {
  const found = await Promise.all(
    (await job.pids()).map(async (pid) => {
      const folder = `/proc/${pid}/fd`;
      const names = (await readdir(folder).catch(() => [])).slice(0, MAX_FILES_EACH);
      const files = names.map(async (name) => {
        const target = await readlink(`${folder}/${name}`).catch(() => '');
        return target.startsWith('/') && !/^\/(dev|proc|sys)\//.test(target) ? `${folder}/${name}` : null;
      });
      return (await Promise.all(files)).filter((file) => file !== null);
    }),
  );
  return found.flat().slice(0, MAX_FILES);
}

/** The threads of a process; none when it has gone. */
export async function threadsOf(pid: number): Promise<Thread[]> {
  const tids = await readdir(`/proc/${pid}/task`).catch(() => []);
  const threads = await Promise.all(tids.map((tid) => readThread(pid, Number(tid))));
  return threads.filter((thread) => thread !== null);
}

async function readThread(pid: number, tid: number): Promise<Thread | null> {
  const [stat, wchan] = await Promise.all([
    read(`/proc/${pid}/task/${tid}/stat`),
    read(`/proc/${pid}/task/${tid}/wchan`),
  ]);
  if (!stat) return null;
  const { comm, state } = parseStat(stat);
  return { tid, state, comm, wchan: wchan && wchan !== '0' ? wchan : '' };
}

/** NSpid: this node's number first, then one for each PID namespace further in; the job's own is the second. */
const innerOf = (status: string, name = 'NSpid'): number | null => statusNumbers(status, name)[1] ?? null;

/** null when the process has gone. */
const read = (path: string): Promise<string | null> => readFile(path, 'utf8').catch(() => null);
