/** Debuggers of the jobs that are on this node: their stubs are the keeper's. */
import { initNotDebugged, jobMoving } from '../../api/errors';
import type { KeeperContract } from '../../keeper/contract';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import { nodePid } from '../../machine/proc/processes';
import type { Link } from '../../wire/link';
import type { Copies } from './copies';
import { type Copy, locationOf } from './copy';
import type { Host } from './host';

/** A stub leaves its process whole, however many threads that has. */
const LEAVE_MS = 60_000;

/** A session of a debugger's client with the stub of a process. */
export interface Session {
  job: string;
  /** As the job numbers it. */
  pid: number;
  session: string;
}

export class Debugging {
  constructor(
    private readonly parts: {
      copies: Copies;
      keeper: Link<KeeperContract>;
      host: Pick<Host, 'note' | 'letGo'>;
    },
  ) {}

  /**
   * Attaches a stub for a new session, or finds the one that the session has; its ticket is good at the keeper.
   * @throws `job-moving` where it may be here soon, or elsewhere
   */
  async open(target: Session, fresh: boolean): Promise<{ ticket: string }> {
    const { copies, keeper } = this.parts;
    const { job } = target;
    if (fresh) await this.#attach(copies.settled(job), target);
    const copy = copies.get(job);
    return keeper.call('stub.connect', target).catch((error) => {
      // A stub outlives its job until its client knows how that ended: only the home knows where the job should be.
      if (!copy || !copies.has(copy) || copies.isLeaving(job)) throw jobMoving(job);
      throw error;
    });
  }

  /** Its client has gone for good. */
  async clientGone(target: Session): Promise<void> {
    await this.parts.keeper.call('stub.gone', target, { timeoutMs: LEAVE_MS });
  }

  async #attach(copy: Copy, { pid, session }: Session): Promise<void> {
    const { keeper, host } = this.parts;
    if ((await nodePid(JobCgroup.at(copy.cgroup), pid)) === copy.init) throw initNotDebugged(copy.job, pid);
    if (!copy.debugged) {
      copy.debugged = true;
      await host.note(copy);
    }
    await keeper.call('stub.attach', { location: locationOf(copy), pid, session });
    if (copy.launchedStopped) await host.letGo(copy);
  }
}
