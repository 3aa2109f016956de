/** SQLite with a write-ahead log: three processes of a job share a database by locks on files that they have mapped. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Godwit } from '../support/godwit';
import { says } from '../support/rounds';

const ALL_MS = 300_000;
const LAB = `wal-${process.pid}`;

let godwit: Godwit;
let folder = '';
beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'godwit-wal-')));
  godwit = await Godwit.labUp(LAB, { temp: folder });
}, ALL_MS);
afterAll(async () => {
  await Godwit.labDown(LAB);
  rmSync(folder, { recursive: true, force: true });
});

/** Each writer says each row that was committed, and ends when it is told to. */
const WRITERS = `
import os, sqlite3, sys, time
database, over = sys.argv[1:]
with sqlite3.connect(database) as first:
    first.execute("pragma journal_mode = wal")
    first.execute("create table rows (writer, number, text, unique (writer, number))")
children = []
for writer in range(3):
    child = os.fork()
    if child:
        children.append(child)
        continue
    own = sqlite3.connect(database, timeout=1000, isolation_level=None)
    own.execute("pragma wal_autocheckpoint = 20")
    number = 0
    while not os.path.exists(over):
        own.execute("begin immediate")
        own.execute("insert into rows values (?, ?, ?)", (writer, number, "x" * (number % 500)))
        own.execute("commit")
        os.write(1, b"%d %d\\n" % (writer, number))
        number += 1
        time.sleep(0.002)
    os._exit(0)
print("ready", flush=True)
sys.exit(max(os.waitpid(child, 0)[1] for child in children))`;

const CHECK = `
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
print(database.execute("pragma integrity_check").fetchone()[0])
for row in database.execute("select writer, number from rows"): print(*row)`;

it(
  'not one committed row is lost in three moves',
  async () => {
    const database = join(folder, 'rows.db');
    const over = join(folder, 'over');
    const { id } = await godwit.run(['python3', '-c', WRITERS, database, over]);
    const output = join('/var/lib/godwit/labs', LAB, 'node1', 'jobs', id, 'console');
    await says(output, 'ready');
    const committed = () => readFileSync(output, 'utf8').match(/^\d \d+$/gm) ?? [];
    for (const node of ['node2', 'node3', 'node1']) {
      await godwit.migrate(id, node);
      // Each of them goes on, one behind the other's lock.
      const before = committed().length;
      for (const writer of [0, 1, 2]) {
        const next = committed().filter((row) => row.startsWith(`${writer} `)).length;
        await says(output, `\n${writer} ${next + 1}\n`);
      }
      expect(committed().length).toBeGreaterThan(before);
    }
    writeFileSync(over, '');
    expect(await godwit.wait(id)).toMatchObject({ exit: 0 });
    const [health, ...rows] = execFileSync('python3', ['-c', CHECK, database], { encoding: 'utf8' })
      .trim()
      .split('\n');
    expect(health).toBe('ok');
    expect(rows.sort()).toEqual(committed().sort());
  },
  ALL_MS,
);
