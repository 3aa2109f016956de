import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type JobSpec, ROOT } from '../../agent/api/model';
import { EVENTS_KEPT } from '../../agent/daemon/journal/events';
import type { AdoptedJob, Journal } from '../../agent/daemon/journal/journal';
import { type Entry, nextMove } from '../../agent/daemon/journal/ledger';
import { openJournal } from '../../agent/daemon/journal/open';
import { APPLICATION_ID, MIGRATIONS } from '../../agent/daemon/journal/schema';

const spec: JobSpec = {
  user: ROOT,
  limits: {},
  address: null,
  allocation: null,
  program: '/bin/true',
  args: ['true'],
  cwd: '/',
  env: {},
  node: 'home',
  stopped: false,
  allowIoUring: false,
};
const id = 'abcdefghi0';

let folder: string;
let file: string;
let journal: Journal;

/** As after a restart: what is asked next comes from the file. */
function reopen(): void {
  journal.close();
  journal = openJournal(file);
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-journal-'));
  file = join(folder, 'journal.sqlite');
  journal = openJournal(file);
});
afterEach(() => {
  journal.close();
  rmSync(folder, { recursive: true });
});

async function launch(job = id, host = 'node1') {
  await journal.launch({ id: job, name: 'sim', spec, host, launchedStopped: true });
  await journal.running(job, 7);
}
async function intend(to: string, job = id) {
  const { ledger } = await journal.job(job);
  return journal.enter(job, { type: 'intent', move: nextMove(ledger, to, 'stop') });
}
const code = (code: string) => expect.objectContaining({ code });
const history = async () => (await journal.history({ job: id })).map(({ event }) => event);
const events = async () => (await history()).map(({ event }) => event);

describe('a job in the journal', () => {
  it('is there after a restart, as it was written', async () => {
    await launch();
    await journal.rule(id, { pinned: true });
    await journal.rule(id, { balanced: false });
    reopen();
    const job = await journal.job(id);
    expect(job).toMatchObject({
      id,
      name: 'sim',
      spec: { command: ['/bin/true', 'true'], user: ROOT, limits: {}, address: null },
      state: 'running',
      pid: 7,
      pinned: true,
      balanced: false,
      launchedStopped: true,
      moves: 0,
    });
    expect(job.ledger).toEqual({ host: 'node1', epoch: 0, attempted: 0, open: null, debts: [], lost: false });
    await journal.ended(id, 0, { exit: 143, signal: 'SIGTERM' });
    reopen();
    expect(await journal.job(id)).toMatchObject({
      state: 'ended',
      exit: { exit: 143, signal: 'SIGTERM' },
    });
    expect(await journal.jobs({ ended: false })).toEqual([]);
    expect(await journal.jobs({ ended: true })).toHaveLength(1);
    expect(await events()).toEqual(['launched', 'ended']);
  });

  it('is refused twice, unknown, or undone after it ran', async () => {
    await launch();
    await expect(launch()).rejects.toEqual(code('job-exists'));
    await expect(journal.job('zzzzzzzzzz')).rejects.toEqual(code('no-such-job'));
    await journal.unlaunched(id);
    expect((await journal.job(id)).state).toBe('running');
  });
});

