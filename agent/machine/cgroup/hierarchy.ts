/** Where the kernel's cgroup v2 hierarchy is, and the folders that Godwit has in it. */
import { mkdir, readFile, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { GodwitError, isNodeError } from '../../api/errors';
import { execute } from '../execution';
import { type Mount, parseMounts } from '../proc/parse';

/** Where it is mounted on a machine that has only cgroup v1 mounted: the two live side by side. */
const OWN_MOUNT = '/run/godwit/cgroup2';
const FOLDER = 'godwit';

/** The cgroup v2 mounts in a mountinfo text, in its order; `root` as this process's cgroup namespace has it. */
export const cgroup2Mounts = (mountinfo: string): Pick<Mount, 'at' | 'root' | 'writable'>[] =>
  parseMounts(mountinfo)
    .filter(({ type }) => type === 'cgroup2')
    .map(({ at, root, writable }) => ({ at, root, writable }));

/** What /proc/PID/cgroup calls a cgroup whose folder this is. */
export async function pathInHierarchy(folder: string): Promise<string> {
  return pathIn(await readFile('/proc/self/mountinfo', 'utf8'), folder);
}

export function pathIn(mountinfo: string, folder: string): string {
  const mount = cgroup2Mounts(mountinfo).findLast(({ at }) => folder.startsWith(`${at}/`));
  if (!mount) throw noCgroup2(`${folder} is in none`);
  return join(mount.root, folder.slice(mount.at.length));
}

/** The folder of the cgroup v2 hierarchy, null where none is mounted writable. */
export async function findHierarchy(): Promise<string | null> {
  const mounts = cgroup2Mounts(await readFile('/proc/self/mountinfo', 'utf8'));
  return mounts.find((mount) => mount.writable)?.at ?? null;
}

/** The folder of the cgroup v2 hierarchy; mounts it if need be. Throws `no-cgroup2`. */
export async function hierarchy(): Promise<string> {
  const found = await findHierarchy();
  if (found) return found;
  try {
    await mkdir(OWN_MOUNT, { recursive: true });
    await execute('mount', ['-t', 'cgroup2', 'cgroup2', OWN_MOUNT]);
    return OWN_MOUNT;
  } catch (error) {
    throw noCgroup2((error as Error).message.trim().split('\n').at(-1) ?? '');
  }
}

/** The folder that holds a node's jobs. */
export async function nodeCgroup(node: string): Promise<string> {
  return join(await hierarchy(), FOLDER, node);
}

/** Removes a node's folder once its jobs are gone, and Godwit's own with the last node. */
export async function removeNodeCgroup(node: string): Promise<void> {
  const folder = await nodeCgroup(node);
  if (await removeIfEmpty(folder)) await removeIfEmpty(join(folder, '..'));
}

async function removeIfEmpty(folder: string): Promise<boolean> {
  try {
    await rmdir(folder);
    return true;
  } catch (error) {
    if (!isNodeError(error)) throw error;
    if (error.code === 'ENOENT') return true;
    if (error.code === 'EBUSY' || error.code === 'ENOTEMPTY') return false;
    throw error;
  }
}

const noCgroup2 = (why: string) =>
  new GodwitError({
    code: 'no-cgroup2',
    message: `there is no cgroup v2 hierarchy and none can be mounted: ${why}`,
    fix: `as root: mkdir -p ${OWN_MOUNT} && mount -t cgroup2 cgroup2 ${OWN_MOUNT}`,
  });
