/** Which of its home's mounts a restored, frozen job has: those that CRIU must be given by name. */
import { readFile } from 'node:fs/promises';
import { chosenMounts } from '../proc/chosen-mounts';
import { parseMounts } from '../proc/parse';

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
export const trimMounts = ({ helper, init }: RestoredMounts, mounts: string[]): Promise<string[]> =>
  chosenMounts(helper, ['trim-mounts', `${init}`], mounts, "the job's");
