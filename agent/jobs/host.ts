import { mkdir, readFile, rm, rmdir } from 'node:fs/promises';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Typed } from '../api/client-contract';
import { asGodwitError, GodwitError, jobMoving } from '../api/errors';
import { size } from '../api/figures';
import type { Link } from '../api/link';
import type { Exit, Obstacle } from '../api/model';
import type { EndOfJob, LaunchOrder, Sight, Terms } from '../api/peer-contract';
import { parseJson, parseWith } from '../api/schema';
import { JobCgroup } from '../freezer/cgroup';
import { JobAccount } from '../freezer/limits';
import {
  type JobProcess,
  jobProcesses,
  nodePid,
  openFiles,
  processesNaming,
  readProcess,
} from '../freezer/processes';
import type { MountedFiles, MountOf } from '../homefs/mounted';
import type { Journal, Note } from '../journal/journal';
import type { KeeperContract, StubSeen } from '../keeper/contract';
import { End, Supervision } from '../keeper/supervision';
import type { JobNetworks } from '../network/interface';
import { sockets } from '../network/sockets';
import { type Copy, exitOf, mountOf, placeOf } from './copy';
import type { Layout } from './layout';
import { type } from './terminal';

/** The program's process id inside every job. */
const PROGRAM = 2;
/** How long a home that does not answer is asked again, at the most, in between. */
const MAX_BACKOFF_MS = 5_000;
/** How often a supervisor that the keeper does not know is looked for through its report. */
const REPORT_POLL_MS = 500;

/** A supervisor ends as soon as its job has. */
const SUPERVISOR_END_MS = 2_000;
const SUPERVISOR_POLL_MS = 20;
/** As processes end in which CRIU or a debugger was interrupted; nobody asks for these. */
const CRASHES = ['SIGSEGV', 'SIGILL', 'SIGBUS', 'SIGFPE', 'SIGSYS', 'SIGTRAP'];

export interface HostOptions {
  node: string;
  cgroup: string;
  helper: string;
  layout: Layout;
  journal: Journal;
  keeper: Link<KeeperContract>;
  networks: JobNetworks;
  /** Of other homes. */
  mounted: MountedFiles;
  log: (line: string) => void;
  /** Tells the job's home; rejects when it can't be reached. */
  tellEnded: (home: string, ended: EndOfJob) => Promise<void>;
}

/** The jobs that run on this node, whatever their home. */
export class Host {
  readonly #copies = new Map<string, Copy>();
  readonly #samples = new Map<string, { at: number; usec: number; cpu: number }>();
  /** Told when a copy has ended by itself; true if somebody else sees to the rest. */
  onEnd: (copy: Copy) => boolean = () => false;
  isMoving: (job: string) => boolean = () => false;

  constructor(readonly options: HostOptions) {}

  get networks(): JobNetworks {
    return this.options.networks;
  }

