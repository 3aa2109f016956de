/** The copies of jobs that are on this node, of all homes: one of a job at the most. */
import { setTimeout as sleep } from 'node:timers/promises';
import { GodwitError, jobMoving } from '../../api/errors';
import type { Copy } from './copy';

/** How often it is looked whether a move that may take a copy away is over. */
const MOVE_POLL_MS = 50;

const isHere = (job: string) =>
  new GodwitError({ code: 'job-exists', message: `there is something of job ${job} here already` });

export class Copies {
  readonly #copies = new Map<string, Copy>();
  /** The homes of those that are being launched, and the ends of their launches. */
  readonly #launching = new Map<string, { home: string; over: Promise<unknown> }>();

  constructor(private readonly moves: { isLeaving(job: string): boolean }) {}

  get jobs(): string[] {
    return [...this.#copies.keys()];
  }

  get isLaunching(): boolean {
    return this.#launching.size > 0;
  }

  /** The keeper's names for the processes that supervise them. */
  get supervisors(): string[] {
    return [...this.#copies.values()].map(({ supervisor }) => supervisor);
  }

  get(job: string): Copy | undefined {
    return this.#copies.get(job);
  }

  has(copy: Copy): boolean {
    return this.#copies.get(copy.job) === copy;
  }

  /** Whose job it is that runs here, or is about to; null where there is none. */
  homeOf(job: string): string | null {
    return this.#copies.get(job)?.home ?? this.#launching.get(job)?.home ?? null;
  }

  /** Is a move of the job away from here not over? */
  isLeaving(job: string): boolean {
    return this.moves.isLeaving(job);
  }

  add(copy: Copy): void {
    this.#copies.set(copy.job, copy);
  }

  delete(job: string): void {
    this.#copies.delete(job);
  }

  /** `launch`, during which the job is known to be on its way here. @throws `job-exists` */
  async launching<T>(job: string, home: string, launch: () => Promise<T>): Promise<T> {
    if (this.homeOf(job) !== null) throw isHere(job);
    const launched = launch();
    this.#launching.set(job, { home, over: launched.catch(() => {}) });
    try {
      return await launched;
    } finally {
      this.#launching.delete(job);
    }
  }

  /** Waits for those of these that are being launched: then they are here, or are not. */
  async launched(jobs: readonly string[]): Promise<void> {
    await Promise.all(jobs.map((job) => this.#launching.get(job)?.over));
  }

  /** The job's copy, where it is here and stays. @throws `job-moving` where it is not: the home that asks has just seen it here */
  settled(job: string): Copy {
    const copy = this.#copies.get(job);
    if (!copy || this.isLeaving(job)) throw jobMoving(job);
    return copy;
  }

  /** Waits for the end of a move that may take the job away; is this copy still the job then? */
  async isStillTheJob(copy: Copy): Promise<boolean> {
    while (this.has(copy) && this.isLeaving(copy.job)) await sleep(MOVE_POLL_MS);
    return this.has(copy);
  }
}
