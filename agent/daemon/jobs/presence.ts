import { readFile } from 'node:fs/promises';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import { readProcess } from '../../machine/proc/processes';
import type { Copy } from './copy';

/**
 * What of a copy is physically there.
 * - `running`, `frozen`: it lives.
 * - `ended`: it does not, and its supervisor has reported how it ended.
 * - `none`: it does not, and nothing says why.
 */
export type Presence = 'running' | 'frozen' | 'ended' | 'none';

export async function presenceOf({ cgroup: folder, init, report }: Copy): Promise<Presence> {
  const cgroup = JobCgroup.at(folder);
  const alive = init !== null && (await readProcess(init)) !== null && (await cgroup.pids()).length > 0;
  if (alive) return (await cgroup.isFrozen()) ? 'frozen' : 'running';
  const reported = await readFile(report, 'utf8').catch(() => null);
  return reported === null ? 'none' : 'ended';
}
