/** Snapshots of the cluster for the clients that watch it, while there are any. */
import type { ClusterSnapshot } from '../../api/client-events';
import type { CallerConnection } from '../../api/contract';
import { GodwitError } from '../../api/errors';
import { fitting, PAGE_BYTES } from '../../api/lists';
import type { Job, Node } from '../../api/model';
import type { HomeView } from '../../api/peer-contract';
import type { Log } from '../../log';

/** The load changes all the time: so often is it told. */
const LOAD_MS = 1_000;
/** Changes come in groups (a note, the journal, another note): this long a snapshot waits for the rest of them. */
const SETTLE_MS = 20;
/** The first snapshot waits this long for homes that don't answer. */
const FIRST_MS = 500;
/** A node that could not be asked for changes is asked again after this time. */
const RETRY_MS = 1_000;
/** Jobs that are over, in one snapshot: a screenful. */
export const OVER_SHOWN = 50;
/** Jobs in one snapshot: with nodes and moves beside them it is still one message. */
const JOBS_BYTES = 2 * PAGE_BYTES;

type Narrow = (whole: ClusterSnapshot) => ClusterSnapshot;

/** How the nodes are asked. */
export interface Sources {
  readonly names: readonly string[];
  list(): Promise<Node[]>;
  view(home: string): Promise<HomeView>;
  /** Resolves with the latest state when it is newer than `seen`. */
  changed(node: string, seen: string, signal: AbortSignal): Promise<string>;
}

export class ClusterWatch {
  /** Each with the number of its user, which root's have not, and what of a snapshot it is told. */
  readonly #watchers = new Map<CallerConnection, { uid: number | undefined; narrow: Narrow }>();
  readonly #views = new Map<string, HomeView>();
  readonly #refreshing = new Map<string, () => void>();
  /** The nodes that are listened to, while a client watches. */
  readonly #listening = new Map<string, AbortController>();
  #running: AbortController | null = null;
  #latest: ClusterSnapshot | null = null;
  #publishing: NodeJS.Timeout | undefined;

  constructor(
    private readonly sources: Sources,
    private readonly log: Log,
    /** How many one user may have. */
    private readonly mostOfOne = Number.POSITIVE_INFINITY,
  ) {}

