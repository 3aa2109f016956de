import type { MovePhase } from '../../api/client-events';
import { notYourJob } from '../../api/errors';
import { Copy, mountOf } from '../jobs/copy';
import type { HomedJob } from '../journal/journal';
import { Coordinator } from './coordinator';
import { DestinationExecutor } from './destination-executor';
import type { MoveContext } from './move-context';
import { MoveEstimator } from './move-estimator';
import { SourceExecutor } from './source-executor';
import { sweep } from './sweep';

/** Roles remember the last epoch that they heard of, also when the job has left: late words are refused by it. */
const MOST_ROLES = 10_000;

/** The moves that this node has a part in: as home, as source, as destination. One of each a job at the most. */
export class Moves {
  readonly pace = new MoveEstimator();
  readonly #coordinators = new Map<string, Coordinator>();
  readonly #sources = new Map<string, SourceExecutor>();
  readonly #destinations = new Map<string, DestinationExecutor>();

  constructor(private readonly context: MoveContext) {
    context.host.isMoving = (job) => this.#sources.get(job)?.busy === true;
  }

  coordinator(job: string): Coordinator {
    const { node, journal, peers, changed, points, log } = this.context;
    const options = { node, journal, peers, changed, points, log };
    return obtain(this.#coordinators, job, () => new Coordinator(job, options));
  }

  isMoving(job: string): boolean {
    return this.#coordinators.get(job)?.moving === true;
  }

  phase(job: string): MovePhase | null {
    return this.#coordinators.get(job)?.phase ?? null;
  }

  /** Whose job it is that is here, on its way here, or on its way from here; null where nothing of it is. */
  homeOf(job: string): string | null {
    const roles = [this.#sources.get(job), this.#destinations.get(job)];
    return this.context.host.homeOf(job) ?? roles.find((role) => role?.busy)?.home ?? null;
  }

  /** @throws GodwitError `not-your-job` if what is here has another home */
  source(job: string, home: string): SourceExecutor {
    return this.#role(this.#sources, job, home, () => new SourceExecutor(this.context, job, home));
  }

  /** @throws GodwitError `not-your-job` if what is here has another home */
  destination(job: string, home: string): DestinationExecutor {
    return this.#role(this.#destinations, job, home, () => new DestinationExecutor(this.context, job, home));
  }

  /** A role asks its home what became of the job: one that is at rest for another home is none of this one's. */
  #role<R extends SourceExecutor | DestinationExecutor>(
    roles: Map<string, R>,
    job: string,
    home: string,
    make: () => R,
  ): R {
    if ((this.homeOf(job) ?? home) !== home) throw notYourJob(job, home);
    const known = roles.get(job);
    if (known?.home === home) return known;
    if (roles.size >= MOST_ROLES) this.#forgetOne(roles);
    const role = make();
    roles.set(job, role);
    return role;
  }

  /** The one that has been at rest for longest: of its job nobody has said anything for thousands of others. */
  #forgetOne(roles: Map<string, SourceExecutor | DestinationExecutor>): void {
    for (const [job, role] of roles) {
      if (role.busy || this.context.host.homeOf(job) !== null) continue;
      roles.delete(job);
      return;
    }
  }

  /** A job that has ended needs none of this any more. */
  forget(job: string) {
    this.#coordinators.delete(job);
  }

  /** Takes up what an earlier life of the agent has left: first what is here, then what is decided here. */
  async restart(homed: HomedJob[]): Promise<void> {
    const { journal, host, mounted, log } = this.context;
    const notes = await journal.notes();
    // What can't be cleared away now can be at the next start.
    await sweep(this.context, notes).catch((error: Error) => log(`not all is swept: ${error.message}`));
    for (const { job, note, detail } of notes) {
      const copy = Copy.parse(detail.copy);
      log(`found here, ${note.state} as epoch ${note.epoch}`, { job });
      if (note.state === 'hosting') {
        await this.#rehost(copy);
        this.source(job, copy.home).restart(note, copy);
        // Its thaw may have gone unanswered.
        this.destination(job, copy.home).restart(note, copy);
      } else if (note.state === 'sending') {
        host.adopt(copy);
        this.source(job, copy.home).restart(note, copy);
      } else {
        this.destination(job, copy.home).restart(note, copy);
      }
      const files = mountOf(copy);
      if (files) await mounted.takeUp(files);
    }
    for (const { id, ledger } of homed) {
      if (ledger.open || ledger.debts.length > 0) this.coordinator(id).restart(ledger);
    }
  }

  /** A job that lives here and is frozen without being held was being attached to when the agent went. */
  async #rehost(copy: Copy) {
    const { keeper, host } = this.context;
    if (copy.init === null) {
      const { line } = await keeper
        .call('process.line', { key: copy.supervisor, index: 0 })
        .catch(() => ({ line: null }));
      const init = line === null ? null : /"init":(\d+)/.exec(line)?.[1];
      if (init) copy.init = Number(init);
    }
    host.adopt(copy);
  }
}

function obtain<T>(map: Map<string, T>, key: string, make: () => T): T {
  const value = map.get(key) ?? make();
  map.set(key, value);
  return value;
}
