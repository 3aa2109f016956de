/** Agents and keepers: started apart from whoever starts them, and found again by a file that names them for certain. */
import { spawn } from 'node:child_process';
import { open, readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isNodeError } from '../api/errors';
import { willNotEnd } from './errors';
import { namespacePath } from './network';

const END_DEADLINE_MS = 10_000;
const POLL_MS = 10;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** A process as no other will ever be: its number, and when it began, in ticks since the boot (man 5 proc_pid_stat). */
export interface Identity {
  pid: number;
  started: string;
}

/** The 22nd field; the second is a name that may contain spaces and parentheses. null when the process has ended. */
async function startOf(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return !stat || state === 'Z' || state === 'X' ? null : (rest[18] ?? null);
}

export const isAlive = async ({ pid, started }: Identity) => (await startOf(pid)) === started;

/** null where there is no such file, or no sense in it. */
export async function readIdentity(file: string): Promise<Identity | null> {
  const [, pid, started] = /^(\d+) (\d+)\n$/.exec(await readFile(file, 'utf8').catch(() => '')) ?? [];
  return pid && started ? { pid: Number(pid), started } : null;
}

export interface Start {
  /** Its network's name. */
  namespace: string;
  /** The mount namespace; null for this process's own. */
  files: string | null;
  argv: [string, ...string[]];
  log: string;
  pidFile: string;
}

/**
 * Starts a process in a network and a mount namespace, in a session of its own, its words in a log. nsenter(1) becomes
 * the program, so the number stays; unlike `ip netns exec` it leaves the mounts alone.
 */
export async function startApart({ namespace, files, argv, log, pidFile }: Start): Promise<Identity> {
  const out = await open(log, 'a', 0o600);
  try {
    const place = [`--net=${namespacePath(namespace)}`, ...(files ? [`--mount=${files}`] : [])];
    const child = spawn('nsenter', [...place, ...argv], {
      detached: true,
      cwd: '/',
      // Nothing of the terminal that the lab is started from: it outlives it.
      env: { PATH: process.env.PATH ?? PATH, HOME: '/root', LANG: 'C.UTF-8' },
      stdio: ['ignore', out.fd, out.fd],
    });
    await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject));
    child.unref();
    const identity = { pid: child.pid!, started: (await startOf(child.pid!)) ?? '0' };
    await writeFile(pidFile, `${identity.pid} ${identity.started}\n`, { mode: 0o600 });
    return identity;
  } finally {
    await out.close();
  }
}

export async function killIdentity(identity: Identity): Promise<void> {
  if (await isAlive(identity)) killPid(identity.pid);
}

export function killPid(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!isNodeError(error) || error.code !== 'ESRCH') throw error;
  }
}

/**
 * Asks `living` again and again, killing what it names, until it names none.
 * @throws GodwitError `will-not-end`
 */
export async function killAll(living: () => Promise<number[]>): Promise<void> {
  const deadline = performance.now() + END_DEADLINE_MS;
  for (let pids = await living(); pids.length > 0; pids = await living()) {
    if (performance.now() > deadline) throw willNotEnd(pids);
    for (const pid of pids) killPid(pid);
    await sleep(POLL_MS);
  }
}
