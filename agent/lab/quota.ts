/** How much of the machine's CPUs a lab's node may use: a cgroup's quota, of whichever version has the controller. */
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hierarchy } from '../machine/cgroup/hierarchy';
import { controllersV1, cpuMount, handOn } from '../machine/cgroup/limits';
import { removeTree } from '../machine/cgroup/tree';
import { noCpuQuota } from './errors';

/**
 * Microseconds, a fifth of the kernel's own default (sched-bwc.rst): when a node's jobs have used up its share, its agent
 * stands still as well until the next period.
 */
const PERIOD_US = 20_000;
/** The least that the kernel takes. */
const LEAST_QUOTA_US = 1_000;
const FOLDER = 'godwit';
/** With version 2, where a node's agent and keeper are, beside its jobs. */
const DAEMONS = 'daemons';

/** Where the quotas of all nodes are, and how they are written. */
export interface Controller {
  folder: string;
  version: 1 | 2;
}

/** @throws GodwitError `no-cpu-quota` */
export async function findController(): Promise<Controller> {
  const v1 = cpuMount(await readFile('/proc/self/mountinfo', 'utf8'));
  if (v1) return { folder: join(v1, FOLDER), version: 1 };
  const v2 = await hierarchy();
  const offered = await readFile(join(v2, 'cgroup.controllers'), 'utf8');
  if (!offered.split(/\s+/).includes('cpu')) throw noCpuQuota();
  return { folder: join(v2, FOLDER), version: 2 };
}

/** Makes the node's cgroup and gives it `cpus` CPUs; all that runs in it or below shares them. */
export async function setQuota({ folder, version }: Controller, node: string, cpus: number): Promise<void> {
  const period = Math.max(PERIOD_US, Math.ceil(LEAST_QUOTA_US / cpus));
  const quota = Math.round(cpus * period);
  await mkdir(join(folder, node), { recursive: true });
  if (version === 1) {
    await writeFile(join(folder, node, 'cpu.cfs_period_us'), String(period));
    await writeFile(join(folder, node, 'cpu.cfs_quota_us'), String(quota));
    return;
  }
  await handOn('cpu', dirname(folder), folder);
  await writeFile(join(folder, node, 'cpu.max'), `${quota} ${period}`);
}

/** The file into which a process writes its number to be under the node's quota, with all that it will start. */
export async function quotaMembers({ folder, version }: Controller, node: string): Promise<string> {
  // A folder that hands a controller on has no processes itself (cgroup-v2.rst, "No Internal Process Constraint").
  const own = version === 1 ? join(folder, node) : join(folder, node, DAEMONS);
  await mkdir(own, { recursive: true });
  return join(own, 'cgroup.procs');
}

/**
 * Removes the v1 folders of the nodes that `isNode` names, with the groups of their jobs; of v2 there is one folder for
 * all, which goes with the jobs.
 */
export async function removeGroups(isNode: (name: string) => boolean): Promise<void> {
  const mounts = controllersV1(await readFile('/proc/self/mountinfo', 'utf8')).map(({ at }) => at);
  for (const at of new Set(mounts)) await removeBelow(join(at, FOLDER), isNode);
}

async function removeBelow(folder: string, isNode: (name: string) => boolean): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter(isNode)) await removeTree(join(folder, name), dirname(folder));
  // While other nodes are below it, it stays.
  await rmdir(folder).catch(() => {});
}