  copy(job: string): Copy | undefined {
    return this.#copies.get(job);
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
    held: boolean,
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
      held,
      debugged: false,
      injury: null,
    };
  }

  async launch(order: LaunchOrder): Promise<{ pid: number }> {
    const { node, layout, keeper, helper, journal, networks, mounted } = this.options;
    const cgroup = await JobCgroup.of(this.options.cgroup, `${order.job}.${order.epoch}`);
    const copy = this.newCopy(order, order, order.stopped, cgroup);
    copy.mounts = order.mounts;
    const mount = layout.root(order.job, order.epoch);
    await this.note(copy);
    try {
      await cgroup.create();
      const account = await JobAccount.of(cgroup.path);
      await account.create(node, order.limits);
      await account.set(order.limits);
      await mkdir(mount, { recursive: true });
      await networks.make(copy);
      await networks.putUp(copy);
      const files = mountOf(copy);
      if (files) await mounted.mount(files);
      const groups = [cgroup.run, ...account.joined];
      const argv = [helper, 'launch', ...flags(order, copy, mount, groups, networks.namespaceOf(copy))];
      await keeper.call('process.start', {
        key: copy.supervisor,
        argv,
        env: wrapped(order.env),
      });
      copy.init = await this.#launched(copy, order);
      await this.note(copy);
    } catch (error) {
      await this.#undo(copy, cgroup);
      await journal.clearNote(order.job);
      throw error;
    } finally {
      // Never recursively: the job's root was built on it, if only in the job's own namespace.
      if (copy.files === null) await rmdir(mount);
    }
    this.adopt(copy);
    this.options.log(`${order.job}: launched on ${node}`);
    return { pid: PROGRAM };
  }

  async #launched(copy: Copy, order: LaunchOrder): Promise<number> {
    const { line } = await this.options.keeper.call('process.line', { key: copy.supervisor, index: 0 });
    const said = line === null ? null : readSupervision(line);
    if (said && 'init' in said) return said.init;
    if (said && 'error' in said) throw cannotLaunch(order, said.error);
    const { stderr } = await this.options.keeper.call('process.wait', { key: copy.supervisor });
    throw new GodwitError({
      code: 'cannot-launch',
      message: `${order.program} can't be launched: ${stderr.trim()}`,
    });
  }

  async #undo(copy: Copy, cgroup: JobCgroup) {
    const { keeper, log } = this.options;
    try {
      await cgroup.kill();
      await keeper.call('process.wait', { key: copy.supervisor }).catch(() => {});
      await keeper.call('process.forget', { key: copy.supervisor }).catch(() => {});
      await this.#endFiles(copy);
      await removeCgroups(copy);
      await this.options.networks.remove(copy);
      await rm(copy.report, { force: true });
    } catch (error) {
      log(`${copy.job}: what a failed launch left could not be cleared: ${(error as Error).message}`);
    }
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

  /** Clears away what is left of a copy that is over. May have to be asked again: a restore may be about to begin. */
  async clear(copy: Copy): Promise<void> {
    const { keeper } = this.options;
    const key = copy.supervisor;
    await this.end(copy);
    await keeper.call('process.wait', { key }, { timeoutMs: SUPERVISOR_END_MS }).catch(async (error) => {
      unlessUnknown(error);
      // One that an earlier keeper held may be about to write its report.
      await this.#supervisorGone(copy);
    });
    await keeper.call('process.forget', { key });
    await keeper.call('job.forget', { job: copy.job });
    await this.#endFiles(copy);
    await removeCgroups(copy);
    await this.options.networks.remove(copy);
    await rm(copy.report, { force: true });
  }

  async #supervisorGone({ report }: Copy): Promise<void> {
    const until = performance.now() + SUPERVISOR_END_MS;
    while (performance.now() < until && (await processesNaming(report)).length > 0)
      await sleep(SUPERVISOR_POLL_MS);
  }

  /** Kills a copy that is not the job, or not any more: its connections' peers must not hear of it. */
  async end(copy: Copy): Promise<void> {
    const cgroup = JobCgroup.at(copy.cgroup);
    if ((await cgroup.pids()).length > 0)
      await sockets(this.options.helper, 'silence', cgroup.run).catch((error: Error) =>
        this.options.log(`${copy.job}: ${error.message}`),
      );
    await cgroup.kill();
  }

  /**
   * The home's files are gone for this copy: what it had open there, no other server knows. It is ended, and its home
   * told why.
   */
  async filesLost(files: MountOf, why: string): Promise<void> {
    const { log, journal } = this.options;
    const copy = () => {
      const known = this.#copies.get(files.job);
      return known?.files === files.epoch ? known : undefined;
    };
    // A move may end it, or take it away: whatever is left here then counts.
    while (copy() && this.isMoving(files.job)) await sleep(REPORT_POLL_MS);
    const lost = copy();
    if (!lost) return;
    const reason = `the files of its home ${lost.home} are lost to it: ${why}`;
    log(`${lost.job}: ended: ${reason}`);
    this.release(lost.job);
    const { job, epoch, home } = lost;
    const exit = { exit: 128 + constants.signals.SIGKILL, signal: 'SIGKILL' };
    await this.#insist(() => this.options.tellEnded(home, { job, epoch, exit, lost: reason }));
    await this.clear(lost).catch((error: Error) => log(`${lost.job}: not cleared: ${error.message}`));
    await journal.clearNote(lost.job);
  }

  /** Tells a home what it must know, until it has heard. */
  async #insist(tell: () => Promise<void>): Promise<void> {
    for (let wait = 100; ; wait = Math.min(2 * wait, MAX_BACKOFF_MS)) {
      try {
        return await tell();
      } catch (error) {
        // A home that knows no such job, or that has given it away since, has nothing to be told.
        if (['no-such-job', 'stale-epoch', 'job-ended'].includes(asGodwitError(error).code)) return;
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

  /** After the last of its processes: they write until they have ended. */
  async #endFiles(copy: Copy): Promise<void> {
    const files = mountOf(copy);
    if (files) await this.options.mounted.end(files);
  }

  async #watch(copy: Copy) {
    const { end, orphaned } = await this.#end(copy);
    if (this.#copies.get(copy.job) !== copy) return;
    if (this.onEnd(copy)) return;
    const exit = await this.#explained(exitOf(end), copy);
    const lost = await this.#notItsOwn(copy, exit, orphaned);
    this.options.log(`${copy.job}: ${lost ? `lost: ${lost}` : `ended, ${exit.signal ?? exit.exit}`}`);
    // When the home knows of its end, its address is free for others.
    await this.#freeAddress(copy).catch((error: Error) => this.options.log(`${copy.job}: ${error.message}`));
    await this.#insist(() =>
      this.options.tellEnded(copy.home, { job: copy.job, epoch: copy.epoch, exit, lost }),
    );
    this.release(copy.job);
    await this.clear(copy).catch((error: Error) =>
      this.options.log(`${copy.job}: not cleared: ${error.message}`),
    );
    await this.options.journal.clearNote(copy.job);
  }

  /** A kill by the kernel looks like any other; only the group knows it. */
  async #explained(exit: Exit, { cgroup, limits }: Copy): Promise<Exit> {
    if (limits.memory === undefined) return exit;
    const kills = await (await JobAccount.of(cgroup)).memoryKills();
    if (kills === 0) return exit;
    const what = exit.signal === 'SIGKILL' ? 'ended' : 'a process of it was ended';
    return { ...exit, reason: `${what} by its memory limit of ${size(limits.memory)}` };
  }

  async #freeAddress(copy: Copy): Promise<void> {
    await this.options.networks.drain(copy);
    await this.options.networks.remove(copy);
  }

  /** How the copy ended: from its supervisor by way of the keeper, or from the report that it writes. */
  async #end(copy: Copy): Promise<{ end: End; orphaned: boolean }> {
    for (let index = 1; ; ) {
      try {
        const { line } = await this.options.keeper.call(
          'process.line',
          { key: copy.supervisor, index },
          { timeoutMs: Infinity },
        );
        if (line === null) return { end: await this.#reported(copy), orphaned: false };
        const said = readSupervision(line);
        if ('exited' in said) return { end: said.exited, orphaned: false };
        index++;
      } catch (error) {
        if (asGodwitError(error).code === 'no-such-process') {
          await this.#orphaned(copy);
          return { end: await this.#reported(copy), orphaned: true };
        }
        await sleep(REPORT_POLL_MS);
      }
    }
  }

  /** Its keeper has gone, and with it all debuggers; one that was about to attach has left the job frozen. */
  async #orphaned(copy: Copy): Promise<void> {
    if (copy.held || this.isMoving(copy.job) || this.#copies.get(copy.job) !== copy) return;
    const cgroup = JobCgroup.at(copy.cgroup);
    if (await cgroup.isFrozen().catch(() => false)) {
      this.options.log(`${copy.job}: its keeper went while it held it frozen: thawed`);
      await cgroup.thaw();
    }
  }

  /** What ended the copy, if that was neither the program nor anybody's wish: a debugger's breakpoint, or CRIU. */
  async #notItsOwn(copy: Copy, { signal }: Exit, orphaned: boolean): Promise<string | null> {
    if (signal === null) return null;
    if (copy.injury !== null && CRASHES.includes(signal)) return copy.injury;
    if (!copy.debugged || orphaned || !(signal === 'SIGKILL' || CRASHES.includes(signal))) return null;
    const { lost } = await this.options.keeper
      .call('job.debuggerLost', { job: copy.job })
      .catch(() => ({ lost: null }));
    // A process that is killed takes its gdbserver along; a breakpoint without gdbserver kills the process.
    return lost && (lost.alive || signal === 'SIGTRAP') ? lost.reason : null;
  }

  async #reported(copy: Copy): Promise<End> {
    for (;;) {
      const text = await readFile(copy.report, 'utf8').catch(() => null);
      if (text !== null)
        return parseWith(End, parseJson("a supervisor's report", text), "a supervisor's report");
      // Without supervisor or processes nobody will ever write one.
      if ((await JobCgroup.at(copy.cgroup).pids()).length === 0) return { signal: 9 };
      await sleep(REPORT_POLL_MS);
    }
  }

  async sight(job: string, stubs: readonly StubSeen[]): Promise<Sight | null> {
    const copy = this.#copies.get(job);
    if (!copy) return null;
    const cgroup = JobCgroup.at(copy.cgroup);
    const processes = await jobProcesses(cgroup);
    const program = processes.find(({ inner }) => inner === PROGRAM);
    const counted = await (await JobAccount.of(copy.cgroup)).memory();
    const own = stubs.filter((stub) => stub.job === job);
    const stub = own.find(({ pid }) => pid === PROGRAM);
    const traced = program?.state === 't' && !stub?.running;
    const stopped = copy.held || program?.state === 'T' || traced;
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

  async kill(job: string, signal: NodeJS.Signals): Promise<void> {
    const copy = this.#settled(job);
    const program = await nodePid(JobCgroup.at(copy.cgroup), PROGRAM);
    process.kill(program, signal);
    // A held program has yet to live to notice a signal; only stopping it leaves it as it is.
    if (copy.held && signal !== 'SIGSTOP') await this.letGo(copy);
  }

  /** Types into the job's terminal. @throws `job-moving` when it is on its way, whatever of it was taken */
  async type(job: string, typed: z.output<typeof Typed>, signal: AbortSignal): Promise<void> {
    const copy = this.#settled(job);
    if (copy.init === null) throw jobMoving(job);
    const here = () => this.#copies.get(job) === copy && !this.isMoving(job);
    await type({ ...typed, init: copy.init, here, signal });
  }

  /** Ends the hold of a job that was launched stopped. */
  async letGo(copy: Copy): Promise<void> {
    await JobCgroup.at(copy.cgroup).thaw();
    copy.held = false;
    await this.note(copy);
  }

  /** Attaches a stub for a new session, or finds the one that the session has. */
  async debug(job: string, pid: number, session: string, fresh: boolean): Promise<{ ticket: string }> {
    const { keeper } = this.options;
    const copy = this.#copies.has(job) || fresh ? this.#settled(job) : null;
    if (copy && fresh) {
      await nodePid(JobCgroup.at(copy.cgroup), pid);
      await this.#debugged(copy);
      await keeper.call('stub.attach', { place: placeOf(copy), pid, session });
      if (copy.held) await this.letGo(copy);
    }
    const connected = keeper.call('stub.connect', { job, pid, session });
    if (copy) return connected;
    // A stub outlives its job until it has told how that ended.
    return connected.catch(() => {
      throw jobMoving(job);
    });
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

async function removeCgroups({ cgroup }: Copy): Promise<void> {
  await JobCgroup.at(cgroup).remove();
  await (await JobAccount.of(cgroup)).remove();
}

/** A restarted keeper knows nothing of the processes that an earlier one held. */
function unlessUnknown(error: unknown) {
  if (asGodwitError(error).code !== 'no-such-process') throw error;
}

export function readSupervision(line: string): Supervision {
  const words = "a supervisor's words";
  return parseWith(Supervision, parseJson(words, line), words);
}

/**
 * The job's environment on its way through the helper, which is root: under names that mean nothing to a C library.
 * The helper takes them off for the program (init.c).
 */
const wrapped = (env: Record<string, string>) =>
  Object.fromEntries(Object.entries(env).map(([name, value]) => [`JOB:${name}`, value]));

function flags(
  order: LaunchOrder,
  copy: Copy,
  mount: string,
  [run, ...joined]: string[],
  network: string | null,
): string[] {
  const options = {
    '--cgroup': run!,
    '--report': copy.report,
    '--hostname': order.home,
    '--mount': mount,
    '--files': copy.files === null ? '/' : mount,
    '--init': order.init,
    '--cwd': order.cwd,
    '--console': order.console,
    '--status': order.status,
  };
  return [
    ...Object.entries(options).flat(),
    ...copy.mounts.flatMap((at) => ['--bind', at]),
    ...(network === null ? [] : ['--network', network]),
    ...(order.stopped ? ['--stopped'] : []),
    ...(order.allowIoUring ? ['--allow-io-uring'] : []),
    ...joined.flatMap((group) => ['--join', group]),
    ...(order.tty ? ['--tty', `${order.tty.rows}x${order.tty.columns}`] : []),
    ...userFlags(order),
    '--',
    order.program,
    ...order.args,
  ];
}

function userFlags({ user, umask, resources = {} }: LaunchOrder): string[] {
  const limits = Object.entries(resources).flatMap(([name, { soft, hard }]) => [
    '--rlimit',
    `${name}=${soft ?? 'unlimited'}:${hard ?? 'unlimited'}`,
  ]);
  const groups = ['--groups', user.groups.join(',')];
  const numbers = ['--uid', `${user.uid}`, '--gid', `${user.gid}`, ...groups];
  return [
    ...(user.uid === 0 ? [] : numbers),
    ...(umask === undefined ? [] : ['--umask', umask.toString(8)]),
    ...limits,
  ];
}

function cannotLaunch(order: LaunchOrder, error: { stage: string; message: string }): GodwitError {
  const what =
    error.stage === 'cwd'
      ? `${order.program} can't be launched in ${order.cwd}`
      : `${order.program} can't be launched`;
  const fix = { exec: 'is it there, executable, and in PATH?', cwd: 'give another with --cwd' }[error.stage];
  return new GodwitError({ code: 'cannot-launch', message: `${what}: ${error.message}`, fix });
}

/** The status that PID 1 wrote when the program ended; null if it did not come to it. */
export async function readStatus(path: string): Promise<Exit | null> {
  const Status = z.object({ exit: z.int(), signal: z.string().nullable() });
  const text = await readFile(path, 'utf8').catch(() => '');
  try {
    return Status.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
