/** What a program inherits from whoever launches it: a job gets it from the process that asks for it. */
import { readFileSync } from 'node:fs';
import { type LaunchRequest, Resource, type Resources } from '../api/model';

/** The rows of /proc/PID/limits (man 5 proc_pid_limits) by the names of getrlimit(2). */
const ROWS: Record<Resource, string> = {
  as: 'Max address space',
  core: 'Max core file size',
  cpu: 'Max cpu time',
  data: 'Max data size',
  fsize: 'Max file size',
  memlock: 'Max locked memory',
  msgqueue: 'Max msgqueue size',
  nice: 'Max nice priority',
  nofile: 'Max open files',
  nproc: 'Max processes',
  rss: 'Max resident set',
  rtprio: 'Max realtime priority',
  rttime: 'Max realtime timeout',
  sigpending: 'Max pending signals',
  stack: 'Max stack size',
};

/** The limits in a text of /proc/PID/limits; what the kernel does not tell is left out. */
export function parseLimits(text: string): Resources {
  const lines = text.split('\n');
  const number = (word: string) => (word === 'unlimited' ? null : Number(word));
  const found: Resources = {};
  for (const name of Resource.options) {
    const line = lines.find((row) => row.startsWith(`${ROWS[name]} `));
    const [soft, hard] = line?.slice(ROWS[name].length).trim().split(/\s+/) ?? [];
    if (soft !== undefined && hard !== undefined) found[name] = { soft: number(soft), hard: number(hard) };
  }
  return found;
}

/** This process's mask and limits, as they were before Node.js raised that of open files for itself. */
export function inheritance(): Pick<LaunchRequest, 'umask' | 'resources'> {
  const umask = process.umask();
  try {
    const resources = parseLimits(readFileSync('/proc/self/limits', 'utf8'));
    const { nofile } = parseLimits(readFileSync(`/proc/${process.ppid}/limits`, 'utf8'));
    if (nofile && resources.nofile) resources.nofile = { ...resources.nofile, soft: nofile.soft };
    return { umask, resources };
  } catch {
    // Not a Linux: then the agent's own limits have to do.
    return { umask };
  }
}
