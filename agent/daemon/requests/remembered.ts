/** What each home said last of its jobs: told, with its age, while that home does not answer. */
import type { Job } from '../../api/model';
import type { Members } from '../cluster/members';

/** Of one home: a screenful or two. */
const MOST_KEPT = 200;

interface Known {
  at: string;
  jobs: Job[];
}

export class Remembered {
  readonly #known = new Map<string, Known>();

  constructor(private readonly members: Pick<Members, 'silentMs'>) {}

  /** The first page of what it has just said. */
  take(home: string, jobs: readonly Job[]): void {
    const own = jobs.filter((job) => job.home === home && job.ended === null);
    this.#known.set(home, { at: new Date().toISOString(), jobs: own.slice(-MOST_KEPT) });
  }

  of(home: string): Job[] {
    const known = this.#known.get(home);
    if (!known) return [];
    const homeSilentMs = this.members.silentMs(home) ?? 0;
    return known.jobs.map((job) => ({ ...job, cpu: 0, homeSilentMs, asOf: known.at }));
  }
}
