/** Databases that three processes of a job write into while it is moved: every row that they were told of is there. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DATABASES, moved } from '../support/databases';
import { Godwit } from '../support/godwit';

const LAB = `databases-${process.pid}`;
const ROUND = ['node2', 'node3', 'node1'] as const;
/** Of all that `npm run test:databases` has: one of each kind that needs no server. */
const SHORT = ['sqlite-rollback', 'sqlite-wal', 'lmdb-plain'];
/** Of each writer, between two moves: more would take long where the machine has much else to do. */
const LINES = 2;

let godwit: Godwit;
let folder = '';

beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'godwit-databases-')));
  godwit = await Godwit.labUp(LAB, { temp: folder });
});
afterAll(async () => {
  await Godwit.labDown(LAB);
  rmSync(folder, { recursive: true, force: true });
});

const short = DATABASES.filter(({ name }) => SHORT.includes(name));

it.concurrent.each(short.map((database) => [database.name, database] as const))(
  '%s',
  { timeout: 600_000 },
  async (name, database) => {
    const wrong = await moved(godwit, database, { folder: join(folder, name), nodes: ROUND, lines: LINES });
    expect(wrong).toBe(null);
  },
);