describe('the rules of epochs', () => {
  it('a committed move changes the host, for good', async () => {
    await launch();
    await intend('node2');
    reopen();
    expect((await journal.job(id)).moveStarted).not.toBeNull();
    expect(await journal.outcome(id, 1)).toEqual({ outcome: 'moving' });
    await journal.enter(id, { type: 'commit', epoch: 1 });
    reopen();
    expect(await journal.outcome(id, 1)).toEqual({ outcome: 'committed' });
    await expect(journal.enter(id, { type: 'abort', epoch: 1, reason: 'late' })).rejects.toEqual(
      code('epoch-committed'),
    );
    await expect(journal.enter(id, { type: 'commit', epoch: 1 })).rejects.toEqual(code('epoch-committed'));
    await expect(intend('node3')).rejects.toEqual(code('job-moving'));
    await journal.enter(id, { type: 'thawed', epoch: 1 });
    reopen();
    const { ledger, moves, moveStarted } = await journal.job(id);
    expect(ledger).toMatchObject({ host: 'node2', epoch: 1, attempted: 1, open: null });
    expect(ledger.debts).toEqual([{ node: 'node1', role: 'source', epoch: 1, message: 'discard' }]);
    expect([moves, moveStarted]).toEqual([1, null]);
    expect(await events()).toEqual(['launched', 'move-intent', 'move-committed', 'move-thawed']);
  });

  it('an aborted epoch is never committed, and the next is a new one', async () => {
    await launch();
    await intend('node2');
    await journal.enter(id, { type: 'abort', epoch: 1, reason: 'disk full' });
    reopen();
    expect(await journal.outcome(id, 1)).toEqual({ outcome: 'aborted' });
    await expect(journal.enter(id, { type: 'commit', epoch: 1 })).rejects.toEqual(code('epoch-aborted'));
    await journal.enter(id, { type: 'resumed', epoch: 1 });
    await expect(journal.enter(id, { type: 'commit', epoch: 1 })).rejects.toEqual(code('stale-epoch'));
    await expect(intend('node2')).rejects.toEqual(code('node-indebted'));
    await journal.enter(id, { type: 'cleaned', epoch: 1, node: 'node2' });
    const ledger = await intend('node2');
    expect(ledger).toMatchObject({ host: 'node1', epoch: 0, attempted: 2 });
    const again: Entry = { type: 'intent', move: { ...ledger.open!.move, epoch: 2 } };
    await expect(journal.enter(id, again)).rejects.toEqual(code('job-moving'));
    expect((await history()).find(({ event }) => event === 'move-aborted')).toMatchObject({
      epoch: 1,
      reason: 'disk full',
    });
  });

  it('a refused entry changes nothing', async () => {
    await launch();
    const before = [await journal.job(id), await events()];
    const { ledger } = await journal.job(id);
    const move = nextMove(ledger, 'node2', 'stop');
    for (const wrong of [{ epoch: 0 }, { epoch: 2 }, { from: 'node3' }, { to: 'node1' }, { since: 4 }]) {
      const entry: Entry = { type: 'intent', move: { ...move, ...wrong } };
      await expect(journal.enter(id, entry)).rejects.toEqual(code('stale-epoch'));
    }
    await expect(journal.enter(id, { type: 'thawed', epoch: 0 })).rejects.toEqual(code('stale-epoch'));
    reopen();
    expect([await journal.job(id), await events()]).toEqual(before);
  });

  it('a job given back lives on at the source in an epoch of its own', async () => {
    await launch();
    await intend('node2');
    await journal.enter(id, { type: 'commit', epoch: 1 });
    await journal.enter(id, { type: 'returned', of: 1, epoch: 2, reason: 'node2 rebooted' });
    reopen();
    expect(await journal.outcome(id, 1)).toEqual({ outcome: 'returned', as: 2 });
    await journal.enter(id, { type: 'resumed', epoch: 1 });
    expect((await journal.job(id)).ledger).toMatchObject({
      host: 'node1',
      epoch: 2,
      attempted: 2,
      open: null,
    });
    await expect(journal.ended(id, 1, { exit: 0, signal: null })).rejects.toEqual(code('stale-epoch'));
    expect((await journal.job(id)).moves).toBe(0);
  });

  it('a lost job says so until it is given back', async () => {
    await launch();
    await intend('node2');
    await journal.enter(id, { type: 'commit', epoch: 1 });
    await journal.enter(id, { type: 'lost', epoch: 1, reason: 'gone', salvage: true });
    reopen();
    expect(await journal.job(id)).toMatchObject({ state: 'lost', ledger: { lost: true } });
    await journal.enter(id, { type: 'returned', of: 1, epoch: 2, reason: 'adopted' });
    reopen();
    expect(await journal.job(id)).toMatchObject({
      state: 'running',
      ended: null,
      ledger: { lost: false, host: 'node1' },
    });
  });

  it('an end that an older host reports is refused, and an ended job is not moved', async () => {
    await launch();
    await intend('node2');
    await journal.ended(id, 0, { exit: 0, signal: null });
    await expect(journal.enter(id, { type: 'commit', epoch: 1 })).rejects.toEqual(code('job-ended'));
    await journal.enter(id, { type: 'abort', epoch: 1, reason: 'ended' });
    await journal.enter(id, { type: 'resumed', epoch: 1 });
    await journal.enter(id, { type: 'cleaned', epoch: 1, node: 'node2' });
    await expect(intend('node2')).rejects.toEqual(code('job-ended'));
    expect(await journal.outcome(id, 9)).toEqual({ outcome: 'unknown' });
  });
});

