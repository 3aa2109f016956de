/** Databases as jobs that are moved while several of their processes write: each knows what it has lost. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Godwit } from './godwit';
import { run } from './processes';
import { inProject } from './project';

/** On a machine that does much else the slowest of the writers may wait for the others for long. */
const PROGRESS_MS = 120_000;
const END_MS = 300_000;

/** The system's own: it has the modules that Debian's packages bring. */
const PYTHON = '/usr/bin/python3';

export interface Database {
  name: string;
  /** Debian's packages of it, and how it is told whether they are there. */
  packages: string[];
  isHere: () => Promise<boolean>;
  /** The job, which works in a folder of its own until there is a file `stop` in it, and then judges what it has. */
  argv: (folder: string) => string[];
  /** Looks at what was left there. */
  check: (folder: string) => string[];
  /** Where it tells what it has done, a line at a time: all of them go on between two moves. */
  told: string[];
}

const imports = (module: string) => async () =>
  existsSync(PYTHON) && (await run([PYTHON, '-c', `import ${module}`])).status === 0;
const written = ['told-0', 'told-1', 'told-2'];

function python(name: string, program: string, kind: string, from: string, module: string): Database {
  const source = inProject('test', 'programs', 'databases', `${program}.py`);
  // Nothing is left beside the sources, which the job could not write either.
  const argv = (folder: string) => ['env', 'PYTHONDONTWRITEBYTECODE=1', PYTHON, source, folder, kind];
  return {
    name,
    packages: ['python3', from],
    isHere: imports(module),
    argv,
    check: (folder) => [...argv(folder), 'check'],
    told: written,
  };
}

const sqlite = (kind: string) => python(`sqlite-${kind}`, 'sqlite', kind, 'python3', 'sqlite3');
const lmdb = (kind: string) => python(`lmdb-${kind}`, 'lmdb_writers', kind, 'python3-lmdb', 'lmdb');

export const SQLITE: readonly Database[] = ['rollback', 'rollback-mmap', 'wal', 'wal-mmap'].map(sqlite);
export const LMDB: readonly Database[] = ['plain', 'writemap'].map(lmdb);

/** For the command alone: these take their time, and packages that start services. */
const SERVERS: readonly Database[] = [
  {
    ...python('postgres', 'servers', 'postgres', 'postgresql', 'sys'),
    isHere: async () => existsSync('/usr/lib/postgresql'),
  },
  {
    ...python('redis', 'servers', 'redis', 'redis-server', 'sys'),
    packages: ['python3', 'redis-server', 'redis-tools'],
    isHere: async () => existsSync('/usr/bin/redis-server') && existsSync('/usr/bin/redis-check-aof'),
  },
];

export const DATABASES: readonly Database[] = [...SQLITE, ...LMDB, ...SERVERS];

export interface Trial {
  /** A new folder is made here. */
  folder: string;
  nodes: readonly string[];
  /** How many lines each of those who tell has to tell between two moves. */
  lines: number;
}

/** Runs one, moves it to each of the nodes while it works, and lets it judge itself. @returns what is wrong, or null */
export async function moved(godwit: Godwit, database: Database, { folder, nodes, lines }: Trial) {
  mkdirSync(folder);
  const { id } = await godwit.run(database.argv(folder), { cwd: folder });
  try {
    await goesOn(godwit, id, database, folder, lines);
    for (const node of nodes) {
      await godwit.migrate(id, node);
      await goesOn(godwit, id, database, folder, lines);
    }
    writeFileSync(join(folder, 'stop'), '');
    const { exit } = await godwit.wait(id, END_MS);
    if (exit !== 7) return `it ended with ${exit} and said: ${(await godwit.logs(id)).trim().slice(-1000)}`;
    const { status, stdout, stderr } = await run(database.check(folder), { cwd: folder, limitMs: END_MS });
    return status === 7 ? null : `what is at home is not whole: ${stdout}${stderr}`.trim();
  } catch (error) {
    return `${(error as Error).message}; it said: ${(await godwit.logs(id)).trim().slice(-1000)}`;
  } finally {
    await godwit.kill(id).catch(() => {});
  }
}

/** Until each of those who tell has told so much more. @throws Error when the job has ended, or one stands still */
async function goesOn(godwit: Godwit, id: string, { told }: Database, folder: string, lines: number) {
  const before = told.map((name) => lineCount(join(folder, name)));
  for (const late = Date.now() + PROGRESS_MS; ; await sleep(50)) {
    const now = told.map((name) => lineCount(join(folder, name)));
    if (now.every((count, at) => count >= before[at]! + lines)) return;
    const { state } = await godwit.job(id);
    if (state === 'ended' || state === 'lost') throw new Error(`the job is ${state}`);
    if (Date.now() > late) throw new Error(`told until now: ${now.join(', ')}; before: ${before.join(', ')}`);
  }
}

function lineCount(path: string): number {
  if (!existsSync(path)) return 0;
  return readFileSync(path, 'latin1').split('\n').length - 1;
}
