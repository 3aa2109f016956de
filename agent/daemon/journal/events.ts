/** What has happened to the journal's jobs, and what became of the epochs of their moves. */
import { HistoryEvent, type JobId } from '../../api/model';
import { cut } from '../../api/text';
import { ALL, type JournalFile } from './file';
import type { AdoptedJob, EpochOutcome, Part, PositionedEvent } from './journal';
import type { Entry, Epoch, Ledger } from './ledger';
import { json, type Row } from './rows';
import { StoredOutcome } from './schema';

/** Events kept of one job: some two hundred moves, so that a job that moves for months has a bounded file. */
export const EVENTS_KEPT = 1_000;
/** Outcomes kept of one job's epochs: nodes ask about the latest ones. */
export const EPOCHS_KEPT = 1_000;
/** Of why something was so: a sentence, and some of what another program said of it. */
const REASON_KEPT = 2_000;

/** Each of its methods is a part of a transaction. */
export class Events {
  constructor(
    private readonly file: JournalFile,
    private readonly now: () => Date,
  ) {}

  /** What an entry leaves beside the ledger: the epoch's outcome and the event. */
  record(job: JobId, entry: Entry, before: Ledger, after: Ledger): void {
    const move = entry.type === 'intent' ? entry.move : before.open?.move;
    if (!after.open) this.file.run('UPDATE jobs SET moveStarted = NULL WHERE id = ?', job);
    if (this.#ofPersons(job, entry, before, after)) return;
    if (!move) return;
    const { from, to, epoch } = move;
    switch (entry.type) {
      case 'intent':
        this.file.run('UPDATE jobs SET moveStarted = ? WHERE id = ?', this.moment(), job);
        this.#outcomeIs(job, epoch, 'moving');
        this.add({ job, node: from, to, epoch, event: 'move-intent' });
        return;
      case 'commit':
        this.#outcomeIs(job, epoch, 'committed');
        this.add({ job, node: from, to, epoch, event: 'move-committed' });
        return;
      case 'abort':
        this.#outcomeIs(job, epoch, 'aborted');
        this.add({ job, node: from, to, epoch, event: 'move-aborted', reason: entry.reason });
        return;
      case 'thawed':
        this.file.run('UPDATE jobs SET moves = moves + 1 WHERE id = ?', job);
        this.add({ job, node: to, epoch, event: 'move-thawed' });
        return;
      case 'returned': {
        this.#outcomeIs(job, epoch, 'returned', entry.epoch);
        const reason = `given back: ${entry.reason}`;
        this.add({ job, node: to, to: from, epoch: entry.epoch, event: 'move-committed', reason });
        return;
      }
      case 'lost':
        this.add({ job, node: before.host, epoch, event: 'lost', reason: entry.reason });
        return;
      default:
    }
  }

  /** What a person has decided of a job that has lost a node. */
  #ofPersons(job: JobId, entry: Entry, before: Ledger, after: Ledger): boolean {
    const { host: node } = before;
    switch (entry.type) {
      case 'adopted':
        this.add({ job, node, to: entry.by, epoch: entry.epoch, event: 'adopted', reason: entry.reason });
        return true;
      case 'given-up':
        this.add({ job, node, epoch: entry.epoch, event: 'forgotten', reason: entry.reason });
        return true;
      case 'forgotten': {
        const reason = 'a person let go of its frozen copy';
        this.add({
          job,
          node: before.open?.move.from ?? node,
          epoch: entry.epoch,
          event: 'forgotten',
          reason,
        });
        return true;
      }
      case 'cleaned':
        if (entry.said !== undefined) {
          const reason = `${entry.node}, its home before, answers again: ${entry.said}`;
          this.add({ job, node: after.host, epoch: after.epoch, event: 'adopted', reason });
        }
        return true;
      default:
        return false;
    }
  }

  /** A job that comes from another home: what became of the move that is open, and that it was adopted. */
  adopted({ id: job, ledger, reason }: AdoptedJob): void {
    const { host: node, epoch, open } = ledger;
    if (open?.outcome === 'returned') this.#outcomeIs(job, open.move.epoch, 'returned', epoch);
    else if (open) this.#outcomeIs(job, open.move.epoch, 'committed');
    this.add({ job, node, epoch, event: 'adopted', reason });
  }

  #outcomeIs(job: JobId, epoch: Epoch, outcome: string, returnedAs: Epoch | null = null): void {
    this.file.run('INSERT OR REPLACE INTO epochs VALUES (?, ?, ?, ?)', job, epoch, outcome, returnedAs);
    this.file.run('DELETE FROM epochs WHERE job = ? AND epoch <= ?', job, epoch - EPOCHS_KEPT);
  }

  /** Of one job, of which the latest are kept. */
  add(event: Omit<HistoryEvent, 'time'>): void {
    const { reason } = event;
    const said = reason === undefined ? event : { ...event, reason: cut(reason, REASON_KEPT) };
    const parsed = HistoryEvent.parse({ time: this.moment(), ...said });
    this.file.run('INSERT INTO history (job, event) VALUES (?, ?)', event.job, JSON.stringify(parsed));
    this.file.run(
      `DELETE FROM history WHERE job = ? AND seq <=
         (SELECT seq FROM history WHERE job = ? ORDER BY seq DESC LIMIT 1 OFFSET ?)`,
      event.job,
      event.job,
      EVENTS_KEPT,
    );
  }

  moment(): string {
    return this.now().toISOString();
  }

  outcome(job: JobId, epoch: Epoch): EpochOutcome {
    const row = this.file.one(
      'SELECT outcome, returnedAs FROM epochs WHERE job = ? AND epoch = ?',
      job,
      epoch,
    );
    if (!row) return { outcome: 'unknown' };
    const outcome = StoredOutcome.parse(row.outcome);
    return outcome === 'returned' ? { outcome, as: Number(row.returnedAs) } : { outcome };
  }

  list({ job, after = 0, limit = ALL }: { job?: JobId | undefined } & Part): PositionedEvent[] {
    const [which, values] = job === undefined ? ['', []] : ['job = ? AND', [job]];
    const some = `SELECT seq, event FROM history WHERE ${which} seq > ? ORDER BY seq LIMIT ?`;
    const positioned = ({ seq, event }: Row): PositionedEvent => ({
      position: Number(seq),
      event: HistoryEvent.parse(json(event)),
    });
    return this.file.all(some, ...values, after, limit).map(positioned);
  }
}
