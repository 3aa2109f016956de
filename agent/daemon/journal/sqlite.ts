/** The journal as an SQLite file: write-ahead log, every transaction synced to the disk before it is answered. */
import { chmodSync, closeSync, existsSync, openSync, statSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { z } from 'zod';
import { asGodwitError, GodwitError, jobEnded, noSuchJob } from '../../api/errors';
import { Exit, HistoryEvent, type JobId, KeptSpec, type MoveReport, Words } from '../../api/model';
import { cut, shortCommand } from '../../api/text';
import type { EpochOutcome, HomedJob, Journal, NewJob, NodeNote, Part, PositionedEvent } from './journal';
import { type Entry, type Epoch, enter, type Ledger, launchedOn } from './ledger';
import { roleOf } from './notes';
import {
  APPLICATION_ID,
  MIGRATIONS,
  StoredDebts,
  StoredDetail,
  StoredNote,
  StoredOpen,
  StoredOutcome,
  StoredState,
} from './schema';

/** Events kept of one job: some two hundred moves, so that a job that moves for months has a bounded file. */
export const EVENTS_KEPT = 1_000;
/** Outcomes kept of one job's epochs: nodes ask about the latest ones. */
export const EPOCHS_KEPT = 1_000;
/** Milliseconds to wait for another process that has the file locked: a backup, a person's sqlite3. */
const BUSY_TIMEOUT = 5_000;

/** Of why something was so: a sentence, and some of what another program said of it. */
const REASON_KEPT = 2_000;

/** SQLite's way to say that a list is not to be cut. */
const ALL = -1;
const JOBS = 'SELECT rowid AS position, * FROM jobs';
/** It is over, and no node has anything of it. */
const FORGETTABLE = "state IN ('ended', 'lost') AND open IS NULL AND debts = '[]'";

type Row = Record<string, unknown>;

/**
 * Opens the journal at `file`, making it where there is none. Throws `journal-corrupt`, `journal-foreign`,
 * `journal-newer`, `journal-failed`; the file is then as it was.
 */
export function openJournal(file: string, now: () => Date = () => new Date()): Journal {
  if (existsSync(file) && statSync(file).size > 0) inspect(file);
  const db = guarded(file, () => {
    makePrivate(file);
    return new DatabaseSync(file, { timeout: BUSY_TIMEOUT, enableForeignKeyConstraints: true });
  });
  try {
    return guarded(file, () => {
      db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
      migrate(db);
      return new SqliteJournal(db, file, now);
    });
  } catch (error) {
    db.close();
    throw error;
  }
}

/** It has the environments of jobs in it; the files that SQLite makes beside it get the same permissions. */
function makePrivate(file: string): void {
  closeSync(openSync(file, 'a', 0o600));
  chmodSync(file, 0o600);
}

/** Looks at an existing file without the right to change it. */
function inspect(file: string): void {
  guarded(file, () => {
    const db = new DatabaseSync(file, { readOnly: true, timeout: BUSY_TIMEOUT });
    try {
      const check = db.prepare('PRAGMA quick_check(1)').get()?.quick_check;
      if (check !== 'ok') throw corrupt(file, String(check));
      const version = pragma(db, 'user_version');
      const id = pragma(db, 'application_id');
      if (id !== APPLICATION_ID && (version !== 0 || tables(db) > 0)) throw foreign(file);
      if (version > MIGRATIONS.length) throw newer(file, version);
    } finally {
      db.close();
    }
  });
}

const pragma = (db: DatabaseSync, name: 'user_version' | 'application_id'): number =>
  Number(db.prepare(`PRAGMA ${name}`).get()?.[name] ?? 0);

const tables = (db: DatabaseSync): number =>
  Number(db.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.n ?? 0);

function migrate(db: DatabaseSync): void {
  db.exec('BEGIN IMMEDIATE');
  try {
    // Read under the lock: two agents may open a new file at once.
    const version = pragma(db, 'user_version');
    for (const statements of MIGRATIONS.slice(version)) db.exec(statements);
    db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${MIGRATIONS.length}; COMMIT`);
  } catch (error) {
    db.exec('ROLLBACK');
    throw error;
  }
}

const keepAside = 'move the file aside to start anew; its jobs run on but are not known any more';

const corrupt = (file: string, why: string) =>
  new GodwitError({
    code: 'journal-corrupt',
    message: `the journal ${file} is damaged: ${why}`,
    fix: keepAside,
  });

const foreign = (file: string) =>
  new GodwitError({
    code: 'journal-foreign',
    message: `${file} is not a Godwit journal`,
    fix: 'give the agent a state folder of its own',
  });

const newer = (file: string, version: number) =>
  new GodwitError({
    code: 'journal-newer',
    message: `the journal ${file} is of version ${version}, this Godwit knows ${MIGRATIONS.length}`,
    fix: 'install the newer Godwit',
  });

/** SQLite's result codes (sqlite.org/rescode.html), the low byte of the extended ones. */
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_NOTADB = 26;

function guarded<Result>(file: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    if (error instanceof GodwitError || !(error instanceof Error) || !('errcode' in error)) throw error;
    const result = Number(error.errcode) & 0xff;
    if (result === SQLITE_CORRUPT || result === SQLITE_NOTADB) throw corrupt(file, error.message);
    if (result === SQLITE_FULL) {
      throw new GodwitError({
        code: 'journal-full',
        message: `no room for the journal ${file}`,
        fix: 'make room on its disk',
      });
    }
    throw asGodwitError(error, 'journal-failed');
  }
}

class SqliteJournal implements Journal {
  constructor(
    private readonly db: DatabaseSync,
    private readonly file: string,
    private readonly now: () => Date,
  ) {}

  launch(job: NewJob) {
    return this.transaction(() => {
      if (this.one('SELECT id FROM jobs WHERE id = ?', job.id)) {
        throw new GodwitError({ code: 'job-exists', message: `there is a job ${job.id} already` });
      }
      const { program, args, user, limits, address, tty, allowIoUring } = job.spec;
      if (job.most !== undefined && this.living(user.uid) >= job.most) throw tooManyJobs(job.most);
      const { host, epoch, attempted } = launchedOn(job.host, 0);
      const command = [program, ...args];
      const kept: KeptSpec = { command: shortCommand(command), user, limits, address, tty, allowIoUring };
      this.run(
        `INSERT INTO jobs (id, name, uid, spec, state, started, launchedStopped, host, epoch, attempted, debts)
         VALUES (?, ?, ?, ?, 'starting', ?, ?, ?, ?, ?, '[]')`,
        job.id,
        job.name,
        user.uid,
        JSON.stringify(kept),
        this.moment(),
        job.launchedStopped ? 1 : 0,
        host,
        epoch,
        attempted,
      );
      this.run('INSERT INTO commands VALUES (?, ?)', job.id, JSON.stringify(command));
      return this.read(job.id);
    });
  }

  running(job: JobId, pid: number) {
    return this.transaction(() => {
      const { state, ledger } = this.read(job);
      if (state !== 'starting') return;
      this.run("UPDATE jobs SET state = 'running', pid = ? WHERE id = ?", pid, job);
      this.log({ job, node: ledger.host, event: 'launched', epoch: ledger.epoch });
    });
  }

  unlaunched(job: JobId) {
    return this.transaction(() => {
      this.run("DELETE FROM jobs WHERE id = ? AND state = 'starting'", job);
    });
  }

  enter(job: JobId, entry: Entry) {
    return this.transaction(() => {
      const { ledger: before, state } = this.read(job);
      if (state === 'ended' && (entry.type === 'intent' || entry.type === 'commit')) throw jobEnded(job);
      const after = enter(before, entry);
      this.run(
        'UPDATE jobs SET host = ?, epoch = ?, attempted = ?, open = ?, debts = ? WHERE id = ?',
        after.host,
        after.epoch,
        after.attempted,
        after.open && JSON.stringify(after.open),
        JSON.stringify(after.debts),
        job,
      );
      if (after.lost !== before.lost && state !== 'ended') {
        const ended = after.lost ? this.moment() : null;
        this.run(
          'UPDATE jobs SET state = ?, ended = ? WHERE id = ?',
          after.lost ? 'lost' : 'running',
          ended,
          job,
        );
      }
      this.record(job, entry, before, after);
      return after;
    });
  }

  /** What an entry leaves beside the ledger: the epoch's outcome and the event. */
  private record(job: JobId, entry: Entry, before: Ledger, after: Ledger): void {
    const move = entry.type === 'intent' ? entry.move : before.open?.move;
    if (!after.open) this.run('UPDATE jobs SET moveStarted = NULL WHERE id = ?', job);
    if (!move) return;
    const { from, to, epoch } = move;
    switch (entry.type) {
      case 'intent':
        this.run('UPDATE jobs SET moveStarted = ? WHERE id = ?', this.moment(), job);
        this.outcomeIs(job, epoch, 'moving');
        this.log({ job, node: from, to, epoch, event: 'move-intent' });
        return;
      case 'commit':
        this.outcomeIs(job, epoch, 'committed');
        this.log({ job, node: from, to, epoch, event: 'move-committed' });
        return;
      case 'abort':
        this.outcomeIs(job, epoch, 'aborted');
        this.log({ job, node: from, to, epoch, event: 'move-aborted', reason: entry.reason });
        return;
      case 'thawed':
        this.run('UPDATE jobs SET moves = moves + 1 WHERE id = ?', job);
        this.log({ job, node: to, epoch, event: 'move-thawed' });
        return;
      case 'returned': {
        this.outcomeIs(job, epoch, 'returned', entry.epoch);
        const reason = `given back: ${entry.reason}`;
        this.log({ job, node: to, to: from, epoch: entry.epoch, event: 'move-committed', reason });
        return;
      }
      case 'lost':
        this.log({ job, node: before.host, epoch, event: 'lost', reason: entry.reason });
        return;
      default:
    }
  }

  private outcomeIs(job: JobId, epoch: Epoch, outcome: string, returnedAs: Epoch | null = null): void {
    this.run('INSERT OR REPLACE INTO epochs VALUES (?, ?, ?, ?)', job, epoch, outcome, returnedAs);
    this.run('DELETE FROM epochs WHERE job = ? AND epoch <= ?', job, epoch - EPOCHS_KEPT);
  }

  report(move: MoveReport) {
    return this.transaction(() => {
      this.read(move.job);
      const { job, to, epoch } = move;
      this.log({ job, node: to, epoch, event: 'move-finished', move });
    });
  }

  ended(job: JobId, epoch: Epoch, exit: Exit) {
    return this.transaction(() => {
      const { state, ledger } = this.read(job);
      if (epoch !== ledger.epoch) throw staleEnd(job, epoch, ledger.epoch);
      if (state === 'ended') return;
      this.run(
        "UPDATE jobs SET state = 'ended', exit = ?, ended = ? WHERE id = ?",
        JSON.stringify(exit),
        this.moment(),
        job,
      );
      this.log({ job, node: ledger.host, epoch, event: 'ended', exit });
    });
  }

  lost(job: JobId, epoch: Epoch, reason: string) {
    return this.transaction(() => {
      const { state, ledger } = this.read(job);
      if (epoch !== ledger.epoch) throw staleEnd(job, epoch, ledger.epoch);
      if (state === 'ended' || state === 'lost') return;
      if (ledger.open) throw new GodwitError({ code: 'job-moving', message: `job ${job} is moving` });
      this.run("UPDATE jobs SET state = 'lost', ended = ? WHERE id = ?", this.moment(), job);
      this.log({ job, node: ledger.host, epoch, event: 'lost', reason });
    });
  }

  pin(job: JobId, pinned: boolean) {
    return this.transaction(() => {
      this.read(job);
      this.run('UPDATE jobs SET pinned = ? WHERE id = ?', pinned ? 1 : 0, job);
    });
  }

  job(job: JobId) {
    return this.reading(() => this.read(job));
  }

  command(job: JobId) {
    return this.reading(() => {
      const row = this.one('SELECT command FROM commands WHERE job = ?', job);
      if (!row) throw noSuchJob(job);
      return Words.parse(json(row.command));
    });
  }

  jobs({ ended, after = 0, limit = ALL }: { ended: boolean } & Part) {
    const which = ended ? '' : "AND state <> 'ended'";
    const some = `${JOBS} WHERE rowid > ? ${which} ORDER BY rowid LIMIT ?`;
    return this.reading(() => this.all(some, after, limit).map(toJob));
  }

  find(reference: string, limit: number) {
    const some = `${JOBS} WHERE id = ?1 OR name = ?1 OR substr(id, 1, length(?1)) = ?1
      ORDER BY id <> ?1, name <> ?1, state IN ('ended', 'lost'), rowid DESC LIMIT ?2`;
    return this.reading(() => this.all(some, reference, limit).map(toJob));
  }

  latestEnded(limit: number) {
    const some = `${JOBS} WHERE state = 'ended' ORDER BY ended DESC, rowid DESC LIMIT ?`;
    return this.reading(() => this.all(some, limit).map(toJob));
  }

  forgettable(uid: number) {
    const some = `SELECT id FROM jobs WHERE uid = ? AND ${FORGETTABLE} ORDER BY ended DESC, rowid DESC`;
    return this.reading(() => this.all(some, uid).map(({ id }) => String(id)));
  }

  users() {
    return this.reading(() => this.all('SELECT DISTINCT uid FROM jobs').map(({ uid }) => Number(uid)));
  }

  forget(job: JobId) {
    return this.transaction(() => this.run(`DELETE FROM jobs WHERE id = ? AND ${FORGETTABLE}`, job));
  }

  /** How many jobs of a user are not over. */
  private living(uid: number): number {
    const some = "SELECT count(*) AS n FROM jobs WHERE uid = ? AND state IN ('starting', 'running')";
    return Number(this.one(some, uid)?.n);
  }

  outcome(job: JobId, epoch: Epoch) {
    return this.reading((): EpochOutcome => {
      const row = this.one('SELECT outcome, returnedAs FROM epochs WHERE job = ? AND epoch = ?', job, epoch);
      if (!row) return { outcome: 'unknown' };
      const outcome = StoredOutcome.parse(row.outcome);
      return outcome === 'returned' ? { outcome, as: Number(row.returnedAs) } : { outcome };
    });
  }

  history({ job, after = 0, limit = ALL }: { job?: JobId | undefined } & Part) {
    const [which, values] = job === undefined ? ['', []] : ['job = ? AND', [job]];
    const some = `SELECT seq, event FROM history WHERE ${which} seq > ? ORDER BY seq LIMIT ?`;
    const placed = ({ seq, event }: Row): PositionedEvent => ({
      position: Number(seq),
      event: HistoryEvent.parse(json(event)),
    });
    return this.reading(() => this.all(some, ...values, after, limit).map(placed));
  }

  putNote({ job, note, detail }: NodeNote) {
    return this.transaction(() => {
      this.run(
        'INSERT OR REPLACE INTO notes (job, role, epoch, note, detail) VALUES (?, ?, ?, ?, ?)',
        job,
        roleOf(note),
        note.epoch,
        JSON.stringify(note),
        JSON.stringify(detail),
      );
    });
  }

  clearNote(job: JobId) {
    return this.transaction(() => {
      this.run('DELETE FROM notes WHERE job = ?', job);
    });
  }

  notes() {
    return this.reading(() =>
      this.all('SELECT job, note, detail FROM notes ORDER BY job').map(
        (row): NodeNote => ({
          job: String(row.job),
          note: StoredNote.parse(json(row.note)),
          detail: StoredDetail.parse(json(row.detail)),
        }),
      ),
    );
  }

  close(): void {
    if (this.db.isOpen) this.db.close();
  }

  private read(job: JobId): HomedJob {
    const row = this.one(`${JOBS} WHERE id = ?`, job);
    if (!row) throw noSuchJob(job);
    return toJob(row);
  }

  private log(event: Omit<HistoryEvent, 'time'>): void {
    const { reason } = event;
    const said = reason === undefined ? event : { ...event, reason: cut(reason, REASON_KEPT) };
    const parsed = HistoryEvent.parse({ time: this.moment(), ...said });
    this.run('INSERT INTO history (job, event) VALUES (?, ?)', event.job, JSON.stringify(parsed));
    this.run(
      `DELETE FROM history WHERE job = ? AND seq <=
         (SELECT seq FROM history WHERE job = ? ORDER BY seq DESC LIMIT 1 OFFSET ?)`,
      event.job,
      event.job,
      EVENTS_KEPT,
    );
  }

  private moment(): string {
    return this.now().toISOString();
  }

  private one(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.db.prepare(sql).get(...values);
  }

  private all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.db.prepare(sql).all(...values);
  }

  private run(sql: string, ...values: SQLInputValue[]): void {
    this.db.prepare(sql).run(...values);
  }

  private async reading<Result>(work: () => Result): Promise<Result> {
    return guarded(this.file, () => damaged(this.file, work));
  }

  private async transaction<Result>(work: () => Result): Promise<Result> {
    return guarded(this.file, () => {
      this.db.exec('BEGIN IMMEDIATE');
      try {
        const result = damaged(this.file, work);
        this.db.exec('COMMIT');
        return result;
      } catch (error) {
        // A full disk has rolled it back already.
        if (this.db.isTransaction) this.db.exec('ROLLBACK');
        throw error;
      }
    });
  }
}

const tooManyJobs = (limit: number) =>
  new GodwitError({
    code: 'too-many-jobs',
    message: `you have ${limit} jobs here that are not over, and more you may not have`,
    fix: 'end some (see `godwit ps`), or have `perUser.jobs` raised in the configuration of this node',
  });

const staleEnd = (job: JobId, epoch: Epoch, since: Epoch) =>
  new GodwitError({
    code: 'stale-epoch',
    message: `end of job ${job} in epoch ${epoch}: it lives in epoch ${since}`,
  });

/** What SQLite finds whole may still not be what was written. */
function damaged<Result>(file: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    if (error instanceof z.ZodError) throw corrupt(file, z.prettifyError(error).replaceAll('\n', ' '));
    if (error instanceof SyntaxError) throw corrupt(file, error.message);
    throw error;
  }
}

const json = (text: unknown): unknown => JSON.parse(String(text));

function toJob(row: Row): HomedJob {
  const state = StoredState.parse(row.state);
  return {
    id: String(row.id),
    name: String(row.name),
    spec: KeptSpec.parse(json(row.spec)),
    position: Number(row.position),
    state,
    pid: row.pid === null ? null : Number(row.pid),
    exit: row.exit === null ? null : Exit.parse(json(row.exit)),
    started: String(row.started),
    ended: row.ended === null ? null : String(row.ended),
    pinned: row.pinned === 1,
    launchedStopped: row.launchedStopped === 1,
    moves: Number(row.moves),
    moveStarted: row.moveStarted === null ? null : String(row.moveStarted),
    ledger: {
      host: String(row.host),
      epoch: Number(row.epoch),
      attempted: Number(row.attempted),
      open: row.open === null ? null : StoredOpen.parse(json(row.open)),
      debts: StoredDebts.parse(json(row.debts)),
      lost: state === 'lost',
    },
  };
}
