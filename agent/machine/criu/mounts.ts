/** Which of its home's mounts a restored, frozen job has: those that CRIU must be given by name. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { GodwitError } from '../../api/errors';
import { parseMounts } from '../proc/parse';

/** Each is a look at the home; a home that does not answer is given up by the mount itself after ten seconds. */
const TRIM_DEADLINE_MS = 30_000;

const run = promisify(execFile);

export interface RestoredMounts {
  helper: string;
  /** PID 1, as this node numbers it. */
  init: number;
}

/** Those of `mounts` that the job has: one whose folder was removed, the kernel has taken away with it. */
export async function mountsThere(init: number, mounts: string[]): Promise<string[]> {
  const there = new Set(parseMounts(await readFile(`/proc/${init}/mountinfo`, 'utf8')).map(({ at }) => at));
  return mounts.filter((at) => there.has(at));
}

/**
 * Takes from the job those of `mounts` (parents before children) that nothing of it uses. The rest.
 * @throws GodwitError `mounts-failed`
 */
export async function trimMounts({ helper, init }: RestoredMounts, mounts: string[]): Promise<string[]> {
  if (mounts.length === 0) return [];
  const options = { timeout: TRIM_DEADLINE_MS, killSignal: 'SIGKILL' } as const;
  const { stdout } = await run(helper, ['trim-mounts', `${init}`, ...mounts], options).catch((error) => {
    const why = error.stdout?.trim() || error.message;
    throw new GodwitError({ code: 'mounts-failed', message: `the job's mounts can't be read: ${why}` });
  });
  const used = new Set(stdout.split('\n').filter(Boolean).map(Number));
  return mounts.filter((_, index) => used.has(index));
}
