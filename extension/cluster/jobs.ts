import { GodwitError, noSuchJob } from '../../agent/api/errors';
import type { Job } from '../../agent/api/model';
import { isOver } from './descriptions';

/** @throws GodwitError `no-such-job` */
export function jobById(id: string, jobs: readonly Job[]): Job {
  const job = jobs.find((one) => one.id === id);
  if (!job) throw noSuchJob(id);
  return job;
}

/**
 * The job that a person means by an id, a name, or the beginning of an id; of equals the one that lives, else the
 * latest.
 * @throws GodwitError `no-such-job`, `ambiguous-job`
 */
export function resolveJob(reference: string, jobs: readonly Job[]): Job {
  const exact = jobs.find(({ id }) => id === reference);
  if (exact) return exact;
  const named = jobs.filter(({ name }) => name === reference);
  const found = named.length > 0 ? named : jobs.filter(({ id }) => id.startsWith(reference));
  const alive = found.filter((job) => !isOver(job));
  if (alive.length > 1) {
    throw new GodwitError({
      code: 'ambiguous-job',
      message: `"${reference}" could be any of ${alive.map(({ id }) => id).join(', ')}`,
      fix: 'give more of the id',
    });
  }
  const [meant] = alive.length > 0 ? alive : [...found].sort((a, b) => b.started.localeCompare(a.started));
  if (!meant) throw noSuchJob(reference);
  return meant;
}