describe('what is kept', () => {
  it('is bounded: the events of a job', async () => {
    await launch();
    for (let n = 0; n < 8; n++) {
      await intend('node2');
      const epoch = n + 1;
      await journal.enter(id, { type: 'abort', epoch, reason: String(n) });
      await journal.enter(id, { type: 'resumed', epoch });
      await journal.enter(id, { type: 'cleaned', epoch, node: 'node2' });
    }
    expect((await history()).slice(-3).map(({ reason }) => reason)).toEqual(['6', undefined, '7']);
    const [first, second] = await journal.history({ limit: 2 });
    expect(await journal.history({ job: id, after: first!.position, limit: 1 })).toEqual([second]);
    const report = {
      job: id,
      from: 'node1',
      to: 'node2',
      epoch: 1,
      transfer: 'stop' as const,
      freezeMs: 1,
      totalMs: 1,
      bytes: 1,
    };
    const phases = { prepare: 0, park: 0, dump: 0, transfer: 0, restore: 0, commit: 0, thaw: 0 };
    const fast = new DatabaseSync(file);
    fast.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${EVENTS_KEPT})
               INSERT INTO history (job, event) SELECT '${id}', event FROM n, (SELECT event FROM history LIMIT 1)`);
    fast.close();
    await journal.report({ ...report, phases });
    const all = await history();
    expect(all).toHaveLength(EVENTS_KEPT);
    expect(all.at(-1)).toMatchObject({ event: 'move-finished', move: { phases } });
  });

  it('forgets a job that is over, but never one that a node has to clear away', async () => {
    await launch();
    await intend('node2');
    await journal.enter(id, { type: 'abort', epoch: 1, reason: 'x' });
    await journal.enter(id, { type: 'resumed', epoch: 1 });
    await journal.ended(id, 0, { exit: 0, signal: null });
    await launch('bbbbbbbbbb');
    await journal.ended('bbbbbbbbbb', 0, { exit: 0, signal: null });
    await launch('cccccccccc');
    expect(await journal.forgettable(0)).toEqual(['bbbbbbbbbb']);
    for (const job of [id, 'bbbbbbbbbb', 'cccccccccc']) await journal.forget(job);
    expect((await journal.jobs({ ended: true })).map((job) => job.id)).toEqual([id, 'cccccccccc']);
    await expect(journal.command('bbbbbbbbbb')).rejects.toEqual(code('no-such-job'));
  });
});

describe('what is large', () => {
  const words = Array.from({ length: 1_000 }, (_, n) => `word${n}`);

  it('is kept of a command, and is in no list; the environment is not kept', async () => {
    await journal.launch({
      id,
      name: 'sim',
      spec: { ...spec, args: words, env: { SECRET: 'x' } },
      host: 'node1',
      launchedStopped: false,
    });
    expect(await journal.command(id)).toEqual(['/bin/true', ...words]);
    const [listed] = await journal.jobs({ ended: false });
    expect(listed!.spec.command.at(-1)).toBe('…');
    expect(JSON.stringify(listed).length).toBeLessThan(2_000);
    journal.close();
    expect(readFileSync(file).includes('SECRET')).toBe(false);
    journal = openJournal(file);
  });

  it('is taken out of what an older version wrote', async () => {
    journal.close();
    rmSync(file);
    const old = new DatabaseSync(file);
    old.exec(`${MIGRATIONS[0]}; PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = 1`);
    const insert = old.prepare(
      `INSERT INTO jobs VALUES (?, 'sim', ?, 'running', 2, NULL, '2026', NULL, 0, 0, 0, 'node1', 0, 0, NULL, '[]', NULL)`,
    );
    const user = { name: 'games', uid: 5, gid: 5, groups: [5] };
    insert.run(
      id,
      JSON.stringify({ ...spec, args: ['a "b"'], env: { A: '1' }, user, tty: { rows: 1, columns: 2 } }),
    );
    insert.run('bbbbbbbbbb', JSON.stringify({ ...spec, args: words }));
    insert.run('cccccccccc', JSON.stringify({ ...spec, args: [] }));
    old.close();
    journal = openJournal(file);
    const jobs = await journal.jobs({ ended: true });
    expect(jobs.map(({ spec: { command } }) => command)).toEqual([
      ['/bin/true', 'a "b"'],
      ['/bin/true', '…'],
      ['/bin/true'],
    ]);
    expect(jobs[0]!.spec).toMatchObject({ user, tty: { rows: 1, columns: 2 } });
    expect(await journal.command('bbbbbbbbbb')).toEqual(['/bin/true', ...words]);
    expect(await journal.users()).toEqual([0, 5]);
  });

  it('is kept in a copy as an older version wrote it, which that one opens again, and then changed', async () => {
    journal.close();
    rmSync(file);
    const old = new DatabaseSync(file);
    old.exec(`${MIGRATIONS[0]}; PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = 1`);
    const insert = `INSERT INTO jobs VALUES (?, 'sim', ?, 'running', 2, NULL, '2026', NULL, 0, 0, 0, 'node1', 0, 0, NULL, '[]', NULL)`;
    old.exec('PRAGMA journal_mode = WAL');
    old.prepare(insert).run(id, JSON.stringify({ ...spec, args: ['x'] }));
    // What is beside the file yet is in the copy as well.
    expect(statSync(`${file}-wal`).size).toBeGreaterThan(0);
    journal = openJournal(file);
    old.close();
    const copy = `${file}.v1`;
    expect(statSync(copy).mode & 0o777).toBe(0o600);
    const kept = new DatabaseSync(copy, { readOnly: true });
    expect(kept.prepare('PRAGMA user_version').get()).toEqual({ user_version: 1 });
    expect(kept.prepare('SELECT id, spec FROM jobs').all()).toEqual([
      { id, spec: JSON.stringify({ ...spec, args: ['x'] }) },
    ]);
    kept.close();
    reopen();
    expect(await journal.command(id)).toEqual(['/bin/true', 'x']);
    expect(readdirSync(folder).filter((name) => name.includes('.v'))).toEqual(['journal.sqlite.v1']);
  });

  it('is as the older version wrote it when it can not be changed, and says so', () => {
    journal.close();
    rmSync(file);
    const old = new DatabaseSync(file);
    old.exec(`${MIGRATIONS[0]}; PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = 1`);
    // In the way of what the newer version makes last but one.
    old.exec('CREATE INDEX jobs_uid ON jobs (name)');
    old.close();
    expect(() => openJournal(file)).toThrow(code('journal-failed'));
    const left = new DatabaseSync(file);
    expect(left.prepare('PRAGMA user_version').get()).toEqual({ user_version: 1 });
    expect(left.prepare("SELECT name FROM sqlite_schema WHERE name = 'commands'").all()).toEqual([]);
    left.exec('DROP INDEX jobs_uid');
    left.close();
    journal = openJournal(file);
  });

  it('are the jobs of one user: as many as may be', async () => {
    const user = { name: 'games', uid: 5, gid: 5, groups: [5] };
    const one = (job: string, most: number) =>
      journal.launch({
        id: job,
        name: 'sim',
        spec: { ...spec, user },
        host: 'node1',
        launchedStopped: false,
        most,
      });
    await one('bbbbbbbbbb', 2);
    await launch();
    await one('cccccccccc', 2);
    await expect(one('dddddddddd', 2)).rejects.toEqual(code('too-many-jobs'));
    await journal.ended('bbbbbbbbbb', 0, { exit: 0, signal: null });
    await one('dddddddddd', 2);
  });
});

describe('notes', () => {
  it('are one a job, and survive', async () => {
    const detail = { home: 'node1', images: 'x', stubs: [{ pid: 3 }] };
    await journal.putNote({ job: id, note: { state: 'hosting', epoch: 0 }, detail: {} });
    await journal.putNote({ job: id, note: { state: 'sending', epoch: 1, since: 0 }, detail });
    reopen();
    expect(await journal.notes()).toEqual([
      { job: id, note: { state: 'sending', epoch: 1, since: 0 }, detail },
    ]);
    await journal.clearNote(id);
    reopen();
    expect(await journal.notes()).toEqual([]);
  });
});

describe('a file that is not what it should be', () => {
  const refused = (code: string) => {
    const before = readFileSync(file);
    expect(() => openJournal(file)).toThrow(expect.objectContaining({ code }));
    expect(readFileSync(file).equals(before)).toBe(true);
  };
  /** Closing the last connection moves all into the one file. */
  const rewrite = (change: (db: DatabaseSync) => void) => {
    journal.close();
    const db = new DatabaseSync(file);
    change(db);
    db.close();
  };

  it('garbage', () => {
    journal.close();
    writeFileSync(file, 'garbage '.repeat(1_000));
    refused('journal-corrupt');
  });
  it('a damaged page', async () => {
    for (let n = 0; n < 50; n++) await launch(`a${String(n).padStart(9, '0')}`);
    journal.close();
    const bytes = readFileSync(file);
    bytes.fill(0xa5, 4_096, 12_288);
    writeFileSync(file, bytes);
    refused('journal-corrupt');
  });
  it('a newer version', () => {
    rewrite((db) => db.exec('PRAGMA user_version = 99'));
    refused('journal-newer');
    const fix = expect.stringMatching(
      new RegExp(`install the newer Godwit.*journal\\.sqlite\\.v${MIGRATIONS.length} in its place`),
    );
    expect(() => openJournal(file)).toThrow(expect.objectContaining({ fix }));
  });
  it('the database of another program', () => {
    rewrite((db) => db.exec('PRAGMA application_id = 1'));
    refused('journal-foreign');
  });
  it('a row that does not parse', async () => {
    await launch();
    rewrite((db) => db.exec(`UPDATE jobs SET spec = '{"program": 3}'`));
    journal = openJournal(file);
    await expect(journal.job(id)).rejects.toEqual(code('journal-corrupt'));
  });
});

describe('a writer killed at any moment', () => {
  /** Writes two rows a transaction, by SQLite's settings of the journal, and says each number when it is on the disk. */
  const writer = `
    const { DatabaseSync } = require('node:sqlite');
    const db = new DatabaseSync(process.argv[1], { timeout: 5000 });
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    for (let n = Number(process.argv[2]) + 1; ; n++) {
      db.exec('BEGIN IMMEDIATE');
      db.exec("UPDATE jobs SET attempted = " + n + " WHERE id = '${id}'");
      db.exec("UPDATE jobs SET epoch = " + n + " WHERE id = '${id}'");
      db.exec('COMMIT');
      require('node:fs').writeSync(1, n + '\\n');
    }`;

  it('leaves a whole journal with all that it had said', async () => {
    await launch();
    for (let round = 0; round < 5; round++) {
      const { epoch } = (await journal.job(id)).ledger;
      journal.close();
      const child = spawn(process.execPath, ['-e', writer, file, String(epoch)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let said = '';
      child.stdout.on('data', (chunk: Buffer) => {
        said += chunk;
        if (said.length > 20 * (round + 1)) child.kill('SIGKILL');
      });
      await once(child, 'close');
      journal = openJournal(file);
      const { ledger } = await journal.job(id);
      const last = Number(said.trimEnd().split('\n').at(-1));
      expect(ledger.epoch).toBe(ledger.attempted);
      expect(ledger.epoch).toBeGreaterThanOrEqual(last);
      expect(last).toBeGreaterThan(epoch);
    }
  }, 120_000);
});

describe('a node is gone for good', () => {
  const note = { job: id, note: { state: 'sending', epoch: 3, since: 2 }, detail: { copy: 1 } } as const;
  const toHome = { node: 'node9', role: 'home', epoch: 4, message: 'adopted' } as const;
  const adopted: AdoptedJob = {
    ...{ id, name: 'sim', started: '2027-01-01T00:00:00.000Z', moves: 2, launchedStopped: false },
    spec: { command: ['sim'], user: ROOT, limits: {}, address: null, allocation: null, allowIoUring: false },
    ledger: {
      ...{ host: 'node1', epoch: 4, attempted: 4, debts: [toHome], lost: false },
      open: {
        move: { from: 'node1', to: 'node9', epoch: 3, since: 2, transfer: 'stop' },
        outcome: 'returned',
      },
    },
    ...{ note, reason: 'a person’s word' },
  };

  it('an adopted job is this node’s with one write: the ledger, the note, and what a restart asks', async () => {
    await journal.putNote({ ...note, detail: { copy: 0 } });
    await journal.adopt(adopted);
    reopen();
    expect(await journal.job(id)).toMatchObject({ state: 'running', moves: 2, ledger: adopted.ledger });
    expect(await journal.notes()).toEqual([note]);
    expect(await journal.outcome(id, 3)).toEqual({ outcome: 'returned', as: 4 });
    expect(await history()).toMatchObject([
      { event: 'adopted', node: 'node1', epoch: 4, reason: adopted.reason },
    ]);
    await expect(journal.adopt(adopted)).rejects.toEqual(code('job-exists'));
    await journal.enter(id, { type: 'resumed', epoch: 3 });
    await journal.enter(id, { type: 'cleaned', epoch: 4, node: 'node9', said: 'it had ended' });
    expect((await journal.job(id)).ledger).toMatchObject({ open: null, debts: [] });
    expect((await history()).at(-1)?.reason).toBe('node9, its home before, answers again: it had ended');
  });

  it('of a job that has another home the rest is to be cleared away, and no list has it', async () => {
    await launch();
    await intend('node2');
    await journal.enter(id, { type: 'commit', epoch: 1 });
    await journal.enter(id, { type: 'adopted', by: 'node1', epoch: 5, reason: 'so' });
    reopen();
    const { state, ledger } = await journal.job(id);
    expect([state, ledger]).toMatchObject([
      'adopted',
      {
        ...{ host: 'node1', epoch: 5, attempted: 5, open: null },
        debts: [{ node: 'node2', role: 'destination', epoch: 1, message: 'discard' }],
      },
    ]);
    for (const ended of [false, true]) expect(await journal.jobs({ ended })).toEqual([]);
    expect(await journal.jobs({ ended: true, adopted: true })).toHaveLength(1);
    expect(await journal.find('sim', 9)).toEqual([]);
    expect(await events()).toEqual(['launched', 'move-intent', 'move-committed', 'adopted']);
    // It may come back in the same way.
    await journal.adopt(adopted);
    expect(await journal.find('sim', 9)).toHaveLength(1);
  });

  it('the other end of a move that was not committed owes an abort, and its host what runs there', async () => {
    await launch();
    await intend('node2');
    await journal.enter(id, { type: 'adopted', by: 'node2', epoch: 2, reason: 'so' });
    expect((await journal.job(id)).ledger.debts).toEqual([
      { node: 'node1', role: 'source', epoch: 1, message: 'discard' },
      { node: 'node1', role: 'destination', epoch: 0, message: 'discard' },
    ]);
  });

  it('a job is given up on the host where it is, not while it moves', async () => {
    await launch();
    const givenUp = (epoch: number) => journal.enter(id, { type: 'given-up', epoch, reason: 'gone' });
    await expect(givenUp(1)).rejects.toEqual(code('stale-epoch'));
    await intend('node2');
    await expect(givenUp(0)).rejects.toEqual(code('job-moving'));
    await journal.enter(id, { type: 'abort', epoch: 1, reason: 'x' });
    await journal.enter(id, { type: 'resumed', epoch: 1 });
    await givenUp(0);
    reopen();
    const job = await journal.job(id);
    expect(job.state).toBe('lost');
    expect(job.ledger.debts).toContainEqual({
      ...{ node: 'node1', role: 'destination', epoch: 0, message: 'discard' },
    });
    await expect(givenUp(0)).rejects.toEqual(code('job-lost'));
  });

  it('what was committed and is given up leaves nothing at either end', async () => {
    await launch();
    await intend('node2');
    await journal.enter(id, { type: 'commit', epoch: 1 });
    await journal.enter(id, { type: 'forgotten', epoch: 1 });
    const { state, ledger } = await journal.job(id);
    expect(state).toBe('lost');
    expect(ledger.debts.map(({ node, message }) => [node, message])).toEqual([
      ['node1', 'discard'],
      ['node2', 'discard'],
    ]);
    expect((await events()).at(-1)).toBe('forgotten');
  });
});
