/**
 * What each job on a node has wanted of its CPUs lately. On a machine that is busy a thread that waits for a CPU may not be
 * counted until it has had one: so the most of some looks counts, of each job for itself, and goes with the job.
 */
import { UNKNOWN_JOB } from './place';

/** Longer ago is another piece of work. */
const RECENT_MS = 5_000;

export class RecentWants {
  readonly #seen = new Map<string, { at: number; demand: number }[]>();

  /** @param demand since the look before; of the first look nothing is known yet @returns the most of lately */
  saw(job: string, demand: number, now: number): number {
    const seen = this.#seen.get(job);
    if (!seen) {
      // It is new here: it may have begun just now.
      this.#seen.set(job, [{ at: now, demand: UNKNOWN_JOB.demand }]);
      return UNKNOWN_JOB.demand;
    }
    const recent = [...seen.filter(({ at }) => now - at < RECENT_MS), { at: now, demand }];
    this.#seen.set(job, recent);
    return Math.max(...recent.map((one) => one.demand));
  }

  /** Others have ended, or left. */
  keep(jobs: readonly string[]): void {
    for (const job of this.#seen.keys()) if (!jobs.includes(job)) this.#seen.delete(job);
  }
}
