import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { asGodwitError, GodwitError } from '../../api/errors';
import { fitting } from '../../api/lists';
import type { Exit, HistoryEvent, Job, JobSpec, LaunchRequest, User } from '../../api/model';
import type { EndOfJob, SharedMount, Sight } from '../../api/peer-contract';
import type { PerUser } from '../../api/per-user';
import { cut, printable } from '../../api/text';
import type { Log } from '../../log';
import { jobMountsHere } from '../../machine/homefs/mounts';
import type { Peers } from '../cluster/peers';
import type { HomedJob, Journal } from '../journal/journal';
import type { Addresses } from './addresses';
import { assertStartable, boundedResources } from './admission';
import { Consoles } from './console';
import type { Layout } from './layout';
import { Retention } from './retention';
import { readStatus } from './status';

/** Read from the journal at once: what does not fit into a page is read again for the next. */
const ROWS_READ = 1_000;
/** A host that does not answer must not make `ps` wait. */
const SIGHT_TIMEOUT_MS = 2_000;
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
  log: Log;
}

/** The jobs that call this node home: where they live, their console, how they ended. */
export class Home {
  /** `ended:<job>` when the journal has it. */
  readonly #events = new EventEmitter().setMaxListeners(0);
  isMoving: (job: string) => boolean = () => false;

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
    for (const { id } of living) this.consoles.watch(id);
    this.#unsettled = living.filter(({ state }) => state === 'starting');
  }

  /** When hosts can be asked: those launches are settled, and old jobs forgotten. */
  async start(): Promise<void> {
    void this.#retention.review();
    await this.#settleLaunches();
  }

  /** Launches a job as `user`, who asked for it. */
  run(request: LaunchRequest, user: User, host: string): Promise<Job> {
    assertStartable(request);
    const { address: asked, limits = {}, allowIoUring = false, ...others } = request;
    const rest = { ...others, resources: boundedResources(request.resources, user, this.options.perUser) };
    return this.options.addresses.with(asked, (address) =>
      this.#launch({ ...rest, limits, allowIoUring, user, address }, host),
    );
  }

  async #launch(spec: JobSpec, host: string): Promise<Job> {
    const { journal, layout, node, peers, perUser, log } = this.options;
    const id = newId();
    const name = spec.name ?? cut(printable(basename(spec.program)), NAME_SHOWN);
    const most = spec.user.uid === 0 ? {} : { most: perUser.jobs };
    await journal.launch({ id, name, spec, host, held: spec.stopped, ...most });
    try {
      await mkdir(layout.job(id), { recursive: true });
      // There from the start, so that it can be followed before the first word.
      for (const file of [layout.console(id), layout.status(id)]) {
        await writeFile(file, '', { flag: 'wx', mode: 0o600 });
        await chown(file, spec.user.uid, spec.user.gid);
      }
      const { program, args, cwd, env, stopped, umask, resources, limits, allowIoUring, user, address } =
        spec;
      const { tty } = spec;
      const asked = { program, args, cwd, env, stopped, umask, resources, limits, allowIoUring, tty };
      const terminal = tty !== undefined;
      const order = { job: id, home: node, epoch: 0, user, address, terminal, ...asked };
      const files = {
        console: layout.console(id),
        status: layout.status(id),
        init: this.options.helper,
        ...(await this.#mounts()),
      };
      const options = { timeoutMs: LAUNCH_TIMEOUT_MS };
      const { pid } = await peers.call(host, 'host.launch', { ...order, ...files }, options);
      await journal.running(id, pid);
      this.consoles.watch(id);
    } catch (error) {
      log(`not launched: ${(error as Error).message}`, { job: id });
      await journal.unlaunched(id);
      await rm(layout.job(id), { recursive: true, force: true });
      throw error;
    }
    return (await this.#seen([await journal.job(id)]))[0]!;
  }

  /** The layout of a job's root: the same wherever it goes. */
  async #mounts(): Promise<{ mounts: string[]; shared: SharedMount[] }> {
    const own = await jobMountsHere(this.options.layout.state);
    const shared = await this.options.shared();
    return { mounts: [...new Set([...own, ...shared.map(({ at }) => at)])].sort(), shared };
  }

  job(id: string): Promise<HomedJob> {
    return this.options.journal.job(id);
  }

  /** All of them. */
  homed(): Promise<HomedJob[]> {
    return this.options.journal.jobs({ ended: true });
  }

  pin(id: string, pinned: boolean): Promise<void> {
    return this.options.journal.pin(id, pinned);
  }

  async jobs(ended: boolean): Promise<Job[]> {
    return this.#seen(await this.options.journal.jobs({ ended }));
  }

  async latestEnded(limit: number): Promise<Job[]> {
    return this.#seen(await this.options.journal.latestEnded(limit));
  }

  /** Those that a person may mean by this. */
  async find(reference: string, limit: number): Promise<Job[]> {
    return this.#seen(await this.options.journal.find(reference, limit));
  }

  /** With its whole command. */
  async show(id: string): Promise<Job> {
    const [job] = await this.#seen([await this.options.journal.job(id)]);
    return { ...job!, command: await this.options.journal.command(id) };
  }

  /** A page of the jobs, `bytes` long at most; `next` is where the one behind it begins. */
  async page(ended: boolean, after: number, bytes: number): Promise<{ jobs: Job[]; next: number | null }> {
    const rows = await this.options.journal.jobs({ ended, after, limit: ROWS_READ });
    const jobs = fitting(await this.#seen(rows), bytes);
    return { jobs, next: next(rows, jobs.length) };
  }

  /** The same of what has happened, to one job or to all. */
  async historyPage(
    job: string | undefined,
    after: number,
    bytes: number,
  ): Promise<{ events: HistoryEvent[]; next: number | null }> {
    const rows = await this.options.journal.history({ job, after, limit: ROWS_READ });
    const events = fitting(
      rows.map(({ event }) => event),
      bytes,
    );
    return { events, next: next(rows, events.length) };
  }

  async #seen(jobs: HomedJob[]): Promise<Job[]> {
    const sights = await this.#sights(jobs);
    return jobs.map((job) => this.#tell(job, sights.get(job.id)));
  }

  /** Each host is asked once for all of its jobs. */
  async #sights(jobs: HomedJob[]): Promise<Map<string, Sight>> {
    const byHost = new Map<string, string[]>();
    for (const { id, state, ledger } of jobs) {
      if (state !== 'running') continue;
      byHost.set(ledger.host, [...(byHost.get(ledger.host) ?? []), id]);
    }
    const asked = [...byHost].map(async ([host, ids]) => {
      try {
        const options = { timeoutMs: SIGHT_TIMEOUT_MS };
        return (await this.options.peers.call(host, 'host.sight', { jobs: ids }, options)).sights;
      } catch {
        return [];
      }
    });
    return new Map((await Promise.all(asked)).flat().map((sight) => [sight.job, sight]));
  }

  #tell(job: HomedJob, sight: Sight | undefined): Job {
    const { id, name, spec, state, pid, exit, started, ended, pinned, moves, ledger } = job;
    const running =
      this.isMoving(id) || ledger.open ? 'moving' : (sight?.state ?? (job.held ? 'stopped' : 'running'));
    return {
      id,
      name,
      command: spec.command,
      user: spec.user.name,
      ...(spec.tty ? { tty: true } : {}),
      ...(Object.keys(spec.limits).length > 0 ? { limits: spec.limits } : {}),
      state: state === 'running' ? running : state,
      home: this.options.node,
      node: ledger.host,
      pid: pid ?? 0,
      address: hasAddress(job) ? (spec.address?.ip ?? null) : null,
      cpu: sight?.cpu ?? 0,
      rss: sight?.rss ?? 0,
      migrations: moves,
      debugged: sight?.debugged ?? false,
      pinned,
      exit,
      started,
      ended,
      epoch: ledger.epoch,
    };
  }

  /**
   * The host says that the program ended. What PID 1 wrote at home is the better witness, where that is what stands
   * there: nothing that the job's user may have written keeps the end from being known.
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

  /** Resolves when the job has ended. @throws `job-lost` */
  async wait(id: string, signal: AbortSignal): Promise<Exit & { id: string }> {
    for (;;) {
      const ended = new Promise<void>((resolve, reject) => {
        this.#events.once(`ended:${id}`, resolve);
        signal.addEventListener('abort', () => reject(cancelled()), { once: true });
      });
      ended.catch(() => {});
      const job = await this.options.journal.job(id);
      if (job.exit) return { id, ...job.exit };
      if (job.state === 'lost') throw lost(id, await this.#whyLost(id));
      await ended;
    }
  }

  async #whyLost(id: string): Promise<string> {
    const events = await this.options.journal.history({ job: id });
    return events.findLast(({ event }) => event.event === 'lost')?.event.reason ?? 'nobody knows how';
  }

  async isOver(id: string): Promise<boolean> {
    const { state } = await this.options.journal.job(id);
    return state === 'ended' || state === 'lost';
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
        const { sights } = await peers.call(job.ledger.host, 'host.sight', { jobs: [job.id] });
        if (sights.length > 0) await journal.running(job.id, PROGRAM);
        else await journal.unlaunched(job.id);
      } catch (error) {
        log(`was it launched? ${asGodwitError(error).message}`, { job: job.id });
      }
    }
  }
}

