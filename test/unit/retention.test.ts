/** Which of the jobs that are over are forgotten. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ROOT } from '../../agent/api/model';
import { PerUser } from '../../agent/api/per-user';
import { Layout } from '../../agent/daemon/jobs/layout';
import { Retention } from '../../agent/daemon/jobs/retention';
import type { Journal } from '../../agent/daemon/journal/journal';
import { openJournal } from '../../agent/daemon/journal/open';

let folder: string;
let journal: Journal;
let layout: Layout;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-retention-'));
  layout = new Layout(folder);
  journal = openJournal(layout.journal);
});
afterEach(() => {
  journal.close();
  rmSync(folder, { recursive: true });
});

const BYTES = 64 * 1024;
const spec = {
  program: '/bin/true',
  args: [],
  cwd: '/',
  env: {},
  node: 'home',
  stopped: false,
  limits: {},
  address: null,
  allocation: null,
  allowIoUring: false,
};
const nameOf = (uid: number, n: number) => `${uid}aaaaaaa${String(n).padStart(2, '0')}`.slice(0, 10);

async function over(uid: number, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    const id = nameOf(uid, n);
    const user = { ...ROOT, uid };
    await journal.launch({ id, name: 'x', spec: { ...spec, user }, host: 'node1', launchedStopped: false });
    mkdirSync(layout.job(id), { recursive: true });
    writeFileSync(layout.console(id), 'x'.repeat(BYTES));
    await journal.ended(id, 0, { exit: 0, signal: null });
  }
}

const review = (bounds: Partial<PerUser>, uid?: number) =>
  new Retention({ journal, layout, perUser: PerUser.parse(bounds), log: (line) => expect.fail(line) }).review(
    uid,
  );
const kept = async () => (await journal.jobs({ ended: true })).map(({ id }) => id);

it('those beyond a number, each user for themselves, with all that they have left', async () => {
  await over(0, 2);
  await over(5, 5);
  await review({ endedJobs: 3 }, 5);
  const left = [nameOf(0, 0), nameOf(0, 1), nameOf(5, 2), nameOf(5, 3), nameOf(5, 4)];
  expect(await kept()).toEqual(left);
  expect([0, 1, 2, 3, 4].map((n) => existsSync(layout.job(nameOf(5, n))))).toEqual([
    false,
    false,
    true,
    true,
    true,
  ]);
});

it('those whose output takes more than may be; the latest stays', async () => {
  await over(5, 5);
  await review({ endedBytes: 2 * BYTES });
  expect(await kept()).toEqual([nameOf(5, 3), nameOf(5, 4)]);
  await review({ endedBytes: 1 });
  expect(await kept()).toEqual([nameOf(5, 4)]);
});

it('one that was about to be forgotten when the agent ended', async () => {
  await over(5, 2);
  rmSync(layout.job(nameOf(5, 0)), { recursive: true });
  await review({ endedJobs: 1 });
  expect(await kept()).toEqual([nameOf(5, 1)]);
});
