/** The processes of a job, as one is picked among them to be debugged. */
import type { JobStacks } from '../../agent/api/stacks';

export interface ListedProcess {
  /** As the job numbers it. */
  pid: number;
  /** Empty where it is not known. */
  name: string;
  threads: number;
  /** In which function of the program its main thread stands; or why that is not known. */
  where: string;
}

/** In the order of their numbers. */
export function processesIn({ stacks, unread }: Pick<JobStacks, 'stacks' | 'unread'>): ListedProcess[] {
  const found = new Map<number, ListedProcess>();
  const at = (pid: number) => {
    const known = found.get(pid) ?? { pid, name: '', threads: 0, where: '' };
    found.set(pid, known);
    return known;
  };
  for (const { frames, threads } of stacks) {
    const frame = frames.find(({ own }) => own) ?? frames[0]!;
    for (const { pid, tid, name } of threads) {
      const process = at(pid);
      process.threads++;
      if (tid === pid) Object.assign(process, { name, where: `in ${frame.function}` });
    }
  }
  for (const { pid, tid, why } of unread)
    if (tid === null) at(pid).where = why === 'debugged' ? 'debugged already' : 'can’t be looked at';
  return [...found.values()].sort((one, other) => one.pid - other.pid);
}

/** What `${command:pickProcess}` gives for `job` in a launch.json: the job's id and the process, which are two keys. */
export const pickedProcess = (job: string, pid: number): string => `${job}/${pid}`;

/** undefined for what is no such pick. */
export function processPicked(value: unknown): { job: string; process: number } | undefined {
  const [, job, pid] = /^([a-z0-9]{10})\/(\d{1,9})$/.exec(typeof value === 'string' ? value : '') ?? [];
  return job === undefined ? undefined : { job, process: Number(pid) };
}
