/** The name of a process of a job in messages to people. */
import type { JobProcess } from '../../machine/proc/processes';

/** The name of a process by its number on this node. */
export type NameOf = (pid: number) => string;

export function namesOf(processes: JobProcess[]): NameOf {
  const byPid = new Map(processes.map((process) => [process.pid, process]));
  return (pid) => {
    const process = byPid.get(pid);
    return process ? `process ${process.inner} (${process.comm})` : `process ${pid} of its node`;
  };
}
