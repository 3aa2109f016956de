/**
 * Makes snapshots of the cluster, until it is stopped: asks the homes for their jobs, each as often as something of them
 * changes, and composes what they said.
 */
import type { ClusterSnapshot } from '../../../api/client-events';
import type { Node } from '../../../api/model';
import type { HomeView } from '../../../api/peer-contract';
import type { Log } from '../../../log';
import { type Heard, HomeViews } from './home-views';
import { compose } from './snapshot';

/** The load changes all the time: so often is it told. */
const LOAD_MS = 1_000;
/** Changes come in groups (a note, the journal, another note): this long a snapshot waits for the rest of them. */
const SETTLE_MS = 20;
/** And this long, at its turn, for homes that are asked then. */
const ANSWERS_MS = 100;
/** The first snapshot waits this long for homes that don't answer. */
const FIRST_MS = 500;
/** A node that could not be asked for changes is asked again after this time. */
const RETRY_MS = 1_000;
/** Homes that are asked at once: their answers, of some megabytes at most, all wait in this process. */
const MOST_AT_ONCE = 32;

/** How the nodes are asked. */
export interface Sources extends Heard {
  readonly names: readonly string[];
  /** Those of them that are asked to say when something changes. */
  readonly followed: readonly string[];
  list(): Promise<Node[]>;
  view(home: string): Promise<HomeView>;
  /** Resolves with the latest state when it is newer than `seen`. */
  changed(node: string, seen: string, signal: AbortSignal): Promise<string>;
}

export class Snapshots {
  #latest: ClusterSnapshot | null = null;
  readonly #stopped = new AbortController();
  readonly #views: HomeViews;
  readonly #following = new Map<string, AbortController>();
  /** To be asked, and being asked: a home that is in both is asked once more. */
  readonly #wanted = new Set<string>();
  readonly #asked = new Set<string>();
  #publishing: { timer: NodeJS.Timeout; at: number } | null = null;

  constructor(
    private readonly sources: Sources,
    private readonly log: Log,
    private readonly made: (snapshot: ClusterSnapshot) => void,
  ) {
    this.#views = new HomeViews(sources);
    this.#publishIn(FIRST_MS);
    this.review();
    void this.#take(this.#stopped.signal);
  }

  get latest(): ClusterSnapshot | null {
    return this.#latest;
  }

  stop(): void {
    this.#stopped.abort();
    if (this.#publishing) clearTimeout(this.#publishing.timer);
  }

  /** The nodes may be others now. */
  review(): void {
    const followed = new Set(this.sources.followed);
    this.#views.review(this.sources.names, followed);
    for (const [name, following] of this.#following) {
      if (followed.has(name)) continue;
      following.abort();
      this.#following.delete(name);
    }
    for (const name of followed) {
      if (this.#following.has(name)) continue;
      const following = new AbortController();
      this.#following.set(name, following);
      void this.#follow(name, AbortSignal.any([this.#stopped.signal, following.signal]));
    }
  }

  /** One turn after the other. */
  async #take(stopped: AbortSignal) {
    while (!stopped.aborted) {
      this.#ask(this.#views.due(performance.now()));
      if (this.#latest) this.#publishIn(ANSWERS_MS);
      await pause(LOAD_MS, stopped);
    }
  }

  async #follow(name: string, signal: AbortSignal) {
    for (let seen = ''; !signal.aborted; ) {
      try {
        const now = await this.sources.changed(name, seen, signal);
        if (now !== seen && !signal.aborted) this.#ask(this.#views.concerned(name));
        seen = now;
      } catch {
        await pause(RETRY_MS, signal);
      }
    }
  }

  #ask(names: readonly string[]) {
    for (const name of names) this.#wanted.add(name);
    for (const name of this.#wanted) {
      if (this.#asked.size >= MOST_AT_ONCE) return;
      if (this.#asked.has(name)) continue;
      this.#wanted.delete(name);
      this.#asked.add(name);
      void this.#refresh(name).finally(() => {
        this.#asked.delete(name);
        if (!this.#stopped.signal.aborted) this.#ask([]);
      });
    }
  }

  async #refresh(home: string) {
    this.#views.asking(home, performance.now());
    const view = await this.sources.view(home).catch(() => null);
    if (!view || this.#stopped.signal.aborted || !this.#views.put(home, view, performance.now())) return;
    if (this.#latest || this.#views.areWhole) this.#publishIn(SETTLE_MS);
  }

  /** Or sooner, where that is so already. */
  #publishIn(ms: number) {
    const at = performance.now() + ms;
    if (this.#publishing) {
      if (this.#publishing.at <= at) return;
      clearTimeout(this.#publishing.timer);
    }
    this.#publishing = { timer: setTimeout(() => void this.#publish(), ms), at };
  }

  async #publish() {
    this.#publishing = null;
    try {
      const nodes = await this.sources.list();
      if (this.#stopped.signal.aborted) return;
      const jobsAgeMs = Math.round(this.#views.ageMs(performance.now()));
      this.#latest = { ...compose(new Date().toISOString(), nodes, this.#views.all), jobsAgeMs };
      this.made(this.#latest);
    } catch (error) {
      this.log(`no snapshot of the cluster: ${(error as Error).message}`);
    }
  }
}

/** Ends early when it is stopped. */
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
