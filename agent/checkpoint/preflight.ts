/** What would stop a move, looked for before anything is frozen. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { freemem } from 'node:os';
import type { Obstacle } from '../api/model';
import type { BoundPort } from '../api/peer-contract';
import type { JobCgroup } from '../freezer/cgroup';
import { type JobProcess, jobProcesses } from '../freezer/processes';
import { findCriu } from './criu';
import { boundPorts, type InetSocket, inetSockets, portTaken, socketObstacle, takenPorts } from './network';

/** Devices that every machine has, and that mean the same on each. */
const COMMON_DEVICES = /^\/dev\/(null|zero|full|random|urandom|tty|ptmx|pts\/\d+|shm\/.*)$/;
/** Descriptors looked at in one process; a program that has more is asked of CRIU itself. */
const MAX_DESCRIPTORS = 4096;

export async function cpuFlags(): Promise<string[]> {
  const info = await readFile('/proc/cpuinfo', 'utf8');
  return /^(?:flags|Features)\s*:\s*(.*)$/m.exec(info)?.[1]?.split(' ') ?? [];
}

export interface JobFindings {
  obstacles: Obstacle[];
  bytes: number;
  /** What it has in its host's own network, and needs at the destination. */
  ports: BoundPort[];
}

/** On the source: what of the job can't be carried. `address`: it has one of its own, so any connection goes along. */
export async function jobObstacles(cgroup: JobCgroup, address: boolean): Promise<JobFindings> {
  const processes = await jobProcesses(cgroup);
  const pids = new Set(processes.map(({ pid }) => pid));
  const found = await Promise.all(processes.map((process) => processObstacles(process, pids)));
  const sockets = address ? [] : await ownSockets(processes);
  const own = sockets.map(({ socket }) => socket);
  const network = sockets.map(({ socket, who }) => socketObstacle(socket, own, who));
  const all = [...found.flat(), ...network.filter((obstacle) => obstacle !== null)];
  const byCode = new Map(all.map((obstacle) => [obstacle.code + obstacle.what, obstacle]));
  const bytes = processes.reduce((sum, { rss }) => sum + rss, 0);
  return { obstacles: [...byCode.values()], bytes, ports: boundPorts(own) };
}

/** The job's network sockets, each with one process that has it open. */
async function ownSockets(processes: JobProcess[]): Promise<{ socket: InetSocket; who: string }[]> {
  const [one] = processes;
  if (!one) return [];
  const holders = new Map<number, string>();
  for (const process of processes) {
    for (const target of await descriptors(process.pid)) {
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
      if (inode) holders.set(Number(inode), name(process));
    }
  }
  // All of a job is in one network.
  return (await inetSockets(one.pid)).flatMap((socket) => {
    const who = holders.get(socket.inode);
    return who === undefined ? [] : [{ socket, who }];
  });
}

const name = ({ inner, comm }: JobProcess) => `process ${inner} (${comm})`;

async function processObstacles(process: JobProcess, own: Set<number>): Promise<Obstacle[]> {
  const who = name(process);
  const found: Obstacle[] = [];
  const tracer = Number(/^TracerPid:\s*(\d+)/m.exec(await read(`/proc/${process.pid}/status`))?.[1] ?? 0);
  if (own.has(tracer)) {
    found.push({
      code: 'traced',
      what: `${who} is traced by another process of the job`,
      fix: 'end the tracer (strace, gdb) inside the job; debug it with `godwit gdb` instead',
    });
  }
  for (const target of await descriptors(process.pid)) {
    const obstacle = descriptorObstacle(target, who);
    if (obstacle) found.push(obstacle);
  }
  return found;
}

function descriptorObstacle(target: string, who: string): Obstacle | null {
  if (target.startsWith('anon_inode:[io_uring]')) {
    return {
      code: 'io-uring',
      what: `${who} uses io_uring, which CRIU can't dump`,
      fix: 'run it without io_uring',
    };
  }
  if (target.startsWith('/dev/') && !COMMON_DEVICES.test(target)) {
    return {
      code: 'device-open',
      what: `${who} has ${target} open`,
      fix: 'have the program close the device',
    };
  }
  return null;
}

async function descriptors(pid: number): Promise<string[]> {
  const names = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const paths = names
    .slice(0, MAX_DESCRIPTORS)
    .map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => ''));
  return Promise.all(paths);
}

/** A process that has just ended has nothing to say. */
const read = (path: string) => readFile(path, 'utf8').catch(() => '');

/** On the destination: what is missing here for a job that needs `bytes` and `ports`, started on a CPU with `flags`. */
export async function nodeObstacles(
  node: string,
  bytes: number,
  flags: string[],
  ports: BoundPort[],
  criu?: string,
): Promise<Obstacle[]> {
  const taken = ports.length > 0 ? takenPorts(ports, await inetSockets('self')) : [];
  const found: Obstacle[] = taken.map((port) => portTaken(node, port));
  await findCriu(criu).catch((error: Error & { fix?: string }) => {
    found.push({
      code: 'no-criu',
      what: `${node}: ${error.message}`,
      fix: error.fix ?? 'see `godwit doctor`',
    });
  });
  const own = new Set(await cpuFlags());
  const missing = flags.filter((flag) => FEATURES.test(flag) && !own.has(flag));
  if (missing.length > 0) {
    found.push({
      code: 'cpu-features',
      what: `${node}'s CPU lacks ${missing.join(', ')}`,
      fix: 'choose a node with a CPU of the same kind, or launch the job on the oldest one',
    });
  }
  // The image and the restored job are in memory at the same time.
  if (2 * bytes > freemem()) {
    found.push({
      code: 'no-memory',
      what: `${node} has ${mib(freemem())} MiB free, and the move takes ${mib(2 * bytes)}`,
      fix: 'free memory there, or choose another node',
    });
  }
  return found;
}

/** Of the many flags, those that name instructions a program may have chosen at its start. */
const FEATURES =
  /^(sse|ssse|avx|fma|bmi|aes|sha|pclmul|popcnt|movbe|f16c|adx|rdrand|rdseed|xsave|amx|vaes|vpclmul|gfni|asimd|sve|atomics)/;
const mib = (bytes: number) => Math.round(bytes / 2 ** 20);
