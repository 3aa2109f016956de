/** What goes wrong with the journal's file, as errors that say what to do. */
import { z } from 'zod';
import { asGodwitError, GodwitError } from '../../api/errors';
import { MIGRATIONS } from './schema';

const keepAside = 'move the file aside to start anew; its jobs run on but are not known any more';

export const corrupt = (file: string, why: string) =>
  new GodwitError({
    code: 'journal-corrupt',
    message: `the journal ${file} is damaged: ${why}`,
    fix: keepAside,
  });

export const foreign = (file: string) =>
  new GodwitError({
    code: 'journal-foreign',
    message: `${file} is not a Godwit journal`,
    fix: 'give the agent a state folder of its own',
  });

/** Where a journal is kept as it was when a newer version changed it. */
export const copyOf = (file: string, version: number) => `${file}.v${version}`;

/** Of jobs that were launched or moved since, an older copy says what is not true any more. */
export const newer = (file: string, version: number) =>
  new GodwitError({
    code: 'journal-newer',
    message: `the journal ${file} is of version ${version}, this Godwit knows ${MIGRATIONS.length}`,
    fix: `install the newer Godwit again; if no job of this node or on it has run since the upgrade, put ${copyOf(file, MIGRATIONS.length)} in its place`,
  });

/** SQLite's result codes (sqlite.org/rescode.html), the low byte of the extended ones. */
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_NOTADB = 26;

export function guarded<Result>(file: string, work: () => Result): Result {
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

/** What SQLite finds whole may still not be what was written. */
export function damaged<Result>(file: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    if (error instanceof z.ZodError) throw corrupt(file, z.prettifyError(error).replaceAll('\n', ' '));
    if (error instanceof SyntaxError) throw corrupt(file, error.message);
    throw error;
  }
}