  /** Sends the event `cluster` to the watcher until it goes. @throws GodwitError `too-many-watchers` */
  add(watcher: CallerConnection, uid?: number, narrow: Narrow = (whole) => whole): void {
    if (this.#watchers.has(watcher)) return;
    const theirs = [...this.#watchers.values()].filter((other) => other.uid === uid).length;
    if (uid !== undefined && theirs >= this.mostOfOne) throw tooManyWatchers(this.mostOfOne);
    this.#watchers.set(watcher, { uid, narrow });
    void watcher.closed.then(() => this.#remove(watcher));
    if (!this.#running) this.#start();
    else if (this.#latest) this.#say(watcher, this.#latest);
  }

  #remove(watcher: CallerConnection) {
    this.#watchers.delete(watcher);
    if (this.#watchers.size > 0) return;
    this.#running?.abort();
    this.#running = null;
    this.#listening.clear();
    this.#refreshing.clear();
    clearTimeout(this.#publishing);
    this.#publishing = undefined;
    // By the time a client watches again it would be old.
    this.#latest = null;
    this.#views.clear();
  }

  #start() {
    const running = new AbortController();
    this.#running = running;
    this.review();
    void this.#tick(running.signal);
    this.#publishing = setTimeout(() => this.#publish(), FIRST_MS);
  }

  /** The nodes may be others now. */
  review(): void {
    if (!this.#running) return;
    const { names } = this.sources;
    for (const [name, listening] of this.#listening) {
      if (names.includes(name)) continue;
      listening.abort();
      for (const kept of [this.#listening, this.#refreshing, this.#views]) kept.delete(name);
    }
    for (const name of names) if (!this.#listening.has(name)) this.#follow(name, this.#running.signal);
  }

  #follow(name: string, running: AbortSignal) {
    const listening = new AbortController();
    this.#listening.set(name, listening);
    this.#refreshing.set(
      name,
      oneAtATime(() => this.#refresh(name)),
    );
    void this.#listen(name, AbortSignal.any([running, listening.signal]));
  }

  async #tick(signal: AbortSignal) {
    while (!signal.aborted) {
      this.#refreshAll();
      await pause(LOAD_MS, signal);
    }
  }

  /** What changes on one node may be another one's job. */
  async #listen(name: string, signal: AbortSignal) {
    for (let seen = ''; !signal.aborted; ) {
      try {
        const now = await this.sources.changed(name, seen, signal);
        if (now !== seen) this.#refreshAll();
        seen = now;
      } catch {
        await pause(RETRY_MS, signal);
      }
    }
  }

  #refreshAll() {
    for (const refresh of this.#refreshing.values()) refresh();
  }

  /** Of a home that does not answer the last view stays: its jobs are still there. */
  async #refresh(home: string) {
    const { signal } = this.#running ?? { signal: AbortSignal.abort() };
    const view = await this.sources.view(home).catch(() => null);
    if (!view || signal.aborted || !this.#listening.has(home)) return;
    this.#views.set(home, view);
    if (this.#latest || this.#views.size === this.sources.names.length) this.#publishSoon();
  }

  #publishSoon() {
    if (this.#latest && this.#publishing) return;
    clearTimeout(this.#publishing);
    this.#publishing = setTimeout(() => this.#publish(), SETTLE_MS);
  }

  async #publish() {
    this.#publishing = undefined;
    const signal = this.#running?.signal;
    try {
      const nodes = await this.sources.list();
      if (!signal || signal.aborted) return;
      this.#latest = compose(new Date().toISOString(), nodes, [...this.#views.values()]);
      for (const watcher of this.#watchers.keys()) this.#say(watcher, this.#latest);
    } catch (error) {
      this.log(`no snapshot of the cluster: ${(error as Error).message}`);
    }
  }

  /** Who has not read the one before gets a later one: each is whole, and the next is a second away at the most. */
  #say(watcher: CallerConnection, snapshot: ClusterSnapshot) {
    const { narrow } = this.#watchers.get(watcher)!;
    if (watcher.unsent === 0) watcher.emit('cluster', narrow(snapshot));
  }
}

/** One snapshot of what each home says: the jobs oldest first, and of those that are over the latest only. */
export function compose(time: string, nodes: Node[], views: HomeView[]): ClusterSnapshot {
  const all = latestOf(views.flatMap(({ jobs }) => jobs));
  const over = all
    .filter(({ ended }) => ended !== null)
    .sort((a, b) => a.ended!.localeCompare(b.ended!))
    .slice(-OVER_SHOWN);
  const jobs = [...all.filter(({ ended }) => ended === null), ...over];
  const latestFirst = jobs.sort((a, b) => b.started.localeCompare(a.started) || b.id.localeCompare(a.id));
  const shown = fitting(latestFirst, JOBS_BYTES).toReversed();
  return { time, nodes, jobs: shown, moves: views.flatMap(({ moves }) => moves) };
}

/**
 * A job may be told of by two: by its home and by a node that has a copy and did not hear of that home for a moment; by
 * the home that it had, and by the one that has adopted it.
 */
function latestOf(jobs: Job[]): Job[] {
  const best = new Map<string, Job>();
  for (const job of jobs) {
    const known = best.get(job.id);
    if (!known || isBetter(job, known)) best.set(job.id, job);
  }
  return [...best.values()];
}

function isBetter(job: Job, than: Job): boolean {
  const [fromHome, other] = [job, than].map(({ homeSilentMs }) => homeSilentMs === undefined);
  return fromHome === other ? job.epoch > than.epoch : fromHome === true;
}

const tooManyWatchers = (limit: number) =>
  new GodwitError({
    code: 'too-many-watchers',
    message: `the limit of ${limit} connections that watch this agent is reached`,
    fix: 'close some windows or debug sessions, or have `perUser.watchers` raised in its configuration',
  });

/** A call while the work runs makes it run once more afterwards, however many calls there were. */
function oneAtATime(work: () => Promise<void>): () => void {
  let working = false;
  let again = false;
  const run = async () => {
    working = true;
    do {
      again = false;
      await work();
    } while (again);
    working = false;
  };
  return () => {
    again = true;
    if (!working) void run();
  };
}

/** Ends early when no client watches any more. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
    if (signal.aborted) end();
  });
}
