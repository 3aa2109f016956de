/**
 * What a job uses and may use: cgroups with the controllers cpu, memory and pids, of whichever version has each. With
 * version 2 that is the job's leaf `run` itself; each controller that is in a hierarchy of version 1 has a group of
 * the same name there, which the job's processes are in as well.
 */
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { GodwitError, isNodeError } from '../../api/errors';
import { size } from '../../api/figures';
import type { Limits, Obstacle, Share } from '../../api/model';
import { parseMounts } from '../proc/parse';
import { groupAbove, isGroup, removeGroupAbove } from './group';
import { findHierarchy } from './hierarchy';
import { removeTree } from './tree';

/** The kernel's own default period, microseconds (sched-bwc.rst). */
const PERIOD_US = 100_000;
/** The shortest share of a period that the kernel takes. */
const LEAST_QUOTA_US = 1_000;
/** Godwit's folder in each hierarchy. */
export const FOLDER = 'godwit';
/** A job's PID 1 is Godwit's, not the program's. */
const OWN_PROCESSES = 1;

type Name = 'cpu' | 'memory' | 'pids';
const NAMES: readonly Name[] = ['cpu', 'memory', 'pids'];
const NEEDED: Record<keyof Limits, Name> = { cpus: 'cpu', memory: 'memory', processes: 'pids' };

export interface Controller {
  name: Name;
  version: 1 | 2;
  /** Where its hierarchy is mounted. */
  at: string;
}

/** The controllers of version 1 in a mountinfo text (man 5 proc_pid_mountinfo) that can be written. */
export function controllersV1(mountinfo: string): Controller[] {
  const mounts = parseMounts(mountinfo).filter(({ type, writable }) => type === 'cgroup' && writable);
  return mounts.flatMap(({ at, options }) =>
    NAMES.filter((name) => options.includes(name)).map((name) => ({ name, version: 1 as const, at })),
  );
}

/** Where the one of version 1 for CPUs is mounted, writable or not, in such a text. */
export const cpuMount = (mountinfo: string): string | undefined =>
  parseMounts(mountinfo).find(({ type, options }) => type === 'cgroup' && options.includes('cpu'))?.at;

export async function findControllers(): Promise<Controller[]> {
  const first = controllersV1(await readFile('/proc/self/mountinfo', 'utf8'));
  const at = await findHierarchy();
  if (!at) return first;
  const offered = (await readFile(join(at, 'cgroup.controllers'), 'utf8')).trim().split(/\s+/);
  const second = NAMES.filter((name) => offered.includes(name));
  return [...first, ...second.map((name) => ({ name, version: 2 as const, at }))];
}

/** The limits of `wanted` that no controller among `found` enforces. */
function lacking(wanted: Limits, found: readonly Controller[]): string[] {
  const limits = (Object.keys(NEEDED) as (keyof Limits)[]).filter((limit) => wanted[limit] !== undefined);
  return limits.filter((limit) => !found.some(({ name }) => name === NEEDED[limit]));
}

/** The obstacles for a job with these limits on a node that has these controllers. */
export function limitObstacles(node: string, limits: Limits, found: readonly Controller[]): Obstacle[] {
  return lacking(limits, found).map((limit) => {
    const { code, message, fix } = unavailable(limit, node);
    return { code, what: message, fix: fix! };
  });
}

/** A folder with the files of one controller. */
export interface Limited {
  version: 1 | 2;
  folder: string;
}

async function setCpus({ version, folder }: Limited, cpus: number): Promise<void> {
  const quota = Math.max(LEAST_QUOTA_US, Math.round(cpus * PERIOD_US));
  if (version === 2) return writeFile(join(folder, 'cpu.max'), `${quota} ${PERIOD_US}`);
  await writeFile(join(folder, 'cpu.cfs_period_us'), `${PERIOD_US}`);
  await writeFile(join(folder, 'cpu.cfs_quota_us'), `${quota}`).catch((error) => {
    // More than a group above it has: that one's quota holds then.
    if (!isNodeError(error) || error.code !== 'EINVAL') throw error;
  });
}

