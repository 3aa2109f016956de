/** Jobs that have one end, and launches that are asked for twice: a home with a real journal, and hosts that are told. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GodwitError } from '../../agent/api/errors';
import { type Group, type Job, ROOT, type User } from '../../agent/api/model';
import { Groups } from '../../agent/daemon/jobs/groups';
import type { Journal } from '../../agent/daemon/journal/journal';
import { openJournal } from '../../agent/daemon/journal/open';
import { Launching, type LaunchingParts } from '../../agent/daemon/requests/launching';

const log = Object.assign(() => {}, { at: () => {} }) as never;
const ANN: User = { name: 'ann', uid: 5, gid: 5, groups: [] };
const program = { program: '/bin/true', args: [], cwd: '/', env: {}, node: 'home', stopped: false };
const TOKEN = '01234567-89ab-4cde-8f01-23456789abcd';

let folder: string;
let journal: Journal;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-groups-'));
  journal = openJournal(join(folder, 'journal.db'));
});
afterEach(() => {
  journal.close();
  rmSync(folder, { recursive: true });
});

/** A job that runs. */
async function runs(
  id: string,
  { group, token, user = ROOT }: Partial<{ group: Group; token: string; user: User }> = {},
) {
  const spec = {
    ...program,
    limits: { memory: 100 },
    address: null,
    allocation: null,
    allowIoUring: false,
    user,
    nodes: ['node1'],
  };
  const job = {
    id,
    name: id,
    spec: { ...spec, ...(group && { group }) },
    host: 'node1',
    launchedStopped: false,
  };
  await journal.launch({ ...job, token });
  await journal.running(id, 2);
}
const ends = (id: string) => journal.ended(id, 0, { exit: 0, signal: null });

describe('a group', () => {
  const group = { id: 'first00000', name: 'set' };
  /** Signals that hosts were sent; what is told ends, but for one that takes SIGKILL, and one that is on its way at first. */
  function hosts() {
    const told: string[] = [];
    let isMoving = true;
    const call = async (_node: string, _method: string, { job, signal }: { job: string; signal: string }) => {
      told.push(`${job} ${signal}`);
      if (job === 'moves00000' && isMoving) {
        isMoving = false;
        throw new GodwitError({ code: 'job-moving', message: 'it moves' });
      }
      if (job !== 'stays00000' || signal === 'SIGKILL') await ends(job);
      return {};
    };
    return { told, peers: { call } as unknown as LaunchingParts['peers'] };
  }

  it('is ended where its first job is over: each is told, one that moves again, one that stays is killed', async () => {
    const { told, peers } = hosts();
    const groups = new Groups({ journal, peers, log });
    await runs('first00000', { group });
    for (const id of ['other00000', 'moves00000', 'stays00000']) await runs(id, { group });
    await runs('alone00000');
    await groups.review(group.id);
    expect(told).toEqual([]);
    await ends('first00000');
    await groups.review(group.id);
    expect(told.filter((one) => one.endsWith('SIGTERM')).sort()).toEqual(
      ['moves00000 SIGTERM', 'moves00000 SIGTERM', 'other00000 SIGTERM', 'stays00000 SIGTERM'].sort(),
    );
    expect(told.at(-1)).toBe('stays00000 SIGKILL');
    expect((await journal.jobs({ ended: false })).map(({ id }) => id)).toEqual(['alone00000']);
  });

  it('whose first job was over when the agent starts is ended then', async () => {
    const { told, peers } = hosts();
    await runs('first00000', { group });
    await runs('other00000', { group });
    await ends('first00000');
    await new Groups({ journal, peers, log }).takeUp();
    expect(told).toEqual(['other00000 SIGTERM']);
  });
});

describe('a launch with a token', () => {
  /** The homes' part: what was launched, and when it goes on. */
  function launching(let_: Promise<void> = Promise.resolve()) {
    const launched: object[] = [];
    const home = {
      run: async (request: { token?: string }, who: { user: User }) => {
        await let_;
        const id = `job${launched.length}000000`;
        launched.push({ ...request, ...who });
        await runs(id, { ...(request.token ? { token: request.token } : {}), user: who.user });
        return { id } as Job;
      },
    };
    const lists = { one: async ({ id }: Job) => ({ id }) };
    const parts = {
      ...{ node: 'node1', journal, home, lists, admits: (uid: number) => uid === 5 },
      groups: { review: async () => {} },
      peers: { names: ['node1', 'node2'] },
      rules: { now: {} },
      allocations: { inForce: false },
    };
    return { launched, launching: new Launching(parts as unknown as LaunchingParts) };
  }

  it('is made once, asked for again meanwhile and afterwards, by an agent that restarts as well', async () => {
    let go = () => {};
    const first = launching(new Promise<void>((resolve) => (go = resolve)));
    const ask = (of = first) => of.launching.launch({ ...program, token: TOKEN }, ANN, null);
    const both = [ask(), ask()];
    go();
    const [{ id }, again] = (await Promise.all(both)) as [Job, Job];
    expect(again.id).toBe(id);
    expect((await ask()).id).toBe(id);
    expect((await ask(launching())).id).toBe(id);
    expect(first.launched).toHaveLength(1);
    // Another user's is another.
    await first.launching.launch({ ...program, token: TOKEN }, { ...ANN, uid: 6 }, null);
    expect(first.launched).toHaveLength(2);
  });

  it('by a program of a job is within what that job has', async () => {
    const { launched, launching: ours } = launching();
    await runs('parent0000', { user: ANN });
    const parent = await journal.job('parent0000');
    await ours.launchFor(parent, { ...program, limits: { memory: 1000, cpus: 2 } });
    expect(launched).toMatchObject([{ user: ANN, limits: { memory: 100, cpus: 2 }, nodes: ['node1'] }]);
    await expect(ours.launchFor(parent, { ...program, nodes: ['node2'] })).rejects.toMatchObject({
      code: 'not-on-node',
    });
    await ends('parent0000');
    await expect(ours.launchFor(await journal.job('parent0000'), program)).rejects.toMatchObject({
      code: 'job-ended',
    });
  });

  it('by a program whose user is not admitted any more is refused', async () => {
    await runs('parent0000', { user: { ...ANN, uid: 7 } });
    const { launched, launching: ours } = launching();
    await expect(ours.launchFor(await journal.job('parent0000'), program)).rejects.toMatchObject({
      code: 'not-admitted',
    });
    expect(launched).toEqual([]);
  });
});
