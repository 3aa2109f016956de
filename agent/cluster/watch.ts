/** Snapshots of the cluster for those who watch it, while somebody does. */
import type { ClusterSnapshot } from '../api/client-events';
import type { CallerConnection } from '../api/contract';
import type { Node } from '../api/model';
import type { HomeView } from '../api/peer-contract';
import type { Log } from '../log';

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

/** How the nodes are asked. */
export interface Sources {
  readonly names: readonly string[];
  list(): Promise<Node[]>;
  view(home: string): Promise<HomeView>;
  /** Resolves with what there is to see when it is more than `seen`. */
  changed(node: string, seen: string, signal: AbortSignal): Promise<string>;
}

export class ClusterWatch {
  readonly #watchers = new Set<CallerConnection>();
  readonly #views = new Map<string, HomeView>();
  readonly #refreshing = new Map<string, () => void>();
  #running: AbortController | null = null;
  #latest: ClusterSnapshot | null = null;
  #publishing: NodeJS.Timeout | undefined;

  constructor(
    private readonly sources: Sources,
    private readonly log: Log,
  ) {
    for (const home of sources.names)
      this.#refreshing.set(
        home,
        oneAtATime(() => this.#refresh(home)),
      );
  }

  /** Says `cluster` to the watcher until it goes. */
  add(watcher: CallerConnection): void {
    if (this.#watchers.has(watcher)) return;
    this.#watchers.add(watcher);
    void watcher.closed.then(() => this.#remove(watcher));
    if (!this.#running) this.#start();
    else if (this.#latest) this.#say(watcher, this.#latest);
  }

  #remove(watcher: CallerConnection) {
    this.#watchers.delete(watcher);
    if (this.#watchers.size > 0) return;
    this.#running?.abort();
    this.#running = null;
    clearTimeout(this.#publishing);
    this.#publishing = undefined;
    // By the time somebody watches again it would be old.
    this.#latest = null;
    this.#views.clear();
  }

  #start() {
    const running = new AbortController();
    this.#running = running;
    for (const name of this.sources.names) void this.#listen(name, running.signal);
    void this.#tick(running.signal);
    this.#publishing = setTimeout(() => this.#publish(), FIRST_MS);
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

  /** A home that does not answer keeps what it said last: its jobs have not gone because it is silent. */
  async #refresh(home: string) {
    const { signal } = this.#running ?? { signal: AbortSignal.abort() };
    const view = await this.sources.view(home).catch(() => null);
    if (!view || signal.aborted) return;
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
      for (const watcher of this.#watchers) this.#say(watcher, this.#latest);
    } catch (error) {
      this.log(`no snapshot of the cluster: ${(error as Error).message}`);
    }
  }

  /** Who has not read the one before gets a later one: each is whole, and the next is a second away at the most. */
  #say(watcher: CallerConnection, snapshot: ClusterSnapshot) {
    if (watcher.unsent === 0) watcher.emit('cluster', snapshot);
  }
}

/** One snapshot of what each home says: the jobs oldest first, and of those that are over the latest only. */
export function compose(time: string, nodes: Node[], views: HomeView[]): ClusterSnapshot {
  const all = views.flatMap(({ jobs }) => jobs);
  const over = all
    .filter(({ ended }) => ended !== null)
    .sort((a, b) => a.ended!.localeCompare(b.ended!))
    .slice(-OVER_SHOWN);
  const jobs = [...all.filter(({ ended }) => ended === null), ...over];
  jobs.sort((a, b) => a.started.localeCompare(b.started) || a.id.localeCompare(b.id));
  return { time, nodes, jobs, moves: views.flatMap(({ moves }) => moves) };
}

/** Asked for while it is at work it is done once more afterwards, however often it was asked. */
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

/** Ends early when nobody watches any more. */
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
