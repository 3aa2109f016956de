/** Unmounting all that is below a folder, which must be done before it is removed: a job's root is the machine's `/`. */
import { readFile } from 'node:fs/promises';
import { parseMounts } from '../homefs/mounts';
import { run } from './command';
import { stillMounted } from './errors';

/** One unmount may bring out another that it covered. */
const ROUNDS = 8;

/** The mount points at or below a folder, the last mounted first. */
export function mountsBelow(folder: string, mountinfo: string): string[] {
  const points = parseMounts(mountinfo).map(({ at }) => at);
  return points.filter((point) => point === folder || point.startsWith(`${folder}/`)).reverse();
}

/** @throws GodwitError `still-mounted`; when it returns, nothing is mounted below the folder */
export async function unmountBelow(folder: string): Promise<void> {
  for (let round = 0; ; round++) {
    const points = mountsBelow(folder, await readFile('/proc/self/mountinfo', 'utf8'));
    if (points.length === 0) return;
    if (round === ROUNDS) throw stillMounted(points);
    // Lazily: what a frozen reader still holds open must not keep the name. What fails is seen in the next round.
    for (const point of points) await run('umount', '--lazy', point).catch(() => {});
  }
}
