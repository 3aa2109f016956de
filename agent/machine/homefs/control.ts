/** What is done to a mounted home from outside. Each is safe to do again. */
import { readFile } from 'node:fs/promises';
import { GodwitError } from '../../api/errors';
import { type ExecutionError, execute } from '../execution';

/** As much as a machine's memory may hold back of what was written, to a server that may be slow. */
const SHARED_DEADLINE_MS = 20_000;
/** Asks nothing of the home, so that only the kernel's own work is waited for. */
const UNMOUNT_DEADLINE_MS = 10_000;

/**
 * Waits until all that was written on the host is at home, mappings included. The job must be frozen, or there is no
 * end to it.
 * @throws GodwitError `home-stalled` if the home has not answered within `deadlineMs`
 */
export async function syncHome(program: string, at: string, deadlineMs: number): Promise<void> {
  await run(program, ['sync', '--at', at], deadlineMs, (why) => ({
    code: 'home-stalled',
    message: `the home does not answer for the files at ${at} within ${deadlineMs} ms${why}`,
    fix: 'see whether the home and its network are up, then try again',
  }));
}

/** Of the number in the file: microseconds, in this machine's order (native/homefs/mount.c). */
const DELAY_BYTES = 8;

/** For how long the home's answers were waited for at a mount, ms; null where it does not tell. @param file `MountOrder`'s */
export async function delayedMs(file: string): Promise<number | null> {
  const told = await readFile(file).catch(() => null);
  return told?.length === DELAY_BYTES ? Number(told.readBigUInt64LE()) / 1_000 : null;
}

/**
 * Those of the paths that are there, links themselves. In a process of its own: what looks at a home's files waits while
 * the home does not answer.
 * @throws Error if it has not answered within `deadlineMs`
 */
export async function pathsThere(paths: string[], deadlineMs: number): Promise<string[]> {
  if (paths.length === 0) return [];
  const looking = execute('stat', ['--printf=%n\\0', '--', ...paths], {
    timeout: deadlineMs,
    killSignal: 'SIGKILL',
  });
  // It exits with 1 where one is missing.
  const { stdout } = await looking.catch((error: ExecutionError) => {
    if (error.code !== 1) throw error;
    return error;
  });
  return stdout.split('\0').filter(Boolean);
}

/**
 * Takes the mount away, also while its home is gone. `abort`: at once; processes that still use it get
 * ENOTCONN. Without it, it stays for those until they are done.
 * @throws GodwitError `cannot-unmount`
 */
export async function unmountHome(program: string, at: string, { abort }: { abort: boolean }): Promise<void> {
  const args = ['unmount', '--at', at, ...(abort ? ['--abort'] : [])];
  await run(program, args, UNMOUNT_DEADLINE_MS, (why) => ({
    code: 'cannot-unmount',
    message: `the home's files at ${at} can't be unmounted${why}`,
  }));
}

/**
 * Waits until all that was written into these shared folders is where other nodes can read it: a network file system
 * holds back what has been written to it (nfs(5), close-to-open).
 * @throws GodwitError `shared-stalled`
 */
export async function syncShared(folders: string[]): Promise<void> {
  if (folders.length === 0) return;
  await run('sync', ['--file-system', '--', ...folders], SHARED_DEADLINE_MS, (why) => ({
    code: 'shared-stalled',
    message: `what was written to ${folders.join(', ')} is not on its server within ${SHARED_DEADLINE_MS} ms${why}`,
    fix: 'see whether its server is up, then try again',
  }));
}

async function run(
  program: string,
  args: string[],
  timeout: number,
  failure: (why: string) => ConstructorParameters<typeof GodwitError>[0],
): Promise<void> {
  try {
    await execute(program, args, { timeout, killSignal: 'SIGKILL' });
  } catch (error) {
    const output = (error as { stdout?: string }).stdout?.trim();
    throw new GodwitError(failure(output ? `: ${output}` : ''), { cause: error });
  }
}
