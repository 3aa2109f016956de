/** The tables of the journal's file, one migration a version, and the shapes of the JSON in them. */
import { z } from 'zod';
import { list } from '../../api/bounded';
import { Epoch, NodeName, Transfer } from '../../api/model';
import type { Debt, OpenMove } from './ledger';
import type { Note } from './notes';

/** 'Gdwt': says that the file is a Godwit journal (SQLite, PRAGMA application_id). */
export const APPLICATION_ID = 0x47647774;

/** Statement lists; the n-th takes a file from version n to n + 1. Never edited once released, only added to. */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE jobs (
     id TEXT PRIMARY KEY,
     name TEXT NOT NULL,
     spec TEXT NOT NULL,
     state TEXT NOT NULL,
     pid INTEGER,
     exit TEXT,
     started TEXT NOT NULL,
     ended TEXT,
     pinned INTEGER NOT NULL DEFAULT 0,
     launchedStopped INTEGER NOT NULL,
     moves INTEGER NOT NULL DEFAULT 0,
     host TEXT NOT NULL,
     epoch INTEGER NOT NULL,
     attempted INTEGER NOT NULL,
     open TEXT,
     debts TEXT NOT NULL,
     moveStarted TEXT
   ) STRICT;
   CREATE INDEX jobs_ended ON jobs (ended);
   CREATE TABLE epochs (
     job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
     epoch INTEGER NOT NULL,
     outcome TEXT NOT NULL,
     returnedAs INTEGER,
     PRIMARY KEY (job, epoch)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE history (
     seq INTEGER PRIMARY KEY AUTOINCREMENT,
     job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
     event TEXT NOT NULL
   ) STRICT;
   CREATE INDEX history_job ON history (job, seq);
   CREATE TABLE notes (
     job TEXT PRIMARY KEY,
     role TEXT NOT NULL,
     epoch INTEGER NOT NULL,
     note TEXT NOT NULL,
     detail TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;`,
  // A list reads many jobs: what may be large is not among what it reads, and what only the launch needs is not kept.
  `ALTER TABLE jobs ADD COLUMN uid INTEGER NOT NULL DEFAULT 0;
   CREATE TABLE commands (
     job TEXT PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
     command TEXT NOT NULL
   ) STRICT;
   INSERT INTO commands
     SELECT id, '[' || json_quote(spec ->> '$.program') ||
       CASE spec -> '$.args' WHEN '[]' THEN ']' ELSE ',' || substr(spec -> '$.args', 2) END
     FROM jobs;
   UPDATE jobs SET
     uid = coalesce(spec ->> '$.user.uid', 0),
     spec = json_remove(
       json_set(spec, '$.command',
         CASE WHEN length(spec -> '$.args') < 300
           THEN json((SELECT command FROM commands WHERE job = id))
           ELSE json_array(substr(spec ->> '$.program', 1, 300), '…') END),
       '$.program', '$.args', '$.env', '$.cwd', '$.node', '$.name', '$.stopped', '$.umask', '$.resources',
       '$.allowIoUring');
   CREATE INDEX jobs_uid ON jobs (uid, state);
   CREATE INDEX jobs_name ON jobs (name);`,
  // Arrays, and jobs that are yet to begin: what these are launched with is kept until then, of an array once.
  `ALTER TABLE jobs ADD COLUMN array TEXT;
   ALTER TABLE jobs ADD COLUMN arrayName TEXT;
   CREATE INDEX jobs_array ON jobs (array) WHERE array IS NOT NULL;
   CREATE INDEX jobs_arrayName ON jobs (arrayName) WHERE arrayName IS NOT NULL;
   CREATE TABLE arrays (id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
   CREATE TABLE requests (
     id INTEGER PRIMARY KEY,
     uid INTEGER NOT NULL,
     request TEXT NOT NULL
   ) STRICT;
   CREATE TABLE queue (
     place INTEGER PRIMARY KEY AUTOINCREMENT,
     job TEXT NOT NULL UNIQUE REFERENCES jobs (id) ON DELETE CASCADE,
     request INTEGER NOT NULL REFERENCES requests (id),
     since TEXT NOT NULL,
     beginning INTEGER NOT NULL DEFAULT 0
   ) STRICT;
   CREATE INDEX queue_request ON queue (request);`,
  // Which launch has made a job, for one who did not hear the answer.
  `CREATE TABLE launches (
     uid INTEGER NOT NULL,
     token TEXT NOT NULL,
     job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
     PRIMARY KEY (uid, token)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX launches_job ON launches (job);`,
  // Whether a job may move by itself.
  'ALTER TABLE jobs ADD COLUMN balanced INTEGER NOT NULL DEFAULT 1;',
];

const StoredMove = z.object({ from: NodeName, to: NodeName, epoch: Epoch, since: Epoch, transfer: Transfer });

export const StoredOpen: z.ZodType<OpenMove> = z.object({
  move: StoredMove,
  outcome: z.enum(['moving', 'committed', 'aborted', 'returned', 'lost']),
});

export const StoredDebts: z.ZodType<Debt[]> = list(
  z.object({
    node: NodeName,
    role: z.enum(['source', 'destination', 'home']),
    epoch: Epoch,
    message: z.enum(['abort', 'discard', 'adopted']),
  }),
  // One a node and epoch.
  { most: 1_000_000 },
);

export const StoredNote: z.ZodType<Note> = z.discriminatedUnion('state', [
  z.object({ state: z.enum(['hosting', 'receiving', 'restored', 'thawing']), epoch: Epoch }),
  z.object({ state: z.literal('sending'), epoch: Epoch, since: Epoch }),
]);

export const StoredState = z.enum(['starting', 'running', 'ended', 'lost', 'adopted']);
export const StoredDetail = z.record(z.string(), z.unknown());
export const StoredOutcome = z.enum(['moving', 'committed', 'aborted', 'returned']);
