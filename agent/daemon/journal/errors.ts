/** What the journal refuses. */
import { GodwitError } from '../../api/errors';
import type { JobId } from '../../api/model';
import type { Epoch } from './ledger';

export const jobExists = (job: JobId) =>
  new GodwitError({ code: 'job-exists', message: `there is a job ${job} already` });

export const tooManyJobs = (limit: number) =>
  new GodwitError({
    code: 'too-many-jobs',
    message: `the limit of ${limit} running jobs is reached`,
    fix: 'end some (see `godwit ps`), or have `perUser.jobs` raised in the configuration of this node',
  });

export const staleEnd = (job: JobId, epoch: Epoch, since: Epoch) =>
  new GodwitError({
    code: 'stale-epoch',
    message: `end of job ${job} in epoch ${epoch}: it lives in epoch ${since}`,
  });

export const stillMoving = (job: JobId) =>
  new GodwitError({ code: 'job-moving', message: `job ${job} is moving` });
