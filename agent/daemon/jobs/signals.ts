import { constants } from 'node:os';
import { asGodwitError, GodwitError, jobEnded } from '../../api/errors';
import { PROGRAM_PID } from '../../api/model';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import { execute } from '../../machine/execution';
import { nodePid } from '../../machine/proc/processes';
import type { Copy } from './copy';

/** A few system calls, on a busy machine. */
const SIGNAL_DEADLINE_MS = 30_000;

/** @throws `no-such-signal` */
export function checkedSignal(name: string): NodeJS.Signals {
  if (name in constants.signals) return name as NodeJS.Signals;
  throw new GodwitError({
    code: 'no-such-signal',
    message: `there is no signal ${name}`,
    fix: 'give one like SIGTERM, SIGINT or SIGKILL',
  });
}

/** Signals the program of a job. @throws `job-ended` */
export async function signalProgram(helper: string, copy: Copy, signal: NodeJS.Signals): Promise<void> {
  // Who has the user's id may have stopped PID 1 from outside; then it would not see its program end.
  if (copy.init !== null) await signalProcess(helper, copy, copy.init, 'SIGCONT');
  const program = await nodePid(JobCgroup.at(copy.cgroup), PROGRAM_PID).catch((error) => {
    // It has just ended, and its home does not know yet.
    throw asGodwitError(error).code === 'no-such-process' ? jobEnded(copy.job) : error;
  });
  await signalProcess(helper, copy, program, signal);
}

/**
 * Signals a process of a job, known by this node's number of it; no other process that has got that number since.
 * @throws `job-ended` when it has gone
 */
async function signalProcess(
  helper: string,
  { job, cgroup }: Copy,
  pid: number,
  signal: NodeJS.Signals,
): Promise<void> {
  const { run: leaf } = JobCgroup.at(cgroup);
  const orders = ['signal', `${pid}`, leaf, `${constants.signals[signal]}`];
  await execute(helper, orders, { timeout: SIGNAL_DEADLINE_MS }).catch((error: { stdout?: string }) => {
    throw /"stage":"gone"/.test(error.stdout ?? '') ? jobEnded(job) : error;
  });
}
