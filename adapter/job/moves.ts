/** Notices the moves of one job: each is reported once, in any order of snapshots, and also if some were missed. */
import type { ClusterSnapshot } from '../../agent/api/client-events';
import type { HistoryEvent, MoveReport } from '../../agent/api/model';

export interface MoveTold {
  from: string;
  to: string;
  epoch: number;
}

export interface MoveListener {
  moving(move: MoveTold): void;
  /** `report` is absent where the home's agent was ended before it could write it down. */
  moved(move: MoveTold, report: MoveReport | undefined): void;
  aborted(move: MoveTold, reason: string): void;
  lost(reason: string | undefined): void;
}

/** Snapshots after a thaw in which the report may still come: one is a second. */
const REPORT_SNAPSHOTS = 3;

export class MoveWatcher {
  /** The last event of the history that was reported, or is older than the session. */
  private last: string | undefined;
  private seen = '';
  private open: (MoveTold & { thawed: boolean }) | undefined;
  private waited = 0;
  private reading: Promise<void> | undefined;
  private again = false;

  constructor(
    private readonly job: string,
    /** The job's history, oldest first: all of it, or its latest part. */
    private readonly history: () => Promise<HistoryEvent[]>,
    private readonly listener: MoveListener,
  ) {}

  /** What was before is not reported. A move that is under way is. */
  async begin(): Promise<void> {
    const events = await this.history();
    const intent = events.findLastIndex(({ event }) => event === 'move-intent');
    const over = events.slice(intent + 1).some(isEndOfMove);
    const told = intent >= 0 && !over ? events.slice(0, intent) : events;
    this.last = told.length > 0 ? JSON.stringify(told.at(-1)) : undefined;
  }

  look({ jobs, moves }: ClusterSnapshot): void {
    const job = jobs.find(({ id }) => id === this.job);
    const move = moves.find((one) => one.job === this.job);
    const now = job ? [job.epoch, job.node, job.migrations, job.state, move?.epoch].join(' ') : '';
    // While a move is open its end may be written at any time.
    if (now === this.seen && !this.open) return;
    this.seen = now;
    void this.catchUp().then(() => {
      if (this.open?.thawed && !move) this.doWithoutReport();
    });
  }

  /** The history is read once at a time, and once more when something happened meanwhile. */
  private catchUp(): Promise<void> {
    this.again = true;
    this.reading ??= this.readOn().finally(() => {
      this.reading = undefined;
    });
    return this.reading;
  }

  private async readOn(): Promise<void> {
    while (this.again) {
      this.again = false;
      // An agent that is away has its history when it is back.
      const events = await this.history().catch(() => []);
      const at = events.findLastIndex((event) => JSON.stringify(event) === this.last);
      for (const event of events.slice(at + 1)) {
        this.last = JSON.stringify(event);
        this.tell(event);
      }
    }
  }

  private tell(entry: HistoryEvent): void {
    const { event, node, to = '', epoch = 0, reason } = entry;
    if (event === 'move-intent') {
      this.open = { from: node, to, epoch, thawed: false };
      this.listener.moving({ from: node, to, epoch });
    } else if (event === 'lost') this.listener.lost(reason);
    else if (!this.open) return;
    else if (event === 'move-thawed') {
      this.open.thawed = true;
      this.waited = 0;
    } else if (isEndOfMove(entry)) {
      const { from, to, epoch } = this.open;
      this.open = undefined;
      if (event === 'move-finished') this.listener.moved({ from, to, epoch }, entry.move);
      else this.listener.aborted({ from, to, epoch }, reason ?? 'the reason is not known');
    }
  }

  private doWithoutReport(): void {
    if (!this.open || ++this.waited < REPORT_SNAPSHOTS) return;
    const { from, to, epoch } = this.open;
    this.open = undefined;
    this.listener.moved({ from, to, epoch }, undefined);
  }
}

/** A move that the home took back after its commit is written down as a second commit, with the reason. */
const isEndOfMove = ({ event, reason }: HistoryEvent) =>
  event === 'move-finished' ||
  event === 'move-aborted' ||
  (event === 'move-committed' && reason !== undefined);
