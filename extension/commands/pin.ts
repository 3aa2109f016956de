/** Jobs that stay where they are. */
import type { Cluster } from '../cluster/cluster';
import { living } from '../prompts/places';
import type { Targets } from './targets';

export class Pinning {
  constructor(
    private readonly cluster: Cluster,
    private readonly targets: Targets,
  ) {}

  /** Resolves with the job's id; undefined when the person gave it up. */
  async set(given: unknown, pinned: boolean): Promise<string | undefined> {
    const job = await this.targets.job(given, {
      title: pinned ? 'Pin Job to Its Node' : 'Unpin Job',
      placeholder: pinned ? 'The job to keep where it is' : 'The job that may move again',
      of: (one) => living(one) && one.pinned !== pinned,
      none: pinned ? 'there is no job to pin' : 'no job is pinned',
    });
    if (!job) return undefined;
    return (await this.cluster.call('jobs.pin', { job: job.id, pinned })).id;
  }
}
