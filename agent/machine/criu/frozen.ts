/** A frozen job, at its source or restored, and what the helper finds out about descriptors in it. */
import { execute } from '../execution';
import type { JobProcess } from '../proc/processes';
import type { NotedDescriptor } from './noted';

export interface Frozen {
  helper: string;
  /** None begins or ends. */
  processes: Pick<JobProcess, 'pid' | 'inner'>[];
  /** The cgroup that its processes are in. */
  run: string;
  /** Folder for the images. */
  images: string;
}

/** A descriptor, by the number that the job has for its process. */
export type Descriptor = Pick<NotedDescriptor, 'inner' | 'fd'>;

/** As the helper's arguments: by the processes' numbers on this node. */
export function asTold({ processes }: Frozen, descriptors: Descriptor[]): string[] {
  const pids = new Map(processes.map(({ inner, pid }) => [inner, pid]));
  return descriptors.map(({ inner, fd }) => `${pids.get(inner)}:${fd}`);
}

/** What one of the helper's verbs prints for some of the descriptors. @throws Error with the helper's reason */
export async function askOf(
  frozen: Frozen,
  verb: string,
  descriptors: Descriptor[],
  deadlineMs: number,
): Promise<(Descriptor & { said: string })[]> {
  const orders = [verb, '--cgroup', frozen.run, '--', ...asTold(frozen, descriptors)];
  const limits = { timeout: deadlineMs, killSignal: 'SIGKILL' } as const;
  const asked = execute(frozen.helper, orders, limits);
  const { stdout } = await asked.catch((error: Error & { stdout?: string }) => {
    throw new Error(error.stdout?.trim() || error.message);
  });
  const inners = new Map(frozen.processes.map(({ inner, pid }) => [`${pid}`, inner]));
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [pid = '', fd, said = ''] = line.split('\t');
      return { inner: inners.get(pid)!, fd: Number(fd), said };
    });
}
