/** The cgroup folders of a lab's nodes, with the jobs below them. */
import { readdir, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isNodeError } from '../api/errors';
import { findHierarchy, nodeCgroup, removeNodeCgroup } from '../freezer/hierarchy';

/** rmdir(2) answers EBUSY for a moment after the last process has gone. */
const REMOVE_TRIES = 100;
const REMOVE_PAUSE_MS = 20;

/** The lab's node folders in the cgroup v2 hierarchy, by name. */
export async function findNodeCgroups(isNode: (name: string) => boolean): Promise<string[]> {
  if (!(await findHierarchy())) return [];
  const folder = dirname(await nodeCgroup('any'));
  return (await readdir(folder).catch(() => [])).filter(isNode);
}

/** Kills all processes of a node's jobs, frozen or not (cgroup-v2.rst, cgroup.kill). */
export async function killNode(node: string): Promise<void> {
  await writeFile(join(await nodeCgroup(node), 'cgroup.kill'), '1').catch(unlessGone);
}

export async function removeNode(node: string): Promise<void> {
  await removeTree(await nodeCgroup(node));
  await removeNodeCgroup(node);
}

/** Removes a cgroup and those below it, the deepest first; their processes must have ended. */
export async function removeTree(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(folder, entry.name));
  for (let left = REMOVE_TRIES; ; left--) {
    try {
      return await rmdir(folder);
    } catch (error) {
      if (isNodeError(error) && error.code === 'ENOENT') return;
      if (left === 0 || !isNodeError(error) || error.code !== 'EBUSY') throw error;
      await sleep(REMOVE_PAUSE_MS);
    }
  }
}

function unlessGone(error: unknown): void {
  if (!isNodeError(error) || !['ENOENT', 'ENODEV'].includes(error.code ?? '')) throw error;
}
