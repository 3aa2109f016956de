/** The history behind the timeline: asked for again whenever a snapshot says that a job changed. */
import type { ClusterSnapshot } from '../../agent/api/client-events';
import { asGodwitError } from '../../agent/api/errors';
import type { HistoryEvent, Job } from '../../agent/api/model';
import { listJobs, readHistory } from '../../agent/client/lists';
import type { ClusterSource } from '../cluster/source';

/** Lanes that a person can look at. Those that live are always among them. */
export const JOBS_SHOWN = 200;
/** A move's report is written just after the snapshot that says that it is over. */
export const SECOND_LOOK_MS = 1_500;

export interface JobHistory {
  /** Newest first. */
  jobs: Job[];
  events: HistoryEvent[];
  leftOut: number;
  /** Why it could not be brought up to date. */
  problem: string | null;
}

export class HistoryReader {
  private changes = 0;
  private seen = -1;
  private signature = '';
  private reading = false;
  private secondLook: NodeJS.Timeout | undefined;
  private disposed = false;
  private history: JobHistory | undefined;
  /** Nodes whose part of the history can be asked for. */
  private up = new Set<string>();

  constructor(
    private readonly cluster: Pick<ClusterSource, 'call'>,
    private readonly onChange: (history: JobHistory) => void,
  ) {}

  /** Undefined before the first answer. */
  get latest(): JobHistory | undefined {
    return this.history;
  }

  /** Looks again if this snapshot has anything that the history would tell. A failed look is repeated. */
  take(snapshot: ClusterSnapshot): void {
    const signature = signatureOf(snapshot);
    if (signature !== this.signature) {
      this.changes++;
      clearTimeout(this.secondLook);
      this.secondLook = setTimeout(() => {
        this.changes++;
        void this.read();
      }, SECOND_LOOK_MS);
    }
    this.signature = signature;
    this.up = new Set(snapshot.nodes.filter(({ state }) => state === 'up').map(({ name }) => name));
    void this.read();
  }

  dispose(): void {
    this.disposed = true;
    clearTimeout(this.secondLook);
  }

  /** One look at a time; what changes meanwhile is looked at right after it. */
  private async read(): Promise<void> {
    if (this.reading) return;
    this.reading = true;
    try {
      while (this.seen < this.changes && !this.disposed) {
        const seen = this.changes;
        this.history = await this.ask();
        this.seen = seen;
        this.tell();
      }
    } catch (error) {
      const known = this.history ?? { jobs: [], events: [], leftOut: 0 };
      this.history = { ...known, problem: asGodwitError(error).toLine() };
      this.tell();
    } finally {
      this.reading = false;
    }
  }

  private async ask(): Promise<JobHistory> {
    const [listed, told] = await Promise.all([
      listJobs(this.cluster, { ended: true }),
      readHistory(this.cluster),
    ]);
    const away = this.away(listed);
    const jobs = [...away.jobs, ...listed];
    const events = [...away.events, ...told];
    const shown = choose(jobs);
    const ids = new Set(shown.map(({ id }) => id));
    return {
      jobs: shown,
      events: events.filter(({ job }) => ids.has(job)),
      leftOut: jobs.length - shown.length,
      problem: null,
    };
  }

  /** What is known of jobs whose home does not answer: they are not gone because no home reports them. */
  private away(answered: readonly Job[]): Pick<JobHistory, 'jobs' | 'events'> {
    const { jobs, events } = this.history ?? { jobs: [], events: [] };
    const ids = new Set(answered.map(({ id }) => id));
    const kept = jobs.filter(({ id, home }) => !ids.has(id) && !this.up.has(home));
    const keptIds = new Set(kept.map(({ id }) => id));
    return { jobs: kept, events: events.filter(({ job }) => keptIds.has(job)) };
  }

  private tell(): void {
    if (!this.disposed && this.history) this.onChange(this.history);
  }
}

const signatureOf = ({ jobs, moves }: ClusterSnapshot): string =>
  JSON.stringify([
    jobs.map(({ id, state, node, epoch, migrations }) => [id, state, node, epoch, migrations]),
    moves.map(({ job, epoch, phase }) => [job, epoch, phase]),
  ]);

const isOver = ({ state }: Job): boolean => state === 'ended' || state === 'lost';

/** Newest first; where there are too many, of those that are over the latest. */
function choose(jobs: readonly Job[]): Job[] {
  const newest = [...jobs].sort((a, b) => b.started.localeCompare(a.started));
  const living = newest.filter((job) => !isOver(job));
  const room = Math.max(0, JOBS_SHOWN - living.length);
  const over = new Set(newest.filter(isOver).slice(0, room));
  return newest.filter((job) => !isOver(job) || over.has(job));
}
