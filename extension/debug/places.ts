import { type DebugSession, type Disposable, debug } from 'vscode';
import type { Cluster } from '../cluster/cluster';
import { placeOf } from '../cluster/descriptions';
import { createStatusItem } from '../window';
import type { DebuggedJobs } from './sessions';

/** A click on the place asks where the job shall go. */
const MIGRATE = 'godwit.migrateJob';

/**
 * Where debugged jobs are, at each moment: in the names of their sessions, which the call stack shows, and of the session
 * in front in the status bar.
 */
export class DebugPlaces implements Disposable {
  /** A session's name as its configuration gives it. */
  readonly #names = new WeakMap<DebugSession, string>();
  readonly #item = createStatusItem('godwit.place', 'Godwit: where the debugged job is');
  readonly #parts: Disposable[];

  constructor(
    private readonly cluster: Cluster,
    private readonly debugged: DebuggedJobs,
  ) {
    this.#parts = [
      this.#item,
      cluster.onDidChange(() => this.#show()),
      debugged.onDidChange(() => this.#show()),
      debug.onDidChangeActiveDebugSession(() => this.#show()),
    ];
  }

  #show(): void {
    for (const session of this.debugged.sessions) {
      const found = this.#find(session);
      if (!found) continue;
      const name = this.#names.get(session) ?? session.name;
      this.#names.set(session, name);
      const placed = `${name} (${found.place})`;
      if (session.name !== placed) session.name = placed;
    }
    this.#showInFront();
  }

  #showInFront(): void {
    const found = this.#find(debug.activeDebugSession);
    if (!found) {
      this.#item.hide();
      return;
    }
    const { job, place, isMoving } = found;
    this.#item.show({
      icon: isMoving ? 'sync~spin' : 'server-process',
      text: place,
      tooltip: isMoving ? `${job.name} moves: ${place}` : `${job.name} is on ${place}; move it…`,
      command: isMoving ? undefined : { title: 'Migrate Job…', command: MIGRATE, arguments: [job.id] },
    });
  }

  /** Undefined where it is not known: the cluster does not answer, the job is over. */
  #find(session: DebugSession | undefined) {
    const id = this.debugged.jobOf(session);
    const { jobs = [], moves = [] } = this.cluster.snapshot ?? {};
    const job = jobs.find((one) => one.id === id);
    const move = moves.find((one) => one.job === id);
    if (!job) return undefined;
    const place = placeOf(job, move);
    return place === undefined ? undefined : { job, place, isMoving: move !== undefined };
  }

  dispose(): void {
    for (const part of this.#parts) part.dispose();
  }
}
