import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { GodwitError, isNodeError } from '../../api/errors';
import { killEach, threadsOf } from '../proc/processes';
import { groupName, removeGroupAbove } from './group';
import { nodeCgroup } from './hierarchy';
import { removeTree } from './tree';

/** The kernel freezes a job in well under a millisecond; so often is it asked. */
const POLL_MS = 1;
/** From vfork to exec a program takes less than a millisecond, and longer where its file must be read first. */
const VFORK_PAUSE_MS = 3;
/** The one uninterruptible sleep that counts as frozen: a parent's whose vforked child is frozen (kernel/fork.c). */
const IN_VFORK = 'D';
/** Such a parent counts as frozen even before it sleeps, for as long as a busy machine does not let it run. */
const ENTERING_VFORK = 'R';
/** A killed process can take this long to release its memory before its cgroup is empty. */
const EMPTY_DEADLINE_MS = 10_000;

/**
 * A job's cgroup (v2): a folder with two leaves. All the job's processes live in `run`, which is what is frozen and
 * dumped; a process stays in `attach`, which is never frozen, only while a debugger's server attaches to it.
 */
export class JobCgroup {
  private constructor(readonly path: string) {}

  static at(path: string): JobCgroup {
    return new JobCgroup(path);
  }

  /** @param allocation in which it is, if any */
  static async of(node: string, job: string, allocation: string | null = null): Promise<JobCgroup> {
    const within = allocation === null ? [] : [groupName(allocation)];
    return new JobCgroup(join(await nodeCgroup(node), ...within, job));
  }

  get run() {
    return join(this.path, 'run');
  }
  get attach() {
    return join(this.path, 'attach');
  }

  async create(): Promise<void> {
    for (const leaf of [this.run, this.attach]) await mkdir(leaf, { recursive: true });
  }

  async isFrozen(): Promise<boolean> {
    return (await this.#event(this.run, 'frozen')) === 1;
  }

  /**
   * Returns when every thread of `run` is in the freezer (or stopped by its tracer, which counts as frozen). A job
   * that this froze has no process between vfork and its child's exec, where no debugger could attach to it.
   * Throws `will-not-freeze` after the deadline (ms), the cgroup being as it was before.
   */
  async freeze(deadlineMs: number): Promise<void> {
    const before = (await readFile(join(this.run, 'cgroup.freeze'), 'utf8')).trim();
    // What another process has frozen is not thawed for this.
    const settled = () => (before === '1' ? this.#freezes() : this.#freezesOutOfVfork());
    if (await this.#comesTo(deadlineMs, settled)) return;
    const culprit = await this.#culprit();
    await writeFile(join(this.run, 'cgroup.freeze'), before);
    throw willNotFreeze(basename(this.path), culprit, deadlineMs);
  }

  async #freezes(): Promise<boolean> {
    await writeFile(join(this.run, 'cgroup.freeze'), '1');
    return this.isFrozen();
  }

  async #freezesOutOfVfork(): Promise<boolean> {
    if (!(await this.#freezes())) return false;
    const threads = await Promise.all((await pidsIn(this.run)).map(threadsOf));
    const states = new Set(threads.flat().map(({ state }) => state));
    if (!states.has(IN_VFORK)) return !states.has(ENTERING_VFORK);
    await this.thaw();
    await sleep(VFORK_PAUSE_MS);
    return false;
  }

  /** Thaws `run`; its threads wake by themselves. */
  async thaw(): Promise<void> {
    await writeFile(join(this.run, 'cgroup.freeze'), '0');
  }

  /** Kills every process of the job, frozen or not, and waits until none is left. Nothing to kill is no error. */
  async kill(): Promise<void> {
    try {
      await writeFile(join(this.path, 'cgroup.kill'), '1');
    } catch (error) {
      if (isGone(error)) return;
      await this.#killEach();
    }
    if (await this.#comesTo(EMPTY_DEADLINE_MS, () => this.#isEmpty())) return;
    throw willNotEnd(basename(this.path), await this.#culprit());
  }

  /** The job's processes, as this node numbers them. */
  async pids(): Promise<number[]> {
    const leaves = await Promise.all([this.run, this.attach].map(pidsIn));
    return leaves.flat();
  }

  /** The cgroups that the job has made within its own: their processes are in no list of ours. */
  async made(): Promise<string[]> {
    const entries = await readdir(this.run, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  }

  /** Removes the folders, with those that others have made in them; the job's processes must have ended. */
  async remove(): Promise<void> {
    await removeTree(this.path);
    await removeGroupAbove(this.path);
  }

  async #isEmpty(): Promise<boolean> {
    try {
      return (await this.#event(this.path, 'populated')) === 0;
    } catch (error) {
      if (isGone(error)) return true;
      throw error;
    }
  }

  async #event(folder: string, name: 'frozen' | 'populated'): Promise<number> {
    const events = await readFile(join(folder, 'cgroup.events'), 'utf8');
    return Number(new RegExp(`^${name} (\\d)`, 'm').exec(events)?.[1]);
  }

  async #comesTo(deadlineMs: number, condition: () => Promise<boolean>): Promise<boolean> {
    const deadline = performance.now() + deadlineMs;
    while (!(await condition())) {
      if (performance.now() > deadline) return false;
      await sleep(POLL_MS);
    }
    return true;
  }

  /** Kernels before 5.14 have no cgroup.kill. Each round misses only what was forked during it. */
  async #killEach(): Promise<void> {
    const deadline = performance.now() + EMPTY_DEADLINE_MS;
    for (let pids = await this.pids(); pids.length > 0; pids = await this.pids()) {
      killEach(pids);
      if (performance.now() > deadline) return;
      await sleep(POLL_MS);
    }
  }

  /** A thread that is neither asleep in the freezer nor stopped: what keeps the job from freezing or ending. */
  async #culprit(): Promise<string> {
    for (const pid of await this.pids()) {
      for (const thread of await threadsOf(pid)) {
        if ('StT'.includes(thread.state)) continue;
        const where = thread.wchan ? ` in ${thread.wchan}` : '';
        return `process ${pid} (${thread.comm}), thread ${thread.tid}, is in state ${thread.state}${where}`;
      }
    }
    return 'no thread of it shows why';
  }
}

async function pidsIn(folder: string): Promise<number[]> {
  try {
    const procs = await readFile(join(folder, 'cgroup.procs'), 'utf8');
    return procs.split('\n').filter(Boolean).map(Number);
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

/** No such folder, no such process; ENODEV is a cgroup removed while its file was open. */
const isGone = (error: unknown) =>
  isNodeError(error) && (error.code === 'ENOENT' || error.code === 'ESRCH' || error.code === 'ENODEV');

const willNotFreeze = (job: string, culprit: string, deadlineMs: number) =>
  new GodwitError({
    code: 'will-not-freeze',
    message: `job ${job} did not freeze within ${deadlineMs} ms: ${culprit}`,
    fix: 'it runs on where it was; try again when that system call is over',
  });

const willNotEnd = (job: string, culprit: string) =>
  new GodwitError({
    code: 'will-not-end',
    message: `job ${job} was killed but has not ended after ${EMPTY_DEADLINE_MS} ms: ${culprit}`,
    fix: 'the kernel ends it when that system call is over',
  });
