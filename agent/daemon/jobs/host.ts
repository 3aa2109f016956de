/** The jobs that run on this node, of all homes: launched, watched to their ends, cleared away. */
import { asGodwitError } from '../../api/errors';
import { PROGRAM_PID } from '../../api/model';
import type { EndOfJob, LaunchOrder } from '../../api/peer-contract';
import { retryUntilDone } from '../../api/retry';
import { exitStatusOf } from '../../api/signals';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import type { Peers } from '../cluster/peers';
import type { MountOf } from '../homefs/mounted';
import type { Journal, Note } from '../journal/journal';
import type { Clearing } from './clearing';
import type { Copies } from './copies';
import { type Copy, newCopy } from './copy';
import type { Doors } from './doors';
import { Ending } from './ending';
import type { JobMounts } from './job-mounts';
import { launch } from './launch';
import type { NodeParts } from './node-parts';

/** A home that does not answer is asked again after these pauses. */
const PAUSES = { firstMs: 100, mostMs: 5_000 };
/** What a home answers that knows no such job, or has given it away since: it needs no report. */
const NOTHING_TO_TELL: ReadonlySet<string> = new Set([
  'no-such-job',
  'stale-epoch',
  'not-your-job',
  'job-ended',
]);

export interface HostOptions extends NodeParts {
  copies: Copies;
  mounts: JobMounts;
  clearing: Clearing;
  doors: Pick<Doors, 'open' | 'close'>;
  journal: Pick<Journal, 'putNote' | 'clearNote'>;
  peers: Pick<Peers, 'call'>;
}

export class Host {
  readonly #ending: Ending;

  constructor(private readonly options: HostOptions) {
    this.#ending = new Ending(options, (copy) => this.#thawOrphan(copy));
    options.mounted.on('lost', (files, why) => void this.#filesLost(files, why));
  }

  /** Writes down that the copy lives here. */
  note(copy: Copy): Promise<void> {
    const note: Note = { state: 'hosting', epoch: copy.epoch };
    return this.options.journal.putNote({ job: copy.job, note, detail: { copy } });
  }

  /** @throws GodwitError `job-exists`, and why it could not be launched */
  launch(order: LaunchOrder): Promise<{ pid: number }> {
    return this.options.copies.launching(order.job, order.home, () => this.#launch(order));
  }

  async #launch(order: LaunchOrder): Promise<{ pid: number }> {
    const { node, cgroup: folder, layout, mounts, clearing, journal, log } = this.options;
    const { job, epoch, home, stopped: launchedStopped } = order;
    const cgroup = (await JobCgroup.of(folder, `${job}.${epoch}`, order.allocation)).path;
    const made = { cgroup, report: layout.report(job, epoch), files: home === node ? null : epoch };
    const copy = newCopy(order, order, { ...made, launchedStopped });
    await mounts.setForLaunch(copy, order);
    await this.note(copy);
    try {
      await launch(order, copy, this.options);
      await this.note(copy);
    } catch (error) {
      await clearing
        .clearLaunch(copy)
        .catch(({ message }: Error) =>
          log(`what a failed launch left could not be cleared: ${message}`, { job, epoch }),
        );
      await journal.clearNote(job);
      throw error;
    }
    this.lookAfter(copy);
    log(`launched on ${node}`, { job });
    return { pid: PROGRAM_PID };
  }

  /** Looks after a copy that runs here from now on: until it ends, or is let go to another node. */
  lookAfter(copy: Copy): void {
    this.options.copies.add(copy);
    this.options.doors.open(copy);
    void this.#watch(copy);
  }

  /** Ends the hold of a job that was launched stopped. */
  async letGo(copy: Copy): Promise<void> {
    await JobCgroup.at(copy.cgroup).thaw();
    copy.launchedStopped = false;
    await this.note(copy);
  }

  /**
   * The home's files are gone for this copy: what it had open there, no other server knows. It is ended, and its home
   * told why.
   */
  async #filesLost(files: MountOf, why: string): Promise<void> {
    const { copies, log } = this.options;
    const copy = copies.get(files.job);
    if (copy?.files !== files.epoch || !(await copies.isStillTheJob(copy))) return;
    const lost = `the files of its home ${copy.home} are lost to it: ${why}`;
    log(`ended: ${lost}`, { job: copy.job });
    copies.delete(copy.job);
    const exit = { exit: exitStatusOf('SIGKILL'), signal: 'SIGKILL' };
    await this.#reportHome({ job: copy.job, epoch: copy.epoch, exit, lost }, copy.home);
    await this.#clear(copy);
  }

  async #watch(copy: Copy): Promise<void> {
    const { copies, log } = this.options;
    const ended = await this.#ending.of(copy);
    if (!(await copies.isStillTheJob(copy))) return;
    // Moves that were given back may have changed its epoch meanwhile.
    const { job, epoch, home } = copy;
    const { exit, lost } = await this.#ending.explain(copy, ended);
    log(lost ? `lost: ${lost}` : `ended, ${exit.signal ?? exit.exit}`, { job, epoch });
    // When the home knows of its end, its address is free for others.
    await this.#freeAddress(copy).catch((error: Error) => log(error.message, { job, epoch }));
    await this.#reportHome({ job, epoch, exit, lost }, home);
    copies.delete(job);
    await this.#clear(copy);
  }

  async #clear(copy: Copy): Promise<void> {
    const { clearing, journal, log } = this.options;
    const { job, epoch } = copy;
    await clearing.clear(copy).catch((error: Error) => log(`not cleared: ${error.message}`, { job, epoch }));
    await journal.clearNote(job);
  }

  /** Until it has answered. Each reason for which the report failed is logged once. */
  async #reportHome(end: EndOfJob, home: string): Promise<void> {
    const { log, peers } = this.options;
    let logged = '';
    const failed = (error: unknown) => {
      const { message } = asGodwitError(error);
      if (message !== logged) log(`${home} does not know of its end yet: ${message}`, { job: end.job });
      logged = message;
    };
    const report = async () => {
      try {
        await peers.call(home, 'home.ended', end);
      } catch (error) {
        if (!NOTHING_TO_TELL.has(asGodwitError(error).code)) throw error;
      }
    };
    await retryUntilDone(report, failed, PAUSES);
  }

  /** A debugger that was about to attach when its keeper ended has left the job frozen. */
  async #thawOrphan(copy: Copy): Promise<void> {
    if (copy.launchedStopped || !(await this.options.copies.isStillTheJob(copy))) return;
    const cgroup = JobCgroup.at(copy.cgroup);
    if (!(await cgroup.isFrozen().catch(() => false))) return;
    const { job, epoch } = copy;
    this.options.log('the keeper that had frozen it has ended: thawed', { job, epoch });
    await cgroup.thaw();
  }

  async #freeAddress(copy: Copy): Promise<void> {
    await this.options.networks.drain(copy);
    await this.options.networks.remove(copy);
  }
}
