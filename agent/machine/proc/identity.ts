/** Processes located through a pid file, across restarts. */
import { readdir, readFile } from 'node:fs/promises';
import { isNodeError } from '../../api/errors';
import { parseStat, pidsAmong } from './parse';

/** Identifies a process uniquely: its pid, and its start time in ticks since the boot (man 5 proc_pid_stat). */
export interface Identity {
  pid: number;
  started: string;
}

/** What /proc/PID/stat says; null: no such process. */
export async function statOf(pid: number): Promise<ReturnType<typeof parseStat> | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return stat ? parseStat(stat) : null;
}

/** null when the process has ended. */
export async function startOf(pid: number): Promise<string | null> {
  const stat = await statOf(pid);
  return !stat || stat.state === 'Z' || stat.state === 'X' ? null : stat.started || null;
}

/** The CPU time that a process has used, in ticks, to be compared. */
export async function cpuTimeOf(pid: number): Promise<string> {
  return `${(await statOf(pid))?.ticks ?? ''}`;
}

export const isAlive = async ({ pid, started }: Identity) => (await startOf(pid)) === started;

/** The processes that this one has started and that have not been waited for. */
export async function childrenOf(pid: number): Promise<Identity[]> {
  const pids = pidsAmong(await readdir('/proc')).map(Number);
  const found = await Promise.all(
    pids.map(async (child) => {
      const stat = await statOf(child);
      return stat?.parent === pid ? [{ pid: child, started: stat.started }] : [];
    }),
  );
  return found.flat();
}

/** Whether a signal or a tracer has stopped it. */
export const isStopped = async (pid: number) => /^[tT]$/.test((await statOf(pid))?.state ?? '');

export const killPid = (pid: number): void => signalPid(pid, 'SIGKILL');

/** One that has ended is no error. */
export function signalPid(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!isNodeError(error) || error.code !== 'ESRCH') throw error;
  }
}

/** Of a file with a line `PID STARTED`; null where there is no such file, or no sense in it. */
export async function readIdentity(file: string): Promise<Identity | null> {
  const [, pid, started] = /^(\d+) (\d+)\n$/.exec(await readFile(file, 'utf8').catch(() => '')) ?? [];
  return pid && started ? { pid: Number(pid), started } : null;
}
