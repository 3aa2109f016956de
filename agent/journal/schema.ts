/** The tables of the journal's file, one migration a version, and the shapes of the JSON in them. */
import { z } from 'zod';
import { Epoch, NodeName, Transfer } from '../api/model';
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
     held INTEGER NOT NULL,
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
];

const StoredMove = z.object({ from: NodeName, to: NodeName, epoch: Epoch, since: Epoch, transfer: Transfer });

export const StoredOpen: z.ZodType<OpenMove> = z.object({
  move: StoredMove,
  outcome: z.enum(['moving', 'committed', 'aborted', 'returned', 'lost']),
});

export const StoredDebts: z.ZodType<Debt[]> = z.array(
  z.object({
    node: NodeName,
    role: z.enum(['source', 'destination']),
    epoch: Epoch,
    word: z.enum(['abort', 'discard']),
  }),
);

export const StoredNote: z.ZodType<Note> = z.discriminatedUnion('state', [
  z.object({ state: z.enum(['hosting', 'receiving', 'held', 'thawing']), epoch: Epoch }),
  z.object({ state: z.literal('sending'), epoch: Epoch, since: Epoch }),
]);

export const StoredState = z.enum(['starting', 'running', 'ended', 'lost']);
export const StoredDetail = z.record(z.string(), z.unknown());
export const StoredOutcome = z.enum(['moving', 'committed', 'aborted', 'returned']);
