import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { asGodwitError } from '../../api/errors';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import { JobAccount } from '../../machine/cgroup/limits';
import { sockets } from '../../machine/network/sockets';
import { processesNaming } from '../../machine/proc/processes';
import { sever } from '../../machine/proc/sever';
import { type Copy, mountOf } from './copy';
import type { NodeParts } from './node-parts';

/** A supervisor ends as soon as its job has. */
const SUPERVISOR_END_MS = 2_000;
const SUPERVISOR_POLL_MS = 20;

type ClearingParts = Pick<NodeParts, 'helper' | 'keeper' | 'networks' | 'mounted' | 'log'>;

/** Clears away what this node has of a copy. All of it may be asked again, and finds what is left. */
export class Clearing {
  constructor(private readonly options: ClearingParts) {}

  /** What is left of a copy that is over. May have to be asked again: a restore may be about to begin. */
  async clear(copy: Copy): Promise<void> {
    const { keeper } = this.options;
    const key = copy.supervisor;
    await this.end(copy);
    await keeper.call('process.wait', { key }, { timeoutMs: SUPERVISOR_END_MS }).catch(async (error) => {
      unlessUnknown(error);
      // One that an earlier keeper had started may be about to write its report.
      await this.#supervisorGone(copy);
    });
    await keeper.call('process.forget', { key });
    await keeper.call('job.forget', { job: copy.job });
    await this.#removeMade(copy);
  }

  /** What a restore that failed has made, so that it can be tried again. */
  async clearRestore(copy: Copy): Promise<void> {
    const { keeper, helper } = this.options;
    const key = copy.supervisor;
    await keeper.call('process.wait', { key });
    await keeper.call('process.forget', { key });
    await sockets(helper, 'release', JobCgroup.at(copy.cgroup).run);
  }

  async #supervisorGone({ report }: Copy): Promise<void> {
    const until = performance.now() + SUPERVISOR_END_MS;
    while (performance.now() < until && (await processesNaming(report)).length > 0)
      await sleep(SUPERVISOR_POLL_MS);
  }

  /** Kills a copy that is not the job, or not any more: its peers, and the job where it lives, must not notice. */
  async end(copy: Copy): Promise<void> {
    const cgroup = JobCgroup.at(copy.cgroup);
    if ((await cgroup.pids()).length > 0)
      await sever(this.options.helper, cgroup.run).catch((error: Error) =>
        this.options.log(error.message, { job: copy.job, epoch: copy.epoch }),
      );
    const files = mountOf(copy);
    // What dies while its home does not answer, or never will, waits for it on its way out: the files are taken from it.
    await Promise.all([cgroup.kill(), files && this.options.mounted.end(files)]);
  }

  /** What a launch that failed has made. */
  async clearLaunch(copy: Copy): Promise<void> {
    const { keeper } = this.options;
    const key = copy.supervisor;
    await this.end(copy);
    await keeper.call('process.wait', { key }).catch(() => {});
    await keeper.call('process.forget', { key }).catch(() => {});
    await this.#removeMade(copy);
  }

  /** After the last of its processes: what can't be taken from them. */
  async #removeMade(copy: Copy): Promise<void> {
    await JobCgroup.at(copy.cgroup).remove();
    await (await JobAccount.of(copy.cgroup)).remove();
    await this.options.networks.remove(copy);
    await rm(copy.report, { force: true });
  }
}

/** A restarted keeper knows nothing of the processes that an earlier one had started. */
function unlessUnknown(error: unknown) {
  if (asGodwitError(error).code !== 'no-such-process') throw error;
}
