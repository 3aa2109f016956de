/** Whether a frozen copy's debuggers can be put back: a keeper that ended while it did so has left them half-way. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import type { Copy } from '../jobs/copy';
import type { MoveContext } from './move-context';

/** In the image folder: the keeper that was asked to. */
const MARK = 'unparking';

/** What has become of a copy that is `spoiled`. */
export const SPOILED = 'its keeper ended while it put the debugger back';

/**
 * - `yes`: no keeper has begun, or the one that has is there and answers the same again.
 * - `thawed`: a keeper that is gone had thawed the job; it has no debugger any more.
 * - `spoiled`: a keeper that is gone had begun and not thawed it. Nothing of it has run since it was frozen, but bytes of
 *   that keeper's, of which nothing is known now, are in its memory: it must never run.
 */
export async function mayUnpark(
  keeper: MoveContext['keeper'],
  copy: Copy,
  images: string,
  stubs: number,
): Promise<'yes' | 'thawed' | 'spoiled'> {
  if (stubs === 0) return 'yes';
  const { id } = await keeper.call('keeper.identity', {});
  const begun = await readFile(join(images, MARK), 'utf8').catch(() => null);
  if (begun !== null && begun !== id)
    return (await JobCgroup.at(copy.cgroup).isFrozen()) ? 'spoiled' : 'thawed';
  // Where there is no room for it, a job that goes on matters more than what a keeper's end would make of it.
  await writeFile(join(images, MARK), id).catch(() => {});
  return 'yes';
}