/** Of memory and swap together. @param bytes null: no limit */
export async function writeMemory({ version, folder }: Limited, bytes: number | null): Promise<void> {
  const [limit, swap, none] =
    version === 1
      ? ['memory.limit_in_bytes', 'memory.memsw.limit_in_bytes', '-1']
      : ['memory.max', 'memory.swap.max', 'max'];
  // Without swap there is nothing to limit, and on some kernels no file for it.
  const writeSwap = (text: string) => writeFile(join(folder, swap), text).catch(() => {});
  // Of version 1 it is never less than the other one, also while that grows.
  if (version === 1) await writeSwap(none);
  await writeFile(join(folder, limit), bytes === null ? none : `${bytes}`);
  if (bytes === null) await writeSwap(none);
  else await writeSwap(version === 1 ? `${bytes}` : '0');
}

/** Version 1: kernels before 5.11 count what is below a folder only when told so, while nothing is. */
export const countBelow = (folder: string): Promise<void> =>
  writeFile(join(folder, 'memory.use_hierarchy'), '1').catch(() => {});

/**
 * Version 2: a controller reaches a folder through every folder above it (cgroup-v2.rst, "Top-down Constraint"). From the
 * hierarchy's to this one each hands it on to those below.
 */
export async function handOn(name: Name, at: string, to: string): Promise<void> {
  const names = relative(at, to).split('/').filter(Boolean);
  const all = [at, ...names.map((_, index) => join(at, ...names.slice(0, index + 1)))];
  for (const folder of all) await writeFile(join(folder, 'cgroup.subtree_control'), `+${name}`);
}

/** Bytes of memory that a group's processes use; `unreclaimable`: what has no other place than memory and swap. */
export interface MemoryUse {
  resident: number;
  unreclaimable: number;
}

export async function memoryOf({ version, folder }: Limited): Promise<MemoryUse> {
  const stat = await readFile(join(folder, 'memory.stat'), 'utf8');
  const bytes = (name: string) => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(stat)?.[1] ?? 0);
  if (version === 2) {
    return {
      resident: bytes('anon') + bytes('file_mapped'),
      unreclaimable: bytes('anon') + bytes('shmem'),
    };
  }
  const anon = bytes('total_rss');
  return { resident: anon + bytes('total_mapped_file'), unreclaimable: anon + bytes('total_shmem') };
}

export class JobAccount {
  private constructor(
    /** The job's folder in the hierarchy of version 2. */
    private readonly cgroup: string,
    private readonly controllers: readonly Controller[],
  ) {}

  /** @param cgroup JobCgroup's `path` */
  static async of(cgroup: string): Promise<JobAccount> {
    return new JobAccount(cgroup, await findControllers());
  }

