import { execFile } from 'node:child_process';
import { constants } from 'node:os';
import { promisify } from 'node:util';
import { GodwitError, jobEnded } from '../../api/errors';
import { JobCgroup } from '../../machine/cgroup/cgroup';

/** A few system calls, on a busy machine. */
const SIGNAL_DEADLINE_MS = 30_000;

const run = promisify(execFile);

/** @throws `no-such-signal` */
export function signalNamed(name: string): NodeJS.Signals {
  if (name in constants.signals) return name as NodeJS.Signals;
  throw new GodwitError({
    code: 'no-such-signal',
    message: `there is no signal ${name}`,
    fix: 'give one like SIGTERM, SIGINT or SIGKILL',
  });
}

/**
 * Signals a process of a job, known by this node's number of it: root's word reaches no other that has got the number
 * since. @throws `job-ended` when it has gone
 */
export async function signalProcess(
  helper: string,
  { job, cgroup }: { job: string; cgroup: string },
  pid: number,
  signal: NodeJS.Signals,
): Promise<void> {
  const { run: leaf } = JobCgroup.at(cgroup);
  const orders = ['signal', `${pid}`, leaf, `${constants.signals[signal]}`];
  await run(helper, orders, { timeout: SIGNAL_DEADLINE_MS }).catch((error: { stdout?: string }) => {
    throw /"stage":"gone"/.test(error.stdout ?? '') ? jobEnded(job) : error;
  });
}
