/** Snapshots of the cluster for the clients that watch it, while there are any. */
import type { ClusterSnapshot } from '../../../api/client-events';
import type { CallerConnection } from '../../../api/contract';
import { GodwitError } from '../../../api/errors';
import type { Log } from '../../../log';
import { Snapshots, type Sources } from './snapshots';

type Narrow = (whole: ClusterSnapshot) => ClusterSnapshot;

export class ClusterWatch {
  /** Each with the number of its user, which root's have not, and what of a snapshot it is told. */
  readonly #watchers = new Map<CallerConnection, { uid: number | undefined; narrow: Narrow }>();
  #snapshots: Snapshots | null = null;

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
    const latest = this.#snapshots?.latest;
    if (latest) this.#say(watcher, latest);
    this.#snapshots ??= new Snapshots(this.sources, this.log, (snapshot) => {
      for (const each of this.#watchers.keys()) this.#say(each, snapshot);
    });
  }

  /** What was known would be old by the time a client watches again: it goes with the last one. */
  #remove(watcher: CallerConnection) {
    this.#watchers.delete(watcher);
    if (this.#watchers.size > 0) return;
    this.#snapshots?.stop();
    this.#snapshots = null;
  }

  /** The nodes may be others now. */
  review(): void {
    this.#snapshots?.review();
  }

  /** Who has not read the one before gets a later one: each is whole, and the next is a second away at the most. */
  #say(watcher: CallerConnection, snapshot: ClusterSnapshot) {
    const { narrow } = this.#watchers.get(watcher)!;
    if (watcher.unsent === 0) watcher.emit('cluster', narrow(snapshot));
  }
}

const tooManyWatchers = (limit: number) =>
  new GodwitError({
    code: 'too-many-watchers',
    message: `the limit of ${limit} connections that watch this agent is reached`,
    fix: 'close some windows or debug sessions, or have `perUser.watchers` raised in its configuration',
  });
