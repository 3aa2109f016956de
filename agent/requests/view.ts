/** What a home tells those who watch the cluster. */
import type { MoveUnderWay } from '../api/client-events';
import type { Job } from '../api/model';
import type { HomeView } from '../api/peer-contract';
import { OVER_SHOWN } from '../cluster/watch';
import type { Home } from '../jobs/home';
import type { Moves } from '../migration/moves';
import { phaseInJournal } from '../migration/phase';

/** With their commands cut they fit into one message several times over. */
const LIVING_SHOWN = 2_000;
/** Enough to recognize a program by its arguments; an argument list may have megabytes. */
const COMMAND_SHOWN = 300;

export class View {
  #living = new Set<string>();
  #over: Job[] | null = null;

  constructor(
    private readonly home: Home,
    private readonly moves: Moves,
  ) {}

  async read(): Promise<HomeView> {
    const living = await this.home.jobs(false);
    const jobs = [...(await this.#latestOver(living)), ...living.slice(-LIVING_SHOWN)];
    const moving = await Promise.all(
      living.map((job) => (job.state === 'moving' ? this.#move(job.id) : null)),
    );
    return { jobs: jobs.map(shorten), moves: moving.filter((move) => move !== null) };
  }

  /** Read anew only when one that lived does no longer: there may be a thousand of them. */
  async #latestOver(living: Job[]): Promise<Job[]> {
    const alive = new Set(living.map(({ id }) => id));
    if (!this.#over || [...this.#living].some((id) => !alive.has(id))) {
      const over = (await this.home.jobs(true)).filter(({ state }) => state === 'ended');
      this.#over = over.sort((a, b) => (a.ended ?? '').localeCompare(b.ended ?? '')).slice(-OVER_SHOWN);
    }
    this.#living = alive;
    return this.#over.filter(({ id }) => !alive.has(id));
  }

  async #move(id: string): Promise<MoveUnderWay | null> {
    const { ledger, moveStarted } = await this.home.job(id);
    if (!ledger.open || !moveStarted) return null;
    const { move, outcome } = ledger.open;
    const { from, to, epoch } = move;
    const phase = this.moves.phase(id) ?? phaseInJournal[outcome];
    return { job: id, from, to, epoch, phase, since: moveStarted };
  }
}

function shorten(job: Job): Job {
  let left = COMMAND_SHOWN;
  const command: string[] = [];
  for (const word of job.command) {
    if (left <= 0) break;
    command.push(word.length > left ? `${word.slice(0, left)}…` : word);
    left -= word.length + 1;
  }
  if (command.length < job.command.length) command.push('…');
  return { ...job, command };
}
