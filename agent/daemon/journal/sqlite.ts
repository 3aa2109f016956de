/** The journal as an SQLite file: write-ahead log, every transaction synced to the disk before it is answered. */
import { jobEnded, noSuchJob } from '../../api/errors';
import {
  type Exit,
  type JobId,
  type JobSpec,
  type KeptSpec,
  type MoveReport,
  PROGRAM_PID,
  Words,
} from '../../api/model';
import { shortCommand } from '../../api/text';
import { jobExists, staleEnd, stillMoving, tooManyJobs } from './errors';
import { Events } from './events';
import { ALL, type JournalFile } from './file';
import type {
  AdoptedJob,
  HomedArray,
  HomedJob,
  JobRule,
  Journal,
  NewJob,
  NodeNote,
  Part,
  QueueBounds,
} from './journal';
import { type Entry, type Epoch, enter, launchedOn } from './ledger';
import { roleOf } from './notes';
import { json, toJob } from './rows';
import { StoredDetail, StoredNote } from './schema';
import { Waiting } from './waiting';

const JOBS = `SELECT rowid AS position, *,
  (SELECT since FROM queue WHERE job = jobs.id AND beginning = 0) AS queuedSince FROM jobs`;
/** It is over, and no node has anything of it. */
const FORGETTABLE = "state IN ('ended', 'lost', 'adopted') AND open IS NULL AND debts = '[]'";

export class SqliteJournal implements Journal {
  private readonly events: Events;
  private readonly waiting: Waiting;

  constructor(
    private readonly file: JournalFile,
    now: () => Date,
  ) {
    this.events = new Events(file, now);
    this.waiting = new Waiting(file);
  }

  launch(job: NewJob) {
    return this.file.transaction(() => {
      this.room(job);
      return this.add(job);
    });
  }

  launchArray(array: JobId, jobs: NewJob[]) {
    return this.file.transaction(() => {
      this.room(jobs[0]!, jobs.length);
      this.file.run('INSERT INTO arrays VALUES (?)', array);
      return jobs.map((job) => this.add(job));
    });
  }

  arraySettled(array: JobId) {
    return this.file.transaction(() => this.file.run('DELETE FROM arrays WHERE id = ?', array));
  }

  unsettledArrays() {
    return this.file.reading(() => this.file.all('SELECT id FROM arrays').map(({ id }) => String(id)));
  }

  enqueue(jobs: NewJob[], request: JobSpec, bounds: QueueBounds) {
    return this.file.transaction(() => {
      this.waiting.admit(request, jobs.length, bounds);
      const added = jobs.map((job) => this.add(job));
      this.waiting.add(added, request, this.events.moment());
      for (const { id: job, ledger } of added) this.events.add({ job, node: ledger.host, event: 'queued' });
      return added.map(({ id }) => this.read(id));
    });
  }

  queue() {
    return this.file.reading(() => this.waiting.list((job) => this.read(job)));
  }

  request(job: JobId) {
    return this.file.reading(() => this.waiting.request(job));
  }

  beginning(job: JobId, host: string, most?: number) {
    return this.file.transaction(() => {
      const { spec } = this.read(job);
      this.waiting.request(job);
      if (most !== undefined && this.living(spec.user.uid) >= most) throw tooManyJobs(most);
      this.waiting.begins(job, true);
      this.file.run('UPDATE jobs SET host = ? WHERE id = ?', host, job);
      return this.read(job);
    });
  }

  unbegun(job: JobId, home: string) {
    return this.file.transaction(() => {
      if (this.read(job).state !== 'starting') return;
      this.waiting.begins(job, false);
      this.file.run('UPDATE jobs SET host = ? WHERE id = ?', home, job);
    });
  }

  endedQueued(job: JobId, exit: Exit) {
    return this.file.transaction(() => {
      const { state, ledger } = this.read(job);
      if (state !== 'starting') return;
      this.waiting.remove(job);
      this.over(job, exit);
      this.events.add({ job, node: ledger.host, epoch: ledger.epoch, event: 'ended', exit });
    });
  }

