/** Launches, and an agent that starts: those of an agent that has ended are settled, its own are left alone. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ROOT } from '../../agent/api/model';
import { PerUser } from '../../agent/api/per-user';
import { Groups } from '../../agent/daemon/jobs/groups';
import { Home, type HomeOptions } from '../../agent/daemon/jobs/home';
import { HomedJobs } from '../../agent/daemon/jobs/homed-jobs';
import { Layout } from '../../agent/daemon/jobs/layout';
import type { Journal } from '../../agent/daemon/journal/journal';
import { openJournal } from '../../agent/daemon/journal/open';

let folder: string;
let journal: Journal;
let home: Home;
/** The jobs that the host has. */
let there: string[];
/** A launch at the host takes until this is called. */
let letLaunch: () => void;
const program = { program: '/bin/true', args: [], cwd: '/', env: {}, node: 'node2', stopped: false };

const log = Object.assign(() => {}, { at: () => {} }) as unknown as HomeOptions['log'];

const host = {
  call: async (_node: string, method: string, params: { job: string; jobs: string[] }) => {
    if (method === 'host.jobStatus')
      return { statuses: there.filter((job) => params.jobs.includes(job)).map((job) => ({ job })) };
    await new Promise<void>((resolve) => {
      letLaunch = resolve;
    });
    there.push(params.job);
    return { pid: 2 };
  },
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-launches-'));
  const layout = new Layout(folder);
  journal = openJournal(layout.journal);
  there = [];
  const addresses = { with: (_asked: unknown, work: (address: null) => unknown) => work(null) };
  home = new Home({
    node: 'node1',
    layout,
    helper: '/bin/true',
    journal,
    lists: new HomedJobs({
      node: 'node1',
      journal,
      peers: host as unknown as HomeOptions['peers'],
      moves: { isMoving: () => false },
      queued: () => null,
    }),
    peers: host as unknown as HomeOptions['peers'],
    addresses: addresses as unknown as HomeOptions['addresses'],
    perUser: PerUser.parse({}),
    groups: new Groups({ journal, peers: host as unknown as HomeOptions['peers'], log }),
    shared: async () => [],
    log,
  });
});
afterEach(() => {
  journal.close();
  rmSync(folder, { recursive: true });
});

const states = async () => (await journal.jobs({ ended: true })).map(({ id, state }) => [id, state]);

it('of an agent that has ended are settled by what the host has', async () => {
  const spec = { ...program, limits: {}, address: null, allocation: null, allowIoUring: false, user: ROOT };
  for (const id of ['launched00', 'unlaunched'])
    await journal.launch({ id, name: 'x', spec, host: 'node2', launchedStopped: false });
  there = ['launched00'];
  await home.takeUp();
  await home.start();
  expect(await states()).toEqual([['launched00', 'running']]);
});

it('that are asked for while it starts are not taken for those', async () => {
  await home.takeUp();
  const running = home.run({ ...program }, { user: ROOT, host: 'node2', allocation: null });
  await expect.poll(() => letLaunch).toBeTypeOf('function');
  await home.start();
  letLaunch();
  const { id } = await running;
  expect(await states()).toEqual([[id, 'running']]);
});
