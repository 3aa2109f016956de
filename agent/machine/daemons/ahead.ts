/**
 * A node's own work runs ahead of what else runs there: while a job is being moved it stands still, and each of the many
 * turns that CRIU takes would wait for a CPU behind work that has all the time. It is short work, so that nothing starves.
 */
import { readdir, writeFile } from 'node:fs/promises';
import { getPriority, setPriority } from 'node:os';
import { GodwitError } from '../../api/errors';

/**
 * In steps of nice(2), by what for: the kernel gives a thread of `move`, what a move waits for, nine times the share of one
 * at 0, and of `carry`, what also carries jobs' files and consoles, three times: a job that asks for much there must not
 * take the CPU from others.
 */
const LEVELS = { move: -10, carry: -5 };

/**
 * Puts this process ahead, with all that it will start. Returns the level that it had, which is that of users' jobs.
 * @throws GodwitError `not-ahead` where it may not (CAP_SYS_NICE): it is as before
 */
export async function runAhead(as: keyof typeof LEVELS): Promise<number> {
  const level = LEVELS[as];
  const before = getPriority();
  try {
    // Each thread has a level of its own, and Node.js has some already (setpriority(2), "C library/kernel differences").
    for (const thread of await readdir('/proc/self/task'))
      setPriority(Number(thread), Math.min(before, level));
  } catch (error) {
    throw notAhead((error as Error).message);
  }
  // Where the kernel gives each session the same share, levels count within one only (sched(7), "The autogroup feature").
  await writeFile('/proc/self/autogroup', `${level}`).catch(() => {});
  return before;
}

const notAhead = (why: string) =>
  new GodwitError({
    code: 'not-ahead',
    message: `the agent runs beside the jobs, not ahead of them: ${why}`,
    fix: 'give it CAP_SYS_NICE; without, moves take longer while the node is busy',
  });
