import { notYourJob } from '../../api/errors';
import { Copy, mountOf } from '../jobs/copy';
import type { HomedJob, Note } from '../journal/journal';
import { Coordinator } from './coordinator';
import { DestinationExecutor } from './destination-executor';
import type { MoveContext } from './move-context';
import { MoveEstimator } from './move-estimator';
import { SourceExecutor } from './source-executor';
import { sweep } from './sweep';
import type { MovesUnderWay } from './under-way';

/** Executors remember the last epoch that they have seen, also when the job has left: late messages are refused by it. */
const MOST_EXECUTORS = 10_000;

/** The moves that this node has a part in: as home, as source, as destination. One of each a job at the most. */
export class Moves {
  readonly estimator = new MoveEstimator();

  constructor(
    private readonly context: MoveContext,
    readonly underWay: MovesUnderWay,
  ) {}

  coordinator(job: string): Coordinator {
    return obtain(this.underWay.coordinators, job, () => new Coordinator(job, this.context));
  }

  /** Whose job it is that is here, on its way here, or on its way from here; null where nothing of it is. */
  homeOf(job: string): string | null {
    return this.context.copies.homeOf(job) ?? this.underWay.homeOf(job);
  }

  /** @throws GodwitError `not-your-job` if what is here has another home */
  source(job: string, home: string): SourceExecutor {
    return this.#executor(
      this.underWay.sources,
      job,
      home,
      () => new SourceExecutor(this.context, job, home),
    );
  }

  /** @throws GodwitError `not-your-job` if what is here has another home */
  destination(job: string, home: string): DestinationExecutor {
    return this.#executor(
      this.underWay.destinations,
      job,
      home,
      () => new DestinationExecutor(this.context, job, home),
    );
  }

  /** An executor asks its home what became of the job: one that is at rest for another home is none of this one's. */
  #executor<E extends SourceExecutor | DestinationExecutor>(
    executors: Map<string, E>,
    job: string,
    home: string,
    make: () => E,
  ): E {
    if ((this.homeOf(job) ?? home) !== home) throw notYourJob(job, home);
    const known = executors.get(job);
    if (known?.home === home) return known;
    if (executors.size >= MOST_EXECUTORS) this.#forgetOne(executors);
    const executor = make();
    executors.set(job, executor);
    return executor;
  }

  /** The one that was made first of those that are idle and whose job is not here. */
  #forgetOne(executors: Map<string, SourceExecutor | DestinationExecutor>): void {
    for (const [job, executor] of executors) {
      if (executor.busy || this.context.copies.homeOf(job) !== null) continue;
      executors.delete(job);
      return;
    }
  }

  /** The job has ended. */
  forget(job: string) {
    this.underWay.coordinators.delete(job);
  }

  /** The copy here has another home from now on, or has it again: what is under way is taken up from its note. */
  rehome(note: Note, copy: Copy): void {
    const { job } = copy;
    const { sources, destinations } = this.underWay;
    for (const executors of [sources, destinations]) {
      executors.get(job)?.retire();
      executors.delete(job);
    }
    if (note.state === 'hosting' || note.state === 'sending') this.source(job, copy.home).restart(note, copy);
    if (note.state !== 'sending') this.destination(job, copy.home).restart(note, copy);
  }

  /** Takes up what an earlier run of the agent has left: first what is here, then what is decided here. */
  async restart(homed: HomedJob[]): Promise<void> {
    const { journal, host, mounted, log } = this.context;
    const notes = await journal.notes();
    // What can't be removed now can be at the next start.
    await sweep(this.context, notes).catch((error: Error) =>
      log(`some leftovers were not removed: ${error.message}`),
    );
    for (const { job, note, detail } of notes) {
      const copy = Copy.parse(detail.copy);
      log(`in the journal at the start: ${note.state}`, { job, epoch: note.epoch });
      if (note.state === 'hosting') {
        await this.#rehost(copy);
        this.source(job, copy.home).restart(note, copy);
        // Its thaw may have gone unanswered.
        this.destination(job, copy.home).restart(note, copy);
      } else if (note.state === 'sending') {
        host.lookAfter(copy);
        this.source(job, copy.home).restart(note, copy);
      } else {
        this.destination(job, copy.home).restart(note, copy);
      }
      const files = mountOf(copy);
      if (files) await mounted.takeUp(files);
      else if (copy.files !== null) await mounted.end({ job, epoch: copy.files });
    }
    for (const { id, ledger } of homed) {
      if (ledger.open || ledger.debts.length > 0) this.coordinator(id).restart(ledger);
    }
  }

  /** A copy that lives here; what of it an earlier run of the agent did not come to write down is asked for. */
  async #rehost(copy: Copy) {
    const { keeper, host } = this.context;
    if (copy.init === null) {
      const { line } = await keeper
        .call('process.line', { key: copy.supervisor, index: 0 })
        .catch(() => ({ line: null }));
      const init = line === null ? null : /"init":(\d+)/.exec(line)?.[1];
      if (init) copy.init = Number(init);
    }
    host.lookAfter(copy);
  }
}

function obtain<T>(map: Map<string, T>, key: string, make: () => T): T {
  const value = map.get(key) ?? make();
  map.set(key, value);
  return value;
}
