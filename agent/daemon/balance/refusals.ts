/** What has been tried and came to nothing, so that it is not tried again at once. */

/** A node that had no room may have some soon. */
const REFUSED_MS = 4_000;
/** What failed once may have been a chance; each time it doubles. */
const FAILED_MS = 30_000;
/** An obstacle is of the job's own doing (a file, a device), and mostly stays. */
const OBSTACLE_MS = 600_000;
const MOST_MS = 3_600_000;
/** Jobs and nodes that are remembered; the oldest are forgotten. */
const MOST_KEPT = 10_000;

export type Setback = 'refused' | 'failed' | 'obstacle';

interface Kept {
  until: number;
  times: number;
  what: Setback;
}

export class Refusals {
  readonly #jobs = new Map<string, Kept>();
  readonly #pairs = new Map<string, Kept>();

  /** A node's refusal is of that node; a failure or an obstacle is of the job. */
  note(job: string, node: string, what: Setback, now: number): void {
    const [kept, key] =
      what === 'failed' ? [this.#jobs, job] : ([this.#pairs, pair(job, node)] as [Map<string, Kept>, string]);
    const before = kept.get(key);
    const times = what === 'refused' || !before || now > before.until + MOST_MS ? 1 : before.times + 1;
    const first = { refused: REFUSED_MS, failed: FAILED_MS, obstacle: OBSTACLE_MS }[what];
    kept.delete(key);
    kept.set(key, { until: now + Math.min(MOST_MS, first * 2 ** Math.min(times - 1, 20)), times, what });
    if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value!);
  }

  /** It has moved: what was is no matter any more. */
  moved(job: string): void {
    this.#jobs.delete(job);
    for (const key of this.#pairs.keys()) if (key.startsWith(pair(job, ''))) this.#pairs.delete(key);
  }

  /** Why the job is left alone for a while. */
  ofJob(job: string, now: number): Setback | null {
    return current(this.#jobs.get(job), now);
  }

  ofPair(job: string, node: string, now: number): Setback | null {
    return current(this.#pairs.get(pair(job, node)), now);
  }
}

const pair = (job: string, node: string) => `${job} ${node}`;
const current = (kept: Kept | undefined, now: number) => (kept && kept.until > now ? kept.what : null);