  launchedBy(uid: number, token: string) {
    return this.file.reading(() => {
      const row = this.file.one('SELECT job FROM launches WHERE uid = ? AND token = ?', uid, token);
      return row ? this.read(String(row.job)) : null;
    });
  }

  adopt({ note, ...job }: AdoptedJob) {
    return this.file.transaction(() => {
      const known = this.file.one('SELECT state FROM jobs WHERE id = ?', job.id);
      if (known && known.state !== 'adopted') throw jobExists(job.id);
      // It was here before and comes back: what is known of it now counts.
      this.file.run('DELETE FROM jobs WHERE id = ?', job.id);
      const { host, epoch, attempted, open, debts } = job.ledger;
      this.file.run(
        `INSERT INTO jobs (id, name, uid, spec, state, pid, started, moves, launchedStopped, host, epoch, attempted,
           open, debts, array, arrayName)
         VALUES (?, ?, ?, ?, 'running', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        ...[
          job.id,
          job.name,
          job.spec.user.uid,
          JSON.stringify(job.spec),
          PROGRAM_PID,
          job.started,
          job.moves,
        ],
        ...[job.launchedStopped ? 1 : 0, host, epoch, attempted, open && JSON.stringify(open)],
        ...[JSON.stringify(debts), job.spec.array?.id ?? null, job.spec.array?.name ?? null],
      );
      this.file.run('INSERT INTO commands VALUES (?, ?)', job.id, JSON.stringify(job.spec.command));
      this.put(note);
      this.events.adopted({ note, ...job });
      return this.read(job.id);
    });
  }

  running(job: JobId, pid: number) {
    return this.file.transaction(() => {
      const { state, ledger } = this.read(job);
      if (state !== 'starting') return;
      this.file.run("UPDATE jobs SET state = 'running', pid = ? WHERE id = ?", pid, job);
      const queued = this.waiting.remove(job);
      // It has begun only now.
      if (queued) this.file.run('UPDATE jobs SET started = ? WHERE id = ?', this.events.moment(), job);
      this.events.add({ job, node: ledger.host, event: 'launched', epoch: ledger.epoch });
    });
  }

  unlaunched(job: JobId) {
    return this.file.transaction(() => {
      this.file.run("DELETE FROM jobs WHERE id = ? AND state = 'starting'", job);
    });
  }

  enter(job: JobId, entry: Entry) {
    return this.file.transaction(() => {
      const { ledger: before, state } = this.read(job);
      if (state === 'ended' && (entry.type === 'intent' || entry.type === 'commit')) throw jobEnded(job);
      const after = enter(before, entry);
      this.file.run(
        'UPDATE jobs SET host = ?, epoch = ?, attempted = ?, open = ?, debts = ? WHERE id = ?',
        after.host,
        after.epoch,
        after.attempted,
        after.open && JSON.stringify(after.open),
        JSON.stringify(after.debts),
        job,
      );
      if (after.lost !== before.lost && state !== 'ended') {
        this.waiting.remove(job);
        const ended = after.lost ? this.events.moment() : null;
        this.file.run(
          'UPDATE jobs SET state = ?, ended = ? WHERE id = ?',
          after.lost ? 'lost' : 'running',
          ended,
          job,
        );
      }
      if (entry.type === 'adopted' && state !== 'ended')
        this.file.run("UPDATE jobs SET state = 'adopted', ended = ? WHERE id = ?", this.events.moment(), job);
      this.events.record(job, entry, before, after);
      return after;
    });
  }

  report(move: MoveReport, reason?: string) {
    return this.file.transaction(() => {
      this.read(move.job);
      const { job, to, epoch } = move;
      this.events.add({
        job,
        node: to,
        epoch,
        event: 'move-finished',
        move,
        ...(reason === undefined ? {} : { reason }),
      });
    });
  }

  ended(job: JobId, epoch: Epoch, exit: Exit) {
    return this.file.transaction(() => {
      const { state, ledger } = this.read(job);
      if (epoch !== ledger.epoch) throw staleEnd(job, epoch, ledger.epoch);
      if (state === 'ended') return;
      this.over(job, exit);
      this.events.add({ job, node: ledger.host, epoch, event: 'ended', exit });
    });
  }

  lost(job: JobId, epoch: Epoch, reason: string) {
    return this.file.transaction(() => {
      const { state, ledger } = this.read(job);
      if (epoch !== ledger.epoch) throw staleEnd(job, epoch, ledger.epoch);
      if (state === 'ended' || state === 'lost') return;
      if (ledger.open) throw stillMoving(job);
      this.file.run("UPDATE jobs SET state = 'lost', ended = ? WHERE id = ?", this.events.moment(), job);
      this.events.add({ job, node: ledger.host, epoch, event: 'lost', reason });
    });
  }

  rule(job: JobId, rule: JobRule) {
    return this.file.transaction(() => {
      const { pinned, balanced } = { ...this.read(job), ...rule };
      this.file.run('UPDATE jobs SET pinned = ?, balanced = ? WHERE id = ?', +pinned, +balanced, job);
    });
  }

  job(job: JobId) {
    return this.file.reading(() => this.read(job));
  }

  command(job: JobId) {
    return this.file.reading(() => {
      const row = this.file.one('SELECT command FROM commands WHERE job = ?', job);
      if (!row) throw noSuchJob(job);
      return Words.parse(json(row.command));
    });
  }

  jobs({ ended, adopted = false, after = 0, limit = ALL }: { ended: boolean; adopted?: boolean } & Part) {
    const which = `${ended ? '' : "AND state <> 'ended'"} ${adopted ? '' : "AND state <> 'adopted'"}`;
    const some = `${JOBS} WHERE rowid > ? ${which} ORDER BY rowid LIMIT ?`;
    return this.file.reading(() => this.file.all(some, after, limit).map(toJob));
  }

  find(reference: string, limit: number) {
    const some = `${JOBS} WHERE state <> 'adopted' AND (id = ?1 OR name = ?1 OR substr(id, 1, length(?1)) = ?1)
      ORDER BY id <> ?1, name <> ?1, state IN ('ended', 'lost'), rowid DESC LIMIT ?2`;
    return this.file.reading(() => this.file.all(some, reference, limit).map(toJob));
  }

  findArrays(reference: string, limit: number) {
    const some = `SELECT array, arrayName, max(rowid) AS latest FROM jobs WHERE state <> 'adopted' AND array IS NOT NULL
      AND (array = ?1 OR arrayName = ?1 OR substr(array, 1, length(?1)) = ?1) GROUP BY array ORDER BY latest DESC LIMIT ?2`;
    const parts = `${JOBS} WHERE array = ? AND state <> 'adopted' ORDER BY rowid`;
    return this.file.reading(() =>
      this.file.all(some, reference, limit).map(
        ({ array, arrayName }): HomedArray => ({
          id: String(array),
          name: String(arrayName),
          jobs: this.file.all(parts, String(array)).map(toJob),
        }),
      ),
    );
  }

  latestEnded(limit: number) {
    const some = `${JOBS} WHERE state = 'ended' ORDER BY ended DESC, rowid DESC LIMIT ?`;
    return this.file.reading(() => this.file.all(some, limit).map(toJob));
  }

  forgettable(uid: number) {
    const some = `SELECT id FROM jobs WHERE uid = ? AND ${FORGETTABLE} ORDER BY ended DESC, rowid DESC`;
    return this.file.reading(() => this.file.all(some, uid).map(({ id }) => String(id)));
  }

  users() {
    return this.file.reading(() =>
      this.file.all('SELECT DISTINCT uid FROM jobs').map(({ uid }) => Number(uid)),
    );
  }

  forget(job: JobId) {
    return this.file.transaction(() =>
      this.file.run(`DELETE FROM jobs WHERE id = ? AND ${FORGETTABLE}`, job),
    );
  }

  /** How many jobs of a user are not over, those not counted that have not begun. */
  private living(uid: number): number {
    const some = `SELECT count(*) AS n FROM jobs WHERE uid = ? AND state IN ('starting', 'running')
      AND id NOT IN (SELECT job FROM queue WHERE beginning = 0)`;
    return Number(this.file.one(some, uid)?.n);
  }

  outcome(job: JobId, epoch: Epoch) {
    return this.file.reading(() => this.events.outcome(job, epoch));
  }

  history(part: { job?: JobId | undefined } & Part) {
    return this.file.reading(() => this.events.list(part));
  }

  putNote(note: NodeNote) {
    return this.file.transaction(() => this.put(note));
  }

  clearNote(job: JobId) {
    return this.file.transaction(() => {
      this.file.run('DELETE FROM notes WHERE job = ?', job);
    });
  }

  notes() {
    return this.file.reading(() =>
      this.file.all('SELECT job, note, detail FROM notes ORDER BY job').map(
        (row): NodeNote => ({
          job: String(row.job),
          note: StoredNote.parse(json(row.note)),
          detail: StoredDetail.parse(json(row.detail)),
        }),
      ),
    );
  }

  close(): void {
    this.file.close();
  }

  private put({ job, note, detail }: NodeNote): void {
    this.file.run(
      'INSERT OR REPLACE INTO notes (job, role, epoch, note, detail) VALUES (?, ?, ?, ?, ?)',
      ...[job, roleOf(note), note.epoch, JSON.stringify(note), JSON.stringify(detail)],
    );
  }

  /** @throws `too-many-jobs` */
  private room({ most, spec }: NewJob, more = 1): void {
    if (most !== undefined && this.living(spec.user.uid) + more > most) throw tooManyJobs(most);
  }

  private add(job: NewJob): HomedJob {
    if (this.file.one('SELECT id FROM jobs WHERE id = ?', job.id)) throw jobExists(job.id);
    const { program, args, user, limits, address, tty, allowIoUring, allocation, nodes, array, group } =
      job.spec;
    const { host, epoch, attempted } = launchedOn(job.host, 0);
    const command = [program, ...args];
    const terms = { user, limits, address, tty, allowIoUring, allocation, nodes, array, group };
    const kept: KeptSpec = { command: shortCommand(command), ...terms };
    this.file.run(
      `INSERT INTO jobs (id, name, uid, spec, state, started, launchedStopped, host, epoch, attempted, debts, array,
         arrayName)
       VALUES (?, ?, ?, ?, 'starting', ?, ?, ?, ?, ?, '[]', ?, ?)`,
      ...[job.id, job.name, user.uid, JSON.stringify(kept), this.events.moment()],
      ...[job.launchedStopped ? 1 : 0, host, epoch, attempted, array?.id ?? null, array?.name ?? null],
    );
    this.file.run('INSERT INTO commands VALUES (?, ?)', job.id, JSON.stringify(command));
    if (job.token !== undefined)
      this.file.run('INSERT INTO launches VALUES (?, ?, ?)', user.uid, job.token, job.id);
    return this.read(job.id);
  }

  private over(job: JobId, exit: Exit): void {
    const some = "UPDATE jobs SET state = 'ended', exit = ?, ended = ? WHERE id = ?";
    this.file.run(some, JSON.stringify(exit), this.events.moment(), job);
  }

  private read(job: JobId): HomedJob {
    const row = this.file.one(`${JOBS} WHERE id = ?`, job);
    if (!row) throw noSuchJob(job);
    return toJob(row);
  }
}
