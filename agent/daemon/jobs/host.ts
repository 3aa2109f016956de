import { readFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import type { Typed } from '../../api/client-contract';
import { asGodwitError, GodwitError, initNotDebugged, jobEnded, jobMoving } from '../../api/errors';
import type { Obstacle } from '../../api/model';
import type { JobStatus, LaunchOrder, SharedMount, Terms } from '../../api/peer-contract';
import type { StubSeen } from '../../keeper/contract';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import { JobAccount } from '../../machine/cgroup/limits';
import { mountsThere, trimMounts } from '../../machine/criu/mounts';
import { alsoShared } from '../../machine/homefs/shared';
import type { JobNetworks } from '../../machine/network/interface';
import { type JobProcess, jobProcesses, nodePid, openFiles, readProcess } from '../../machine/proc/processes';
import type { MountOf } from '../homefs/mounted';
import type { Note } from '../journal/journal';
import { Clearing } from './clearing';
import { type Copy, mountOf, placeOf } from './copy';
import { Ending } from './ending';
import type { HostOptions } from './host-options';
import { launch } from './launch';
import { signalProcess } from './signals';
import { type } from './terminal';

/** The program's process id inside every job. */
const PROGRAM = 2;
/** How long a home that does not answer is asked again, at the most, in between. */
const MAX_BACKOFF_MS = 5_000;
/** How often it is looked whether a move that may end a copy is over. */
const MOVE_POLL_MS = 50;

const isHere = (job: string) =>
  new GodwitError({ code: 'job-exists', message: `there is something of job ${job} here already` });

/** The jobs that run on this node, whatever their home. */
export class Host {
  readonly #copies = new Map<string, Copy>();
  /** The homes of those that are being launched. */
  readonly #launching = new Map<string, string>();
  readonly #samples = new Map<string, { at: number; usec: number; cpu: number }>();
  isMoving: (job: string) => boolean = () => false;

  readonly #ending: Ending;
  readonly #clearing: Clearing;

  constructor(readonly options: HostOptions) {
    this.#clearing = new Clearing(options);
    this.#ending = new Ending(options, (copy) => this.#thawOrphan(copy));
  }

  get networks(): JobNetworks {
    return this.options.networks;
  }

  copy(job: string): Copy | undefined {
    return this.#copies.get(job);
  }

  /** Whose job it is that runs here, or is about to; null where there is none. */
  homeOf(job: string): string | null {
    return this.#copies.get(job)?.home ?? this.#launching.get(job) ?? null;
  }

  get jobs(): string[] {
    return [...this.#copies.keys()];
  }

  /** The copy's own note: that it lives here. */
  note(copy: Copy): Promise<void> {
    const note: Note = { state: 'hosting', epoch: copy.epoch };
    return this.options.journal.putNote({ job: copy.job, note, detail: { copy } });
  }

  newCopy(
    { job, epoch, home }: Pick<Copy, 'job' | 'epoch' | 'home'>,
    terms: Terms,
    launchedStopped: boolean,
    cgroup: JobCgroup,
  ): Copy {
    const report = this.options.layout.report(job, epoch);
    return {
      job,
      epoch,
      home,
      user: terms.user,
      limits: terms.limits,
      address: terms.address,
      terminal: terms.terminal,
      cgroup: cgroup.path,
      init: null,
      supervisor: `job:${job}:${epoch}`,
      report,
      files: home === this.options.node ? null : epoch,
      mounts: [],
      shared: [],
      direct: [],
      launchedStopped,
      debugged: false,
      injury: null,
    };
  }

  /** @throws GodwitError `job-exists`, and why it could not be launched */
  async launch(order: LaunchOrder): Promise<{ pid: number }> {
    const { job, home } = order;
    if (this.homeOf(job) !== null) throw isHere(job);
    this.#launching.set(job, home);
    try {
      return await this.#launch(order);
    } finally {
      this.#launching.delete(job);
    }
  }

  async #launch(order: LaunchOrder): Promise<{ pid: number }> {
    const cgroup = await JobCgroup.of(this.options.cgroup, `${order.job}.${order.epoch}`);
    const copy = this.newCopy(order, order, order.stopped, cgroup);
    await this.setMounts(copy, order);
    this.#leaveToHome(copy);
    await this.note(copy);
    try {
      await launch(order, copy, this.options);
      await this.note(copy);
    } catch (error) {
      await this.#clearing.clearLaunch(copy).catch(({ message }: Error) =>
        this.options.log(`what a failed launch left could not be cleared: ${message}`, {
          job: copy.job,
          epoch: copy.epoch,
        }),
      );
      await this.options.journal.clearNote(order.job);
      throw error;
    }
    this.adopt(copy);
    this.options.log(`launched on ${this.options.node}`, { job: order.job });
    return { pid: PROGRAM };
  }

  /** The layout of its root, as its home has decided it, and what of it this node has itself. */
  async setMounts(copy: Copy, { mounts, shared }: Pick<Copy, 'mounts' | 'shared'>): Promise<void> {
    const direct = copy.files === null ? shared.map(({ at }) => at) : await this.direct(shared);
    Object.assign(copy, { mounts, shared, direct });
  }

  /** Elsewhere than at home the mount of the home's files shows its other mounts too, as they come and go. */
  #leaveToHome(copy: Copy): void {
    if (copy.files !== null) copy.mounts = copy.shared.map(({ at }) => at);
  }

  /**
   * The job, which is held, keeps those of its home's mounts that it uses, or that other nodes may have as well; at home
   * all of them. @throws `mounts-failed`
   */
  async trimMounts(copy: Copy): Promise<void> {
    const init = copy.init!;
    if (copy.files !== null) {
      const shared = new Set(copy.shared.map(({ at }) => at));
      const others = copy.mounts.filter((at) => !shared.has(at));
      const used = new Set(await trimMounts({ helper: this.options.helper, init }, others));
      copy.mounts = copy.mounts.filter((at) => shared.has(at) || used.has(at));
    }
    copy.mounts = await mountsThere(init, copy.mounts);
  }

  /** The places of those folders of another home's that are the same files on this node. */
  async direct(shared: SharedMount[]): Promise<string[]> {
    return shared.length === 0 ? [] : alsoShared(shared, await this.options.shared());
  }

  /** Looks after a copy that runs here from now on: until it ends, or is let go to another node. */
  adopt(copy: Copy) {
    this.#copies.set(copy.job, copy);
    void this.#watch(copy);
  }

  /** It lives elsewhere now, or is to be restored anew. */
  release(job: string) {
    this.#copies.delete(job);
    this.#samples.delete(job);
  }

  /** A restore that failed is about to be tried again. */
  clearRestore(copy: Copy): Promise<void> {
    return this.#clearing.clearRestore(copy);
  }

  /** Clears away what is left of a copy that is over. May have to be asked again: a restore may be about to begin. */
  clear(copy: Copy): Promise<void> {
    return this.#clearing.clear(copy);
  }

  /** Kills a copy that is not the job, or not any more: its connections' peers must not hear of it. */
  end(copy: Copy): Promise<void> {
    return this.#clearing.end(copy);
  }

  /**
   * The home's files are gone for this copy: what it had open there, no other server knows. It is ended, and its home
   * told why.
   */
  async filesLost(files: MountOf, why: string): Promise<void> {
    const { log, journal } = this.options;
    const lost = this.#copies.get(files.job);
    if (lost?.files !== files.epoch || !(await this.#isWhatCounts(lost))) return;
    const reason = `the files of its home ${lost.home} are lost to it: ${why}`;
    log(`ended: ${reason}`, { job: lost.job });
    this.release(lost.job);
    const { job, epoch, home } = lost;
    const exit = { exit: 128 + constants.signals.SIGKILL, signal: 'SIGKILL' };
    await this.#insist(lost, () => this.options.tellEnded(home, { job, epoch, exit, lost: reason }));
    await this.clear(lost).catch((error: Error) => log(`not cleared: ${error.message}`, { job: lost.job }));
    await journal.clearNote(lost.job);
  }

  /** Tells a home what it must know, until it has heard. What keeps it from that is in the log, once each. */
  async #insist({ job, home }: Copy, tell: () => Promise<void>): Promise<void> {
    let said = '';
    for (let wait = 100; ; wait = Math.min(2 * wait, MAX_BACKOFF_MS)) {
      try {
        return await tell();
      } catch (error) {
        const { code, message } = asGodwitError(error);
        // A home that knows no such job, or that has given it away since, has nothing to be told.
        if (['no-such-job', 'stale-epoch', 'not-your-job', 'job-ended'].includes(code)) return;
        if (message !== said) this.options.log(`${job}: ${home} has yet to hear of its end: ${message}`);
        said = message;
        await sleep(wait);
      }
    }
  }

  /** Does its home answer for all that it has open? A move would wait for it in the midst. */
  async filesObstacle(copy: Copy): Promise<Obstacle | null> {
    const files = mountOf(copy);
    if (!files) return null;
    try {
      await this.options.mounted.answers(files, await openFiles(JobCgroup.at(copy.cgroup)));
      return null;
    } catch (error) {
      const { code, message, fix } = asGodwitError(error);
      return { code, what: message, fix: fix ?? 'try again when it answers' };
    }
  }

  /** Waits for a move to be over that may take the job away from here; is this copy still the job then? */
  async #isWhatCounts(copy: Copy): Promise<boolean> {
    const isHere = () => this.#copies.get(copy.job) === copy;
    while (isHere() && this.isMoving(copy.job)) await sleep(MOVE_POLL_MS);
    return isHere();
  }

  async #watch(copy: Copy) {
    const ended = await this.#ending.of(copy);
    if (!(await this.#isWhatCounts(copy))) return;
    const { exit, lost } = await this.#ending.explain(copy, ended);
    const how = lost ? `lost: ${lost}` : `ended, ${exit.signal ?? exit.exit}`;
    this.options.log(how, { job: copy.job, epoch: copy.epoch });
    // When the home knows of its end, its address is free for others.
    await this.#freeAddress(copy).catch((error: Error) =>
      this.options.log(error.message, { job: copy.job, epoch: copy.epoch }),
    );
    await this.#insist(copy, () =>
      this.options.tellEnded(copy.home, { job: copy.job, epoch: copy.epoch, exit, lost }),
    );
    this.release(copy.job);
    await this.clear(copy).catch((error: Error) =>
      this.options.log(`not cleared: ${error.message}`, { job: copy.job, epoch: copy.epoch }),
    );
    await this.options.journal.clearNote(copy.job);
  }

  /** A debugger that was about to attach when its keeper went has left the job frozen. */
  async #thawOrphan(copy: Copy): Promise<void> {
    if (copy.launchedStopped || !(await this.#isWhatCounts(copy))) return;
    const cgroup = JobCgroup.at(copy.cgroup);
    if (await cgroup.isFrozen().catch(() => false)) {
      this.options.log(`its keeper went while it held it frozen: thawed`, {
        job: copy.job,
        epoch: copy.epoch,
      });
      await cgroup.thaw();
    }
  }

  async #freeAddress(copy: Copy): Promise<void> {
    await this.options.networks.drain(copy);
    await this.options.networks.remove(copy);
  }

  async status(job: string, stubs: readonly StubSeen[]): Promise<JobStatus | null> {
    const copy = this.#copies.get(job);
    if (!copy) return null;
    const cgroup = JobCgroup.at(copy.cgroup);
    const processes = await jobProcesses(cgroup);
    const program = processes.find(({ inner }) => inner === PROGRAM);
    const counted = await (await JobAccount.of(copy.cgroup)).memory();
    const own = stubs.filter((stub) => stub.job === job);
    const stub = own.find(({ pid }) => pid === PROGRAM);
    const traced = program?.state === 't' && !stub?.running;
    const stopped = copy.launchedStopped || program?.state === 'T' || traced;
    return {
      job,
      epoch: copy.epoch,
      state: this.isMoving(job) ? 'moving' : stopped ? 'stopped' : 'running',
      cpu: await this.#cpu(job, cgroup),
      rss: counted ?? processes.reduce((sum, { rss }: JobProcess) => sum + rss, 0),
      debugged: own.length > 0,
    };
  }

  /** CPUs in use since the last look that was at least half a second ago. */
  async #cpu(job: string, cgroup: JobCgroup): Promise<number> {
    const now = performance.now();
    const usec = await cgroup.cpuUsageUsec();
    const last = this.#samples.get(job);
    if (last && now - last.at < 500) return last.cpu;
    const cpu = last ? Math.max(0, (usec - last.usec) / 1000 / (now - last.at)) : 0;
    this.#samples.set(job, { at: now, usec, cpu });
    return cpu;
  }

  async stubs(): Promise<StubSeen[]> {
    return (await this.options.keeper.call('stub.list', {})).stubs;
  }

  /** Signals the program. @throws GodwitError `job-moving`, `job-ended` */
  async kill(job: string, signal: NodeJS.Signals): Promise<void> {
    const copy = this.#settled(job);
    const { helper } = this.options;
    // Who has the user's id may have stopped it from outside; then it would not see its program end.
    if (copy.init !== null) await signalProcess(helper, copy, copy.init, 'SIGCONT');
    const program = await nodePid(JobCgroup.at(copy.cgroup), PROGRAM).catch((error) => {
      // It has just ended, and its home has yet to hear of it.
      throw asGodwitError(error).code === 'no-such-process' ? jobEnded(job) : error;
    });
    await signalProcess(helper, copy, program, signal);
    // A held program has yet to live to notice a signal; only stopping it leaves it as it is.
    if (copy.launchedStopped && signal !== 'SIGSTOP') await this.letGo(copy);
  }

  /** Types into the job's terminal. @throws `job-moving` when it is on its way, whatever of it was taken */
  async type(job: string, typed: z.output<typeof Typed>, signal: AbortSignal): Promise<void> {
    const copy = this.#settled(job);
    if (copy.init === null) throw jobMoving(job);
    const here = () => this.#copies.get(job) === copy && !this.isMoving(job);
    const { run } = JobCgroup.at(copy.cgroup);
    await type({ ...typed, job, helper: this.options.helper, run, init: copy.init, here, signal });
  }

  /** Ends the hold of a job that was launched stopped. */
  async letGo(copy: Copy): Promise<void> {
    await JobCgroup.at(copy.cgroup).thaw();
    copy.launchedStopped = false;
    await this.note(copy);
  }

  /**
   * Attaches a stub for a new session, or finds the one that the session has: until it leaves, as soon as it has come.
   * @throws `job-moving` where it may be here soon, or elsewhere
   */
  async debug(job: string, pid: number, session: string, fresh: boolean): Promise<{ ticket: string }> {
    const { keeper } = this.options;
    if (fresh) await this.#attach(this.#settled(job), pid, session);
    const copy = this.#copies.get(job);
    return keeper.call('stub.connect', { job, pid, session }).catch((error) => {
      // A stub outlives its job until it has told how that ended: whether it is to be here is for the home to say.
      if (!copy || this.#copies.get(job) !== copy || this.isMoving(job)) throw jobMoving(job);
      throw error;
    });
  }

  async #attach(copy: Copy, pid: number, session: string): Promise<void> {
    if ((await nodePid(JobCgroup.at(copy.cgroup), pid)) === copy.init) throw initNotDebugged(copy.job, pid);
    await this.#debugged(copy);
    await this.options.keeper.call('stub.attach', { place: placeOf(copy), pid, session });
    if (copy.launchedStopped) await this.letGo(copy);
  }

  async #debugged(copy: Copy): Promise<void> {
    if (copy.debugged) return;
    copy.debugged = true;
    await this.note(copy);
  }

  #settled(job: string): Copy {
    const copy = this.#copies.get(job);
    // Its home said that it is here: it has left since.
    if (!copy || this.isMoving(job)) throw jobMoving(job);
    return copy;
  }

  /** Is there anything alive of the copy, and does it run? */
  async presence(copy: Copy): Promise<'running' | 'frozen' | 'ended' | 'none'> {
    const cgroup = JobCgroup.at(copy.cgroup);
    const alive =
      copy.init !== null && (await readProcess(copy.init)) !== null && (await cgroup.pids()).length > 0;
    if (alive) return (await cgroup.isFrozen()) ? 'frozen' : 'running';
    const reported = await readFile(copy.report, 'utf8').catch(() => null);
    return reported === null ? 'none' : 'ended';
  }
}
