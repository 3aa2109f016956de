/** Statements and transactions on the journal's file; what fails, fails as a GodwitError. */
import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import { damaged, guarded } from './guarded';
import type { Row } from './rows';

/** SQLite's way to say that a list is not to be cut. */
export const ALL = -1;

export class JournalFile {
  constructor(
    private readonly db: DatabaseSync,
    private readonly path: string,
  ) {}

  one(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.db.prepare(sql).get(...values);
  }

  all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.db.prepare(sql).all(...values);
  }

  run(sql: string, ...values: SQLInputValue[]): void {
    this.db.prepare(sql).run(...values);
  }

  async reading<Result>(work: () => Result): Promise<Result> {
    return guarded(this.path, () => damaged(this.path, work));
  }

  async transaction<Result>(work: () => Result): Promise<Result> {
    return guarded(this.path, () => {
      this.db.exec('BEGIN IMMEDIATE');
      try {
        const result = damaged(this.path, work);
        this.db.exec('COMMIT');
        return result;
      } catch (error) {
        // A full disk has rolled it back already.
        if (this.db.isTransaction) this.db.exec('ROLLBACK');
        throw error;
      }
    });
  }

  close(): void {
    if (this.db.isOpen) this.db.close();
  }
}
