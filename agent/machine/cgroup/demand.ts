/** How much CPU is wanted, and not only had: threads that run or wait to run, on average since it was looked last. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cpuMount } from './limits';

/** Threads looked at one by one, of one job or of a node with a quota; beyond them an average of these counts. */
const MOST_THREADS = 256;
/** Each look counts for so much of an average over some twenty. */
const STEADY_WEIGHT = 1 / 20;
/** Sooner nothing is looked at again. */
const LEAST_MS = 500;
/** A job with more threads in need of a CPU than this may have many: its threads are looked at. */
const ONE_THREAD = 0.5;

/** CPU time had and waited for, nanoseconds, in /proc/TID/schedstat (sched-stats.rst); null where the thread has gone. */
async function wantedBy(tid: number): Promise<number | null> {
  const text = await readFile(`/proc/${tid}/schedstat`, 'utf8').catch(() => null);
  if (text === null) return null;
  const [had, waited] = text.split(' ');
  return Number(had) + Number(waited);
}

/** Of threads that come and go: each of which something was known before counts with what it has wanted since. */
class Threads {
  #before = new Map<number, number>();
  #at = 0;

  async look(tids: readonly number[], now: number): Promise<number> {
    const looked = tids.slice(0, MOST_THREADS);
    const wanted = await Promise.all(looked.map(wantedBy));
    const after = new Map<number, number>();
    let sum = 0;
    looked.forEach((tid, index) => {
      const ns = wanted[index];
      if (ns === null || ns === undefined) return;
      after.set(tid, ns);
      sum += Math.max(0, ns - (this.#before.get(tid) ?? ns));
    });
    const ms = now - this.#at;
    this.#before = after;
    this.#at = now;
    return (sum / 1e6 / ms) * (tids.length / Math.max(1, looked.length));
  }
}

const numbers = (text: string) => text.split('\n').filter(Boolean).map(Number);
const listed = (file: string) => readFile(file, 'utf8').then(numbers, () => []);

/** What one job wants. Of most jobs two small files tell it. */
export class JobDemand {
  readonly #threads = new Threads();
  #last: { at: number; usedUsec: number; waitedUsec: number } | null = null;
  #demand = 0;

  /** @param run the folder of its processes */
  constructor(private readonly run: string) {}

  async look(now: number): Promise<{ demand: number; usedUsec: number }> {
    const last = this.#last;
    if (last && now - last.at < LEAST_MS) return { demand: this.#demand, usedUsec: last.usedUsec };
    const [stat, pressure] = await Promise.all([
      readFile(join(this.run, 'cpu.stat'), 'utf8'),
      // Absent where the kernel counts no pressure (PSI, accounting/psi.rst): then what it has had counts alone.
      readFile(join(this.run, 'cpu.pressure'), 'utf8').catch(() => ''),
    ]);
    const usedUsec = Number(/^usage_usec (\d+)/m.exec(stat)?.[1] ?? 0);
    const waitedUsec = Number(/^some .*total=(\d+)/m.exec(pressure)?.[1] ?? 0);
    this.#last = { at: now, usedUsec, waitedUsec };
    if (!last) return { demand: 0, usedUsec };
    const perMs = 1 / 1_000 / (now - last.at);
    const one = (usedUsec - last.usedUsec + waitedUsec - last.waitedUsec) * perMs;
    this.#demand = one > ONE_THREAD ? Math.max(one, await this.#ofThreads(now)) : one;
    return { demand: this.#demand, usedUsec };
  }

  /** However many wait, pressure is that one does. */
  async #ofThreads(now: number): Promise<number> {
    const tids = await listed(join(this.run, 'cgroup.threads'));
    return tids.length > 1 ? this.#threads.look(tids, now) : 0;
  }
}

/** The folder of the quota of CPU time under which this process is, by its /proc/self files; null where there is none. */
export async function quotaFolder(): Promise<string | null> {
  const [groups, mounts] = await Promise.all([
    readFile('/proc/self/cgroup', 'utf8'),
    readFile('/proc/self/mountinfo', 'utf8'),
  ]);
  const own = /^\d+:(?:[^:\n]*,)?cpu(?:,[^:\n]*)?:(.*)$/m.exec(groups)?.[1];
  const at = cpuMount(mounts);
  if (own === undefined || at === undefined) return null;
  const folder = join(at, own);
  const quota = await readFile(join(folder, 'cpu.cfs_quota_us'), 'utf8').catch(() => '-1');
  return Number(quota) > 0 ? folder : null;
}

/** All threads below a folder of cgroup v1. */
async function threadsBelow(folder: string): Promise<number[]> {
  const [own, entries] = await Promise.all([
    listed(join(folder, 'tasks')),
    readdir(folder, { withFileTypes: true }).catch(() => []),
  ]);
  const below = entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => threadsBelow(join(folder, name)));
  return [...own, ...(await Promise.all(below)).flat()];
}

/**
 * What all want that runs on a node. On a machine of its own the kernel counts those that run or wait; under a quota
 * (in a lab, where many nodes are on one machine) each thread is looked at.
 */
export class NodeDemand {
  readonly #threads = new Threads();
  #at = Number.NEGATIVE_INFINITY;
  #figures = { demand: 0, steady: 0 };
  #looking: Promise<void> | null = null;

  /** @param quota see `quotaFolder` */
  constructor(private readonly quota: Promise<string | null>) {}

  async look(now: number): Promise<{ demand: number; steady: number }> {
    if (now - this.#at >= LEAST_MS) {
      this.#looking ??= this.#look(now).finally(() => {
        this.#looking = null;
      });
      await this.#looking;
    }
    return this.#figures;
  }

  async #look(now: number) {
    const folder = await this.quota;
    const first = this.#at === Number.NEGATIVE_INFINITY;
    const demand =
      folder === null ? await running() : await this.#threads.look(await threadsBelow(folder), now);
    this.#at = now;
    const { steady } = this.#figures;
    this.#figures = first
      ? { demand: folder === null ? demand : 0, steady: 0 }
      : { demand, steady: steady + STEADY_WEIGHT * (demand - steady) };
  }
}

/** This one, which reads it, not counted. */
async function running(): Promise<number> {
  const stat = await readFile('/proc/stat', 'utf8');
  return Math.max(0, Number(/^procs_running (\d+)/m.exec(stat)?.[1] ?? 1) - 1);
}
