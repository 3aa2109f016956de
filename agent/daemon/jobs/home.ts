import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { existsSync } from 'node:fs';
import { chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { asGodwitError, GodwitError, jobAdopted } from '../../api/errors';
import {
  type Exit,
  type Job,
  type JobSpec,
  type LaunchRequest,
  PROGRAM_PID,
  type User,
} from '../../api/model';
import type { EndOfJob, SharedMount } from '../../api/peer-contract';
import type { PerUser } from '../../api/per-user';
import { cut, printable } from '../../api/text';
import type { Log } from '../../log';
import { jobMountsHere } from '../../machine/homefs/mounts';
import type { Peers } from '../cluster/peers';
import type { HomedJob, JobRule, Journal, NewJob } from '../journal/journal';
import type { Addresses } from './addresses';
import { assertStartable, boundedResources } from './admission';
import { Consoles } from './console';
import { shownOf } from './copy';
import { DOOR_PATH } from './doors';
import { readStatus } from './exit-status';
import type { Groups } from './groups';
import { type HomedJobs, hasAddress } from './homed-jobs';
import type { Layout } from './layout';
import { Retention } from './retention';

/** A launch is a fork, a few mounts and an exec. */
const LAUNCH_TIMEOUT_MS = 30_000;

/** Of a program's name where its job has no other: what can be given as a name fits. */
const NAME_SHOWN = 100;

export interface HomeOptions {
  node: string;
  layout: Layout;
  /** PID 1 of every job, at its place here. */
  helper: string;
  journal: Journal;
  peers: Peers;
  addresses: Addresses;
  perUser: PerUser;
  /** What of this node others may have as well. */
  shared: () => Promise<SharedMount[]>;
  lists: HomedJobs;
  groups: Groups;
  log: Log;
}

/** Of one launch alone. */
export interface Begun {
  /** See `LaunchRequest`. */
  token?: string | undefined;
  /** The one that it is of; without an id, one that begins with it. */
  group?: { id?: string | undefined; name: string } | undefined;
}

/** What its request does not say. */
export interface Launch extends Begun {
  user: User;
  host: string;
  allocation: string | null;
}

/** The jobs that call this node home: where they live, their console, how they ended. */
export class Home {
  /** `ended:<job>` when the journal has it. */
  readonly #events = new EventEmitter().setMaxListeners(0);
  readonly consoles: Consoles;
  readonly #retention: Retention;
  #unsettled: HomedJob[] = [];

  constructor(private readonly options: HomeOptions) {
    const { layout, log, perUser } = options;
    this.consoles = new Consoles({ layout, log, mostBytes: perUser.consoleBytes });
    this.#retention = new Retention(options);
  }

  /**
   * Before anybody is listened to: the consoles of jobs that live are looked after, and whatever is being launched was
   * begun by an agent that has ended.
   */
  async takeUp(): Promise<void> {
    const living = await this.options.journal.jobs({ ended: false });
    for (const job of living) {
      // An agent that had just adopted it did not come to make it.
      if (job.state === 'running' && !existsSync(this.options.layout.console(job.id))) await this.take(job);
      else if (job.queuedSince === null) this.consoles.watch(job.id);
    }
    // Those of the queue are the queue's to settle.
    const queued = new Set((await this.options.journal.queue()).map(({ job }) => job.id));
    this.#unsettled = living.filter(({ id, state }) => state === 'starting' && !queued.has(id));
  }

  /** When hosts can be asked: those launches are settled, and old jobs forgotten. */
  async start(): Promise<void> {
    void this.#retention.review();
    await this.#settleLaunches();
    void this.options.groups.takeUp();
  }

  /** Launches a job as `user`, who asked for it. */
  run(request: LaunchRequest, { user, host, allocation, ...begun }: Launch): Promise<Job> {
    const { journal, addresses, lists } = this.options;
    const spec = this.specOf(request, user, allocation);
    return addresses.with(request.address, async (address) => {
      const job = this.newJob({ ...spec, address }, host, begun);
      const launched = await journal.launch(job);
      await this.begin(launched, job.spec).catch(async (error: Error) => {
        await this.unlaunch(launched, error);
        throw error;
      });
      return lists.one(await journal.job(launched.id));
    });
  }

  /** What the home makes of a request, but for its address and its group. @throws `too-long` */
  specOf(request: LaunchRequest, user: User, allocation: string | null): JobSpec {
    assertStartable(request);
    const { limits = {}, allowIoUring = false, queue: _, address: __, ...rest } = request;
    const { group: ___, token: ____, ...others } = rest;
    const resources = boundedResources(request.resources, user, this.options.perUser);
    return { ...others, resources, limits, allowIoUring, user, address: null, allocation };
  }

  /** For the journal. */
  newJob(spec: JobSpec, host: string, { token, group }: Begun = {}): NewJob {
    const id = newId();
    const name = spec.name ?? nameOf(spec);
    const most = spec.user.uid === 0 ? {} : { most: this.options.perUser.jobs };
    const of = group && { group: { id: group.id ?? id, name: group.name } };
    return { id, name, spec: { ...spec, ...of }, host, launchedStopped: spec.stopped, token, ...most };
  }

  /** Launches what the journal has as `starting`, on its host. @throws why it was not launched, or may have been */
  async begin(job: HomedJob, spec: JobSpec): Promise<void> {
    const { groups, journal, layout, node, peers } = this.options;
    const { id, ledger } = job;
    await this.makeFiles(job);
    const { program, args, cwd, stopped, umask, resources, limits, allowIoUring, user, address } = spec;
    const { tty, hostname, allocation } = spec;
    const asked = {
      // What its programs find the door by, and know themselves by.
      env: { ...spec.env, GODWIT_AGENT: DOOR_PATH, GODWIT_JOB: id },
      ...{ program, args, cwd, stopped, umask, resources, limits, allowIoUring, tty, hostname },
    };
    const terms = { user, address, allocation, terminal: tty !== undefined, shown: shownOf(job) };
    const order = { job: id, home: node, epoch: 0, ...terms, ...asked };
    const files = {
      console: layout.console(id),
      status: layout.status(id),
      init: this.options.helper,
      ...(await this.#mounts(user)),
    };
    const options = { timeoutMs: LAUNCH_TIMEOUT_MS };
    const { pid } = await peers.call(ledger.host, 'host.launch', { ...order, ...files }, options);
    await journal.running(id, pid);
    if (job.spec.group?.id === id) groups.begun(id);
    this.consoles.watch(id);
  }

  /** There before it begins, so that it can be followed before anything is written. */
  async makeFiles({ id, spec: { user } }: Pick<HomedJob, 'id' | 'spec'>): Promise<void> {
    const { layout } = this.options;
    await mkdir(layout.job(id), { recursive: true });
    for (const file of [layout.console(id), layout.status(id)]) {
      await writeFile(file, '', { flag: 'a', mode: 0o600 });
      await chown(file, user.uid, user.gid);
    }
  }

  /** It was not launched: as if it had never been. */
  async unlaunch({ id }: HomedJob, why: Error): Promise<void> {
    const { journal, layout, log } = this.options;
    log(`not launched: ${why.message}`, { job: id });
    await journal.unlaunched(id);
    await rm(layout.job(id), { recursive: true, force: true });
  }

  /** The layout of a job's root: the same wherever it goes. */
  async #mounts(user: JobSpec['user']): Promise<{ mounts: string[]; shared: SharedMount[] }> {
    const { helper, layout } = this.options;
    const own = await jobMountsHere({ helper, user, without: layout.state });
    const shared = await this.options.shared();
    return { mounts: [...new Set([...own, ...shared.map(({ at }) => at)])].sort(), shared };
  }

  job(id: string): Promise<HomedJob> {
    return this.options.journal.job(id);
  }

  rule(id: string, rule: JobRule): Promise<void> {
    return this.options.journal.rule(id, rule);
  }

  /**
   * The host has told that the program ended. What PID 1 wrote at home counts more than what the host saw, where it is
   * what PID 1 writes: anything else that the job's user may have written there changes nothing.
   */
  async ended({ job: id, epoch, exit, lost: reason }: EndOfJob): Promise<void> {
    const { journal, layout } = this.options;
    const status = await readStatus(layout.status(id));
    if (reason === null) await journal.ended(id, epoch, { ...exit, ...status });
    else await journal.lost(id, epoch, reason);
    this.#events.emit(`ended:${id}`);
    this.consoles.unwatch(id);
    void this.#retention.review((await journal.job(id)).spec.user.uid);
  }

  /**
   * Something was written about the job: those who wait for its end hear of one that no host has told, and those who wait
   * for its turn in the queue that it has come.
   */
  async review(id: string): Promise<void> {
    if (this.options.groups.has(id)) void this.options.groups.review(id);
    if (this.#events.listenerCount(`begun:${id}`) > 0 && !(await this.isQueued(id)))
      this.#events.emit(`begun:${id}`);
    if (this.#events.listenerCount(`ended:${id}`) > 0 && (await this.isOver(id)))
      this.#events.emit(`ended:${id}`);
  }

  /** Does it wait in the queue? */
  async isQueued(id: string): Promise<boolean> {
    return (await this.options.journal.job(id)).queuedSince !== null;
  }

  /** Resolves when the job waits in the queue no longer: it is being launched, or is over. */
  async begun(id: string, signal: AbortSignal): Promise<void> {
    const enough = new AbortController();
    const either = AbortSignal.any([signal, enough.signal]);
    const begun = once(this.#events, `begun:${id}`, { signal: either });
    begun.catch(() => {});
    try {
      if (await this.isQueued(id)) await begun;
    } finally {
      enough.abort();
    }
  }

  /** The job has come here with its copy: what a job of this node's has, its new console foremost. */
  async take(job: Pick<HomedJob, 'id' | 'spec'>): Promise<void> {
    await this.makeFiles(job);
    this.consoles.watch(job.id);
  }

  /** Resolves when the job has ended. @throws `job-lost`, `job-adopted` */
  async wait(id: string, signal: AbortSignal): Promise<Exit & { id: string }> {
    for (;;) {
      const ended = new Promise<void>((resolve, reject) => {
        this.#events.once(`ended:${id}`, resolve);
        signal.addEventListener('abort', () => reject(cancelled()), { once: true });
      });
      ended.catch(() => {});
      const job = await this.options.journal.job(id);
      if (job.exit) return { id, ...job.exit };
      if (job.state === 'adopted') throw jobAdopted(id, job.ledger.host);
      if (job.state === 'lost') throw lost(id, await this.#whyLost(id));
      await ended;
    }
  }

  async #whyLost(id: string): Promise<string> {
    const events = await this.options.journal.history({ job: id });
    return events.findLast(({ event }) => event.event === 'lost')?.event.reason ?? 'the cause is unknown';
  }

  async isOver(id: string): Promise<boolean> {
    const { state } = await this.options.journal.job(id);
    return state === 'ended' || state === 'lost' || state === 'adopted';
  }

  onEnd(id: string, listener: () => void) {
    this.#events.once(`ended:${id}`, listener);
  }

  /**
   * Launches that the agent did not live to see through: their hosts know whether they run. Those that do not answer
   * are asked again at the next start.
   */
  async #settleLaunches(): Promise<void> {
    const { journal, peers, log } = this.options;
    for (const job of this.#unsettled.splice(0)) {
      try {
        const { statuses } = await peers.call(job.ledger.host, 'host.jobStatus', { jobs: [job.id] });
        if (statuses.length > 0) await journal.running(job.id, PROGRAM_PID);
        else await journal.unlaunched(job.id);
      } catch (error) {
        log(`its host did not say whether it was launched: ${asGodwitError(error).message}`, { job: job.id });
      }
    }
  }
}

/** The addresses of the journal's jobs. */
export const addressesIn = async (journal: Journal): Promise<string[]> =>
  (await journal.jobs({ ended: true }))
    .filter(hasAddress)
    .flatMap(({ spec }) => (spec.address ? [spec.address.ip] : []));

/** Of a job, or an array, that was given none. */
export const nameOf = ({ program }: Pick<JobSpec, 'program'>): string =>
  cut(printable(basename(program)), NAME_SHOWN);

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz012345';
/** Ten characters of 32: two jobs of a cluster meet by chance once in 10^15. */
export const newId = () => [...randomBytes(10)].map((byte) => ALPHABET[byte % ALPHABET.length]).join('');

const cancelled = () => new GodwitError({ code: 'cancelled', message: 'the wait for the job was cancelled' });
const lost = (id: string, why: string) =>
  new GodwitError({
    code: 'job-lost',
    message: `job ${id} is lost: ${why}`,
    // No verb takes checkpoints yet, so there is none to offer.
    fix: 'it has no checkpoint to go back to: launch it anew; `godwit history` says what it did',
  });