/** Where the next page begins, of which `taken` of these rows are not a part. */
const next = (rows: { place: number }[], taken: number): number | null =>
  taken < rows.length || rows.length === ROWS_READ ? (rows[taken - 1]?.place ?? null) : null;

/** It keeps its address until nothing of it is left anywhere. */
const hasAddress = ({ state, ledger }: HomedJob): boolean =>
  state !== 'ended' || ledger.open !== null || ledger.debts.length > 0;

/** The addresses of the journal's jobs. */
export const addressesIn = async (journal: Journal): Promise<string[]> =>
  (await journal.jobs({ ended: true }))
    .filter(hasAddress)
    .flatMap(({ spec }) => (spec.address ? [spec.address.ip] : []));

/** The program's process id inside every job. */
const PROGRAM = 2;

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz012345';
/** Ten characters of 32: two jobs of a cluster meet by chance once in 10^15. */
const newId = () => [...randomBytes(10)].map((byte) => ALPHABET[byte % ALPHABET.length]).join('');

const cancelled = () => new GodwitError({ code: 'cancelled', message: 'nobody waits for the job any more' });
const lost = (id: string, why: string) =>
  new GodwitError({
    code: 'job-lost',
    message: `job ${id} is lost: ${why}`,
    // No verb takes checkpoints yet, so there is none to offer.
    fix: 'it has no checkpoint to go back to: launch it anew; `godwit history` says what it did',
  });
