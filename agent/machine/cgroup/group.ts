/** Where the groups of one allocation are together, on a node: `allocation_ID`, in the node's own folder of each hierarchy. */
import { rmdir } from 'node:fs/promises';
import { basename, dirname } from 'node:path';

/** No node and no copy of a job has such a name. */
const PREFIX = 'allocation_';

export const groupName = (allocation: string): string => `${PREFIX}${allocation}`;
export const isGroup = (name: string): boolean => name.startsWith(PREFIX);

/** The folder above a job's, where that is a group's. */
export function groupAbove(cgroup: string): string | null {
  const above = dirname(cgroup);
  return isGroup(basename(above)) ? above : null;
}

/** After the last job in it. */
export async function removeGroupAbove(cgroup: string): Promise<void> {
  const group = groupAbove(cgroup);
  if (group !== null) await rmdir(group).catch(() => {});
}
