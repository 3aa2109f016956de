/** What a home tells those who watch the cluster. */
import type { MoveUnderWay } from '../../api/client-events';
import { fitting } from '../../api/lists';
import type { Job } from '../../api/model';
import type { HomeView } from '../../api/peer-contract';
import { OVER_SHOWN } from '../cluster/watch/snapshot';
import type { HomedJobs } from '../jobs/homed-jobs';
import type { Journal } from '../journal/journal';
import type { Moves } from '../migration/moves';
import { phaseInJournal } from '../migration/phase';

/** More than anybody looks through, and asked about at once. */
const LIVING_SHOWN = 2_000;

export class View {
  #living = new Set<string>();
  #over: Job[] | null = null;

  constructor(
    private readonly jobs: HomedJobs,
    private readonly journal: Pick<Journal, 'job'>,
    private readonly moves: Moves,
    /** The copies here whose homes do not answer, as jobs. */
    private readonly homeless: () => Promise<Job[]>,
  ) {}

  async read(): Promise<HomeView> {
    const living = (await this.jobs.all(false)).slice(-LIVING_SHOWN);
    // Of too many the latest.
    const shown = fitting(living.toReversed()).toReversed();
    const moving = await Promise.all(
      shown.map((job) => (job.state === 'moving' ? this.#move(job.id) : null)),
    );
    return {
      jobs: [...(await this.#latestOver(living)), ...fitting(await this.homeless()), ...shown],
      moves: moving.filter((move) => move !== null),
    };
  }

  /** Read anew only when one that lived does no longer. */
  async #latestOver(living: Job[]): Promise<Job[]> {
    const alive = new Set(living.map(({ id }) => id));
    if (!this.#over || [...this.#living].some((id) => !alive.has(id)))
      this.#over = (await this.jobs.latestEnded(OVER_SHOWN)).toReversed();
    this.#living = alive;
    return this.#over.filter(({ id }) => !alive.has(id));
  }

  async #move(id: string): Promise<MoveUnderWay | null> {
    const { ledger, moveStarted } = await this.journal.job(id);
    if (!ledger.open || !moveStarted) return null;
    const { move, outcome } = ledger.open;
    const { from, to, epoch } = move;
    const phase = this.moves.underWay.phase(id) ?? phaseInJournal[outcome];
    return { job: id, from, to, epoch, phase, since: moveStarted };
  }
}
