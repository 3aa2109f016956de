import { GodwitError } from '../../api/errors';
import { execute } from '../execution';

/** Each is a look at the home; a home that does not answer is given up by the mount itself after ten seconds. */
const LIMIT_MS = 30_000;

/**
 * Those of `mounts` that a verb of the helper's says, by their indices. Without any it is not asked.
 * @param whose for the error message: "the job's"
 * @throws GodwitError `mounts-failed`
 */
export async function chosenMounts(
  helper: string,
  verb: string[],
  mounts: string[],
  whose: string,
): Promise<string[]> {
  if (mounts.length === 0) return [];
  const options = { timeout: LIMIT_MS, killSignal: 'SIGKILL' } as const;
  const { stdout } = await execute(helper, [...verb, ...mounts], options).catch((error) => {
    const why = error.stdout?.trim() || error.message;
    throw new GodwitError({ code: 'mounts-failed', message: `${whose} mounts can't be read: ${why}` });
  });
  const chosen = new Set(stdout.split('\n').filter(Boolean).map(Number));
  return mounts.filter((_, index) => chosen.has(index));
}
