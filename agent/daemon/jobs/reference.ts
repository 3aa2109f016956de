import type { FoundArray, HomedArray } from '../../api/array';
import { GodwitError, noSuchJob } from '../../api/errors';
import type { Job } from '../../api/model';

/** The job that a person means by an id, a name, or the beginning of an id. */
export function resolveJob(reference: string, jobs: Job[]): Job {
  const exact = jobs.find(({ id }) => id === reference);
  if (exact) return exact;
  const live = (found: Job[]) => {
    const alive = found.filter(({ state }) => state !== 'ended' && state !== 'lost');
    return alive.length > 0 ? alive : found;
  };
  const named = live(jobs.filter(({ name }) => name === reference));
  const found = named.length > 0 ? named : live(jobs.filter(({ id }) => id.startsWith(reference)));
  if (found.length === 0) throw noSuchJob(reference);
  if (found.length > 1 && !found.every(({ state }) => state === 'ended')) throw ambiguous(reference, found);
  // Of jobs that are over, the latest is meant.
  return found.reduce((latest, job) => (job.started > latest.started ? job : latest));
}

/** One whose jobs have several homes by now, as some were adopted, is one array all the same. */
export function joinedArrays(parts: readonly HomedArray[]): HomedArray[] {
  const byId = new Map<string, HomedArray>();
  for (const part of parts) {
    const known = byId.get(part.id);
    const jobs = [...(known?.jobs ?? []), ...part.jobs];
    byId.set(part.id, { ...(known ?? part), jobs: jobs.sort((one, other) => one.index - other.index) });
  }
  return [...byId.values()];
}

/**
 * The array that a person means, by the rules of one job; null where they mean a job.
 * @param jobs those that the same words may mean: a name or a whole id comes before the beginning of one
 * @throws `ambiguous-job`
 */
export function resolveArray(reference: string, arrays: HomedArray[], jobs: Job[]): FoundArray | null {
  const exact = arrays.find(({ id }) => id === reference);
  if (exact) return exact;
  const namedArrays = arrays.filter(({ name }) => name === reference);
  const namedJobs = jobs.filter(({ id, name }) => id === reference || name === reference);
  const byName = namedArrays.length > 0 || namedJobs.length > 0;
  const [meant, others] = byName ? [namedArrays, namedJobs] : [arrays, jobs];
  const living = meant.filter(({ jobs: parts }) => parts.some(({ stage }) => stage !== 'over'));
  const livingJobs = others.filter(({ state }) => state !== 'ended' && state !== 'lost');
  const alive = [...living, ...livingJobs];
  if (alive.length > 1 && living.length > 0) throw ambiguous(reference, alive);
  if (alive.length > 0) return living[0] ?? null;
  // Of what is over, the latest is meant.
  const latest = [...meant, ...others].reduce<HomedArray | Job | null>(
    (one, other) => (one && one.started >= other.started ? one : other),
    null,
  );
  return meant.find((array) => array === latest) ?? null;
}

const ambiguous = (reference: string, found: readonly { id: string }[]) =>
  new GodwitError({
    code: 'ambiguous-job',
    message: `"${reference}" could be any of ${found.map(({ id }) => id).join(', ')}`,
    fix: 'give more of the id',
  });
