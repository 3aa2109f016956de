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

const ambiguous = (reference: string, found: Job[]) =>
  new GodwitError({
    code: 'ambiguous-job',
    message: `"${reference}" could be any of ${found.map(({ id }) => id).join(', ')}`,
    fix: 'give more of the id',
  });
