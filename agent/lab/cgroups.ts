/** The cgroup folders of a lab's nodes, with the jobs below them. */
import { readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isNodeError } from '../api/errors';
import { findHierarchy, nodeCgroup, removeNodeCgroup } from '../machine/cgroup/hierarchy';
import { removeTree } from '../machine/cgroup/tree';

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

function unlessGone(error: unknown): void {
  if (!isNodeError(error) || !['ENOENT', 'ENODEV'].includes(error.code ?? '')) throw error;
}
