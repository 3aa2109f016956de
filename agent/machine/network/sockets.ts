/**
 * What a frozen job's sockets send and take. While CRIU saves or restores them one by one nothing may pass between
 * them, nor between them and the world: see helper/sockets.c.
 */
import { GodwitError } from '../../api/errors';
import { execute } from '../execution';

export const ACCEPT_FIRST = 'let the program accept it, and try again';

/** A few system calls a descriptor; programs with a million of them are the limit. */
const ACT_MS = 30_000;

/**
 * For the cgroup `run` of a copy:
 * - `hold`: no packet passes any more. The helper's `restore` does the same, before CRIU makes the first socket.
 * - `release`: packets pass again: the copy is about to run. Also mends what a killed CRIU left.
 *
 * Each may be repeated. @throws GodwitError `sockets-failed`
 */
export async function sockets(helper: string, act: 'hold' | 'release', run: string) {
  await ask(helper, act, run);
}

/**
 * Of a job that still runs: it takes what connections wait at its sockets, and none are let in any more, until the
 * others' `release` or `hold`. @throws GodwitError `connection-pending` when it leaves some; `sockets-failed`
 */
export async function settleConnections(helper: string, run: string): Promise<void> {
  const left = Number(await ask(helper, 'settle', run));
  if (left > 0) throw notAccepted(left);
}

const notAccepted = (count: number) =>
  new GodwitError({
    code: 'connection-pending',
    message: `the job has not accepted ${count === 1 ? 'a TCP connection' : `${count} TCP connections`} yet`,
    fix: ACCEPT_FIRST,
  });

async function ask(helper: string, act: string, run: string): Promise<string> {
  const asked = execute(helper, ['sockets', act, run], { timeout: ACT_MS });
  const { stdout } = await asked.catch((error: Error & { stdout?: string }) => {
    const reason = error.stdout?.trim() || error.message;
    throw new GodwitError({
      code: 'sockets-failed',
      message: `\`godwit-helper sockets ${act}\` failed for the job's network: ${reason}`,
    });
  });
  return stdout;
}