  /**
   * The groups, beside the leaf `run`, that each of the job's processes has to be in. A group for CPU time would have
   * none for real-time policies (sched-rt-group.rst), so a job without such a limit stays in its node's own, unless it
   * is in an allocation.
   */
  joined(limits: Limits): string[] {
    const all = limits.cpus !== undefined || groupAbove(this.cgroup) !== null;
    const needed = this.controllers.filter(({ name }) => name !== 'cpu' || all);
    const folders = needed.filter(({ version }) => version === 1).map((one) => this.#folder(one));
    return [...new Set(folders)];
  }

  /**
   * Makes the groups; the job's cgroup is there already.
   * @param share what all jobs of its allocation have of this node together @throws `limit-unavailable`
   */
  async create(node: string, limits: Limits, share: Share = {}): Promise<void> {
    const [missing] = lacking({ ...limits, ...share }, this.controllers);
    if (missing) throw unavailable(missing, node);
    for (const folder of this.joined(limits)) {
      await this.#makeGroupAbove(folder);
      await mkdir(folder, { recursive: true });
    }
    for (const { name, version, at } of this.controllers)
      if (version === 2) await handOn(name, at, this.cgroup);
    if (groupAbove(this.cgroup) === null) return;
    if (share.cpus !== undefined) await setCpus(this.#above('cpu'), share.cpus);
    if (share.memory !== undefined) await writeMemory(this.#above('memory'), share.memory);
  }

  async #makeGroupAbove(folder: string): Promise<void> {
    const group = groupAbove(folder);
    if (group === null) return;
    await mkdir(group, { recursive: true });
    await countBelow(group);
  }

  /** Bytes of memory that the jobs of its allocation hold here, and that have no other place. */
  async shareUsed(): Promise<number> {
    const stat = await memoryOf(this.#above('memory')).catch(() => null);
    return stat?.unreclaimable ?? 0;
  }

  /** From now on they hold, also for what the job has already. @throws `over-limit` */
  async set(limits: Limits): Promise<void> {
    const { cpus, memory, processes } = limits;
    if (cpus !== undefined) await setCpus(this.#find('cpu'), cpus);
    if (memory !== undefined) await this.#setMemory(memory);
    if (processes !== undefined) {
      const { folder } = this.#find('pids');
      await writeFile(join(folder, 'pids.max'), `${processes + OWN_PROCESSES}`);
    }
  }

  /** Of memory and swap together. What can't be taken from the job must fit: version 2 would kill it otherwise. */
  async #setMemory(bytes: number): Promise<void> {
    const used = (await this.#memory())?.unreclaimable ?? 0;
    if (used > bytes) throw overLimit(used, bytes);
    await writeMemory(this.#find('memory'), bytes);
  }

  /** Bytes of memory that its processes use; null where no controller counts. */
  async memory(): Promise<number | null> {
    return (await this.#memory().catch(() => null))?.resident ?? null;
  }

  async #memory(): Promise<MemoryUse | null> {
    const controller = this.controllers.find(({ name }) => name === 'memory');
    return controller ? memoryOf(this.#find('memory')) : null;
  }

  /** How many of its processes the kernel has killed here for want of memory within its limit. */
  async memoryKills(): Promise<number> {
    const controller = this.controllers.find(({ name }) => name === 'memory');
    if (!controller) return 0;
    const file = controller.version === 1 ? 'memory.oom_control' : 'memory.events';
    const text = await readFile(join(this.#folder(controller), file), 'utf8').catch(() => '');
    return Number(/^oom_kill (\d+)/m.exec(text)?.[1] ?? 0);
  }

  /** Removes the groups of version 1; those of version 2 are the job's cgroup itself. */
  async remove(): Promise<void> {
    const ours = this.controllers.filter(({ version }) => version === 1);
    for (const one of ours) {
      await removeTree(this.#folder(one), one.at);
      await removeGroupAbove(this.#folder(one));
    }
  }

  /** Of its allocation; version 2 has it as the folder above the job's. */
  #above(name: Name): Limited {
    const { version, folder } = this.#find(name);
    return { version, folder: groupAbove(version === 2 ? this.cgroup : folder)! };
  }

  #find(name: Name): Limited {
    const controller = this.controllers.find((one) => one.name === name)!;
    return { version: controller.version, folder: this.#folder(controller) };
  }

  #folder({ version, at }: Controller): string {
    if (version === 2) return join(this.cgroup, 'run');
    const group = groupAbove(this.cgroup);
    const node = basename(dirname(group ?? this.cgroup));
    return join(at, FOLDER, node, ...(group ? [basename(group)] : []), basename(this.cgroup));
  }
}

/** Removes what is left of jobs that have ended: every group of the node in version 1 that nothing is in. */
export async function sweepAccounts(node: string): Promise<void> {
  for (const { at } of (await findControllers()).filter(({ version }) => version === 1)) {
    await sweepFolder(join(at, FOLDER, node));
  }
}

async function sweepFolder(folder: string): Promise<void> {
  const groups = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const group of groups) {
    if (!group.isDirectory()) continue;
    if (isGroup(group.name)) await sweepFolder(join(folder, group.name));
    // One that is in use refuses.
    await rmdir(join(folder, group.name)).catch(() => {});
  }
}

/** Removes the node's own groups of version 1 once its jobs' are gone, and Godwit's with the last node's. */
export async function removeAccounts(node: string): Promise<void> {
  await sweepAccounts(node);
  for (const { at } of (await findControllers()).filter(({ version }) => version === 1))
    for (const group of [join(at, FOLDER, node), join(at, FOLDER)]) await rmdir(group).catch(() => {});
}

const LIMIT_NAMES: Record<string, string> = {
  cpus: 'CPUs',
  memory: 'memory',
  processes: 'the number of processes',
};

export const unavailable = (limit: string, node: string) =>
  new GodwitError({
    code: 'limit-unavailable',
    message: `${node} can't limit ${LIMIT_NAMES[limit]} of a job: its cgroups lack the controller ${NEEDED[limit as keyof Limits]}`,
    fix: `leave out --${limit}, choose another node, or enable the controller there`,
  });

const overLimit = (used: number, limit: number) =>
  new GodwitError({
    code: 'over-limit',
    message: `the job holds ${size(used)} of memory, and its limit is ${size(limit)}`,
  });
