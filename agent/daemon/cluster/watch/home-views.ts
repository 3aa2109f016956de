/** What each home has told of its jobs to those who watch the cluster, and which homes are to be asked next. */
import type { HomeView } from '../../../api/peer-contract';

/** Of a home where nothing lives, and that told of no change: it is asked all the same, in case that was missed. */
const QUIET_MS = 10_000;
/** Asked anew in one turn at most, a second; so that watching a thousand nodes costs what watching a few dozens does. */
export const MOST_RENEWED = 64;

interface Home {
  view: HomeView | null;
  /** When it was asked and when it answered last, on this node's clock. */
  asked: number | null;
  answered: number;
  /** The mark that it had told when it was asked. */
  mark: number | undefined;
}

/** What is known of the nodes without asking them. */
export interface Heard {
  /** Those that do not answer, by what the members say of them. */
  readonly down: readonly string[];
  /** See `Changes.mark`; undefined of one that has told none. */
  mark(node: string): number | undefined;
}

const isAlive = ({ ended }: { ended: string | null }) => ended === null;

export class HomeViews {
  readonly #homes = new Map<string, Home>();
  /** By the time that their marks are heard, these have told of their changes themselves. */
  #followed: ReadonlySet<string> = new Set();

  constructor(private readonly heard: Heard) {}

  /** The nodes may be others now. */
  review(names: readonly string[], followed: ReadonlySet<string>): void {
    this.#followed = followed;
    const now = new Set(names);
    for (const name of this.#homes.keys()) if (!now.has(name)) this.#homes.delete(name);
    for (const name of now)
      if (!this.#homes.has(name))
        this.#homes.set(name, { view: null, asked: null, answered: 0, mark: undefined });
  }

  asking(name: string, now: number): void {
    const home = this.#homes.get(name);
    if (!home) return;
    home.asked = now;
    home.mark = this.heard.mark(name);
  }

  /** Is it still a member? Of a home that does not answer the last view stays: its jobs are still there. */
  put(name: string, view: HomeView, now: number): boolean {
    const home = this.#homes.get(name);
    if (!home) return false;
    home.view = view;
    home.answered = now;
    return true;
  }

  get all(): HomeView[] {
    return [...this.#homes.values()].flatMap(({ view }) => view ?? []);
  }

  /** Has each one answered that could? */
  get areWhole(): boolean {
    return [...this.#homes.values()].every(({ view }) => view !== null);
  }

  /** Milliseconds since the oldest word of a home whose jobs live; 0 where there is none. */
  ageMs(now: number): number {
    let oldest = 0;
    for (const { view, answered } of this.#homes.values())
      if (view?.jobs.some(isAlive)) oldest = Math.max(oldest, now - answered);
    return oldest;
  }

  /** Whose word may be another one now that something of the jobs on `node` has changed: its own, and their homes'. */
  concerned(node: string): string[] {
    const homes = new Set([node]);
    for (const [name, { view }] of this.#homes)
      if (view?.jobs.some((job) => isAlive(job) && job.node === node)) homes.add(name);
    return [...homes];
  }

  /**
   * Those to be asked at a turn: all that were not asked yet, then those that have changed, then those whose jobs use
   * more or less than before, then the quiet ones; and of each kind the one that waits longest.
   */
  due(now: number): string[] {
    const places = this.#places();
    const down = new Set(this.heard.down);
    const first: string[] = [];
    const again: { name: string; rank: number; asked: number }[] = [];
    for (const [name, home] of this.#homes) {
      if (down.has(name)) continue;
      if (home.asked === null) first.push(name);
      else {
        const hasChanged = !this.#followed.has(name) && home.mark !== this.heard.mark(name);
        const rank = hasChanged ? 0 : places.has(name) ? 1 : 2;
        if (rank < 2 || now - home.asked >= QUIET_MS) again.push({ name, rank, asked: home.asked });
      }
    }
    again.sort((a, b) => a.rank - b.rank || a.asked - b.asked);
    return [...first, ...again.slice(0, MOST_RENEWED).map(({ name }) => name)];
  }

  /** The homes of what lives, and where it is: a node has copies of its own to tell of when a home is silent. */
  #places(): Set<string> {
    const places = new Set<string>();
    for (const [name, { view }] of this.#homes)
      for (const job of view?.jobs ?? []) if (isAlive(job)) places.add(name).add(job.node);
    return places;
  }
}
