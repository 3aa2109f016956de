/** The end of a copy that is not the job, or not any more. */
import { GodwitError } from '../../api/errors';
import { execute } from '../execution';

/** A few system calls a thread and a descriptor; programs with a million of them are the limit. */
const SEVER_MS = 30_000;

/**
 * Before a frozen copy in the cgroup `run` is killed: neither its peers nor the job itself, wherever it lives, notice its
 * end, in connections or in mutexes (helper/sever.c). May be repeated. @throws GodwitError `not-severed`
 */
export async function sever(helper: string, run: string): Promise<void> {
  const severing = execute(helper, ['sever', run], { timeout: SEVER_MS });
  await severing.catch((error: Error & { stdout?: string }) => {
    throw new GodwitError({
      code: 'not-severed',
      message: `what is left of a job may be noticed as it ends: ${error.stdout?.trim() || error.message}`,
    });
  });
}
