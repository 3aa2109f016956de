/** What is said of an array, done to its jobs. */
import type { FoundArray } from '../api/array';
import { asGodwitError } from '../api/errors';
import type { Asked } from './lists';

/** Asked at once of one agent: a user has 512 calls that are not answered yet. */
const AT_ONCE = 32;

export type Part = FoundArray['jobs'][number];

/** The array that is meant; null where that is one job. @throws `ambiguous-job` */
export const findArray = async (agent: Asked, job: string): Promise<FoundArray | null> =>
  (await agent.call('jobs.array', { job })).array;

/** What is done to one job, or where an array is meant, by the agent's word, to all of its jobs. */
export async function oneOrAll<T>(
  find: () => Promise<FoundArray | null>,
  one: () => Promise<T>,
  all: (array: FoundArray) => Promise<T>,
): Promise<T> {
  try {
    return await one();
  } catch (error) {
    const array = asGodwitError(error).code === 'is-array' ? await find() : null;
    if (!array) throw error;
    return all(array);
  }
}

/** What came of it for each of an array's jobs. */
export interface Outcome<T> {
  job: Part;
  result: { ok: T } | { error: ReturnType<typeof asGodwitError> };
}

/** `work` on all of these jobs, some at once, in their order; each has its own outcome. */
export async function each<T>(
  jobs: readonly Part[],
  work: (job: Part) => Promise<T>,
  atOnce = AT_ONCE,
): Promise<Outcome<T>[]> {
  const outcomes: Outcome<T>[] = [];
  let next = 0;
  const some = async () => {
    for (let at = next++; at < jobs.length; at = next++) {
      const job = jobs[at]!;
      outcomes[at] = await work(job).then(
        (ok) => ({ job, result: { ok } }),
        (error) => ({ job, result: { error: asGodwitError(error) } }),
      );
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, jobs.length) }, some));
  return outcomes;
}

/** In the order in which an array is ended: what is queued first, or it would begin when there is room. */
export const endingOrder = (jobs: readonly Part[]): Part[] => [
  ...jobs.filter(({ stage }) => stage === 'queued').reverse(),
  ...jobs.filter(({ stage }) => stage !== 'queued'),
];
