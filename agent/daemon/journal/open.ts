/** The journal's file is opened: checked before it is changed, private, brought to the newest version. */
import { chmodSync, closeSync, existsSync, fsyncSync, openSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { JournalFile } from './file';
import { copyOf, corrupt, foreign, guarded, newer } from './guarded';
import type { Journal } from './journal';
import { APPLICATION_ID, MIGRATIONS } from './schema';
import { SqliteJournal } from './sqlite';

/** Milliseconds to wait for another process that has the file locked: a backup, a person's sqlite3. */
const BUSY_TIMEOUT = 5_000;

/**
 * Opens the journal at `file`, making it where there is none. Throws `journal-corrupt`, `journal-foreign`,
 * `journal-newer`, `journal-failed`; the file is then as it was.
 */
export function openJournal(file: string, now: () => Date = () => new Date()): Journal {
  const version = existsSync(file) && statSync(file).size > 0 ? inspect(file) : NEW;
  const db = guarded(file, () => {
    makePrivate(file);
    return new DatabaseSync(file, { timeout: BUSY_TIMEOUT, enableForeignKeyConstraints: true });
  });
  try {
    return guarded(file, () => {
      db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
      if (version !== NEW && version < MIGRATIONS.length) keep(db, file, version);
      migrate(db);
      return new SqliteJournal(new JournalFile(db, file), now);
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

/**
 * A copy of the journal before a newer version changes it: SQLite's own, so that what waits beside the file is in it, and
 * whole on the disk before the change begins.
 */
function keep(db: DatabaseSync, file: string, version: number): void {
  const copy = copyOf(file, version);
  // Those of earlier versions say nothing that is true.
  for (let earlier = 1; earlier <= version; earlier++) rmSync(copyOf(file, earlier), { force: true });
  makePrivate(copy);
  db.prepare('VACUUM INTO ?').run(copy);
  for (const path of [copy, dirname(copy)]) {
    const opened = openSync(path, 'r');
    fsyncSync(opened);
    closeSync(opened);
  }
}

/** Of a file that is yet to be made. */
const NEW = 0;

/** Looks at an existing file without the right to change it. Its version. */
function inspect(file: string): number {
  return guarded(file, () => {
    const db = new DatabaseSync(file, { readOnly: true, timeout: BUSY_TIMEOUT });
    try {
      const check = db.prepare('PRAGMA quick_check(1)').get()?.quick_check;
      if (check !== 'ok') throw corrupt(file, String(check));
      const version = pragma(db, 'user_version');
      const id = pragma(db, 'application_id');
      if (id !== APPLICATION_ID && (version !== 0 || tables(db) > 0)) throw foreign(file);
      if (version > MIGRATIONS.length) throw newer(file, version);
      return version;
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
