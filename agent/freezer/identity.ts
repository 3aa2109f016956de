/** Processes that are found again by a file, whoever started them and whoever has died since. */
import { readFile } from 'node:fs/promises';
import { isNodeError } from '../api/errors';

/** A process as no other will ever be: its number, and when it began, in ticks since the boot (man 5 proc_pid_stat). */
export interface Identity {
  pid: number;
  started: string;
}

/** The 22nd field; the second is a name that may contain spaces and parentheses. null when the process has ended. */
export async function startOf(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return !stat || state === 'Z' || state === 'X' ? null : (rest[18] ?? null);
}

export const isAlive = async ({ pid, started }: Identity) => (await startOf(pid)) === started;

export function killPid(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!isNodeError(error) || error.code !== 'ESRCH') throw error;
  }
}

/** What `readIdentity` reads. */
export const identityLine = ({ pid, started }: Identity) => `${pid} ${started}\n`;

/** null where there is no such file, or no sense in it. */
export async function readIdentity(file: string): Promise<Identity | null> {
  const [, pid, started] = /^(\d+) (\d+)\n$/.exec(await readFile(file, 'utf8').catch(() => '')) ?? [];
  return pid && started ? { pid: Number(pid), started } : null;
}
