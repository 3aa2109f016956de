/** The queue of a home, over a journal's file: what it begins where, what of it outlives an agent, what it refuses. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { GodwitError } from '../../agent/api/errors';
import { type JobSpec, type LaunchRequest, ROOT, type User } from '../../agent/api/model';
import { PerUser } from '../../agent/api/per-user';
import { Arrays, type ArraysParts } from '../../agent/daemon/jobs/arrays';
import { newId } from '../../agent/daemon/jobs/home';
import type { HomedJob, Journal } from '../../agent/daemon/journal/journal';
import { openJournal } from '../../agent/daemon/journal/open';
import { Queue, type QueueParts } from '../../agent/daemon/requests/queue';
import { logTo } from '../../agent/log';

const ANN: User = { name: 'ann', uid: 1001, gid: 1001, groups: [1001] };
const BOB: User = { name: 'bob', uid: 1002, gid: 1002, groups: [] };
const REQUEST: LaunchRequest = {
  ...{ program: '/bin/sim', args: ['1'], cwd: '/home/ann', env: { A: 'b' } },
  ...{ node: 'best', stopped: false, queue: true },
};

class Stage {
  readonly folder = mkdtempSync(join(tmpdir(), 'godwit-queue-'));
  journal: Journal = openJournal(join(this.folder, 'journal.db'));
  queue!: Queue;
  /** CPUs that are free, by node. */
  free: Record<string, number> = { node1: 0, node2: 0 };
  readonly begun: { name: string; host: string; spec: JobSpec }[] = [];
  /** What a launch on a node comes to. */
  launch: (host: string) => Promise<void> = async () => {};
  /** Jobs that hosts have. */
  readonly there = new Set<string>();
  perUser = PerUser.parse({});

  constructor() {
    this.start();
  }

  /** As an agent does that starts. */
  start() {
    const { journal } = this;
    const home = {
      specOf: (
        { queue: _, address: __, ...request }: LaunchRequest,
        user: User,
        allocation: string | null,
      ) => ({
        ...{ ...request, limits: request.limits ?? {}, allowIoUring: false, user, address: null, allocation },
      }),
      newJob: (spec: JobSpec, host: string) => ({
        ...{ id: newId(), name: spec.name ?? 'sim', spec, host, launchedStopped: spec.stopped },
      }),
      makeFiles: async ({ id }: HomedJob) => void mkdirSync(dirname(this.console(id)), { recursive: true }),
      consoles: { watch: () => {} },
      begin: async ({ id, name, ledger: { host } }: HomedJob, spec: JobSpec) => {
        this.begun.push({ name, host, spec });
        await this.launch(host);
        await journal.running(id, 2);
      },
    };
    const addresses = { with: (_: unknown, work: (address: null) => unknown) => work(null) };
    const parts = {
      node: 'node1',
      journal,
      home,
      addresses,
      peers: { names: ['node1', 'node2'], call: this.#call },
    };
    const arrays = new Arrays({ ...parts, log: logTo(() => {}) } as unknown as ArraysParts);
    this.queue = new Queue({
      ...parts,
      ...{
        arrays,
        perUser: this.perUser,
        log: logTo(() => {}),
        layout: { console: (id: string) => this.console(id) },
      },
      members: { said: async () => ['node1', 'node2'].map((name) => said(name)) },
      balancer: { ranked: async (only: readonly string[]) => [...only].sort(), sent: () => {} },
      allocations: { inForce: false, placement: async () => null },
    } as unknown as QueueParts);
  }

  async restart() {
    // With the agent goes all that it was about to do.
    vi.clearAllTimers();
    this.journal.close();
    this.journal = openJournal(join(this.folder, 'journal.db'));
    this.start();
    await this.queue.takeUp();
    this.queue.start();
  }

  console(id: string) {
    return join(this.folder, id, 'console');
  }

  readonly #call = async (node: string, method: string, { jobs }: { jobs: string[] }) => {
    if (method === 'balance.room') {
      if ((this.free[node] ?? 0) <= 0) return { refused: 'cpus' };
      this.free[node]!--;
      return { refused: null };
    }
    if (method === 'host.jobStatus') return { statuses: jobs.filter((job) => this.there.has(job)) };
    return {};
  };

  async states() {
    return (await this.journal.jobs({ ended: true })).map(({ name, state }) => `${name} ${state}`);
  }

  end() {
    this.journal.close();
    rmSync(this.folder, { recursive: true });
  }
}

const said = (name: string) => ({
  ...{ name, ageMs: 0, up: true, draining: false, cpus: 2, speed: 1, demand: 0, steady: 0 },
  ...{ memTotal: 2 ** 34, memFree: 2 ** 33 },
});

let stage: Stage;
/** Time enough for some rounds. */
const rounds = (ms = 3_000) => vi.advanceTimersByTimeAsync(ms);
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  stage = new Stage();
});
afterEach(() => {
  vi.useRealTimers();
  stage.end();
});
const add = (user: User, name: string, more: Partial<LaunchRequest> = {}) =>
  stage.queue.add({ ...REQUEST, name, ...more }, user, null);

describe('a job in the queue', () => {
  it('begins where there is room, with all that it was asked for with', async () => {
    const { id } = await add(ANN, 'a');
    await rounds();
    expect(stage.begun).toEqual([]);
    expect(stage.queue.of(id)).toEqual({ position: 1, why: 'no CPU is free on node1, node2' });
    stage.free.node2 = 1;
    await rounds();
    expect(stage.begun).toMatchObject([{ name: 'a', host: 'node2', spec: { user: ANN, env: { A: 'b' } } }]);
    expect(stage.queue.of(id)).toBeNull();
    expect((await stage.journal.history({})).map(({ event }) => event.event)).toEqual(['queued', 'launched']);
    await expect(stage.journal.request(id)).rejects.toMatchObject({ code: 'no-such-job' });
  });

  it('begins on the node that was asked for alone, and keeps no other from other nodes', async () => {
    await add(ANN, 'picky', { node: 'node2' });
    await add(ANN, 'listed', { nodes: ['node2'] });
    await add(ANN, 'any');
    stage.free.node1 = 3;
    await rounds();
    expect(stage.begun.map(({ name, host }) => `${name} ${host}`)).toEqual(['any node1']);
    stage.free.node2 = 2;
    await rounds();
    expect(stage.begun.map(({ name }) => name)).toEqual(['any', 'picky', 'listed']);
  });

  it('has the turn of its user', async () => {
    for (const name of ['a1', 'a2', 'a3']) await add(ANN, name);
    for (const name of ['b1', 'b2']) await add(BOB, name);
    stage.free.node1 = 4;
    await rounds(10_000);
    expect(stage.begun.map(({ name }) => name)).toEqual(['a1', 'b1', 'a2', 'b2']);
  });

  it('is there when the agent starts anew, and begins then', async () => {
    const { id } = await add(ANN, 'a');
    await stage.restart();
    expect(stage.queue.of(id)).toMatchObject({ position: 1 });
    stage.free.node1 = 1;
    await rounds();
    expect(await stage.states()).toEqual(['a running']);
  });

  it('that an agent was launching when it ended is not begun twice', async () => {
    for (const name of ['there', 'gone']) {
      const { id } = await add(ANN, name);
      await stage.journal.beginning(id, 'node2');
      if (name === 'there') stage.there.add(id);
    }
    await stage.restart();
    await rounds();
    expect(await stage.states()).toEqual(['there running', 'gone starting']);
    stage.free.node1 = 1;
    await rounds();
    expect(stage.begun.map(({ name, host }) => `${name} ${host}`)).toEqual(['gone node1']);
  });

  it('whose host is lost while it launches is begun nowhere else before that has answered', async () => {
    stage.free = { node1: 9, node2: 0 };
    stage.launch = async () => {
      stage.free = { node1: 0, node2: 9 };
      throw new GodwitError({ code: 'connection-lost', message: 'lost' });
    };
    const { id } = await add(ANN, 'a');
    stage.there.add(id);
    await rounds(10_000);
    expect(stage.begun.map(({ host }) => host)).toEqual(['node1']);
    expect(await stage.states()).toEqual(['a running']);
  });

  it('goes elsewhere where a node does not take it', async () => {
    stage.free = { node1: 9, node2: 9 };
    stage.launch = async (host) => {
      if (host === 'node1') throw new GodwitError({ code: 'ids-refused', message: 'not here' });
    };
    await add(ANN, 'a');
    await rounds(10_000);
    expect(stage.begun.map(({ host }) => host)).toEqual(['node1', 'node2']);
  });

  it('that can not be launched is over, and says why on its console and in its history', async () => {
    stage.free.node1 = 9;
    stage.launch = async () => {
      throw new GodwitError({
        code: 'cannot-launch',
        message: '/bin/sim can’t be launched',
        fix: 'is it there?',
      });
    };
    const { id } = await add(ANN, 'a');
    // Its console is written to on the disk, which no clock of the test drives.
    await vi.waitFor(async () => expect((await stage.journal.job(id)).state).toBe('ended'));
    const { exit } = await stage.journal.job(id);
    expect(exit).toEqual({ exit: 126, signal: null, reason: '/bin/sim can’t be launched' });
    expect(readFileSync(stage.console(id), 'utf8')).toBe(
      'godwit: /bin/sim can’t be launched; is it there?\n',
    );
    expect((await stage.journal.history({})).map(({ event }) => event.event)).toEqual(['queued', 'ended']);
  });

  it('is taken out by a signal that ends, and by no other', async () => {
    const { id } = await add(ANN, 'a');
    await expect(stage.queue.end(id, 'SIGUSR1')).rejects.toMatchObject({ code: 'job-queued' });
    expect(await stage.queue.end(id, 'SIGTERM')).toBe(true);
    expect(await stage.journal.job(id)).toMatchObject({
      ...{ state: 'ended', exit: { exit: 143, signal: 'SIGTERM' }, queuedSince: null },
    });
    expect(await stage.queue.end(id, 'SIGTERM')).toBe(false);
    stage.free.node1 = 1;
    await rounds();
    expect(stage.begun).toEqual([]);
  });

  it('waits for its user to have fewer jobs than they may', async () => {
    stage.perUser = PerUser.parse({ jobs: 1 });
    stage.start();
    stage.free.node1 = 9;
    const first = await add(ANN, 'a');
    const { id } = await add(ANN, 'b');
    await rounds(5_000);
    expect(stage.begun.map(({ name }) => name)).toEqual(['a']);
    expect(stage.queue.of(id)!.why).toMatch(/limit of 1 running jobs/);
    await stage.journal.ended(first.id, 0, { exit: 0, signal: null });
    stage.free.node1 = 9;
    await rounds(5_000);
    expect(stage.begun.map(({ name }) => name)).toEqual(['a', 'b']);
  });
});

describe('what a user may queue', () => {
  it('is bounded in jobs, of root too, and in bytes; an array’s environment counts once', async () => {
    stage.perUser = { ...PerUser.parse({}), queued: 4, queuedBytes: 2_000 };
    stage.start();
    const env = { LONG: 'x'.repeat(1_000) };
    await stage.queue.addArray({ ...REQUEST, env }, 3, ANN, null);
    const full = { code: 'too-many-queued', message: expect.stringMatching(/4 jobs/) };
    await expect(stage.queue.addArray(REQUEST, 2, ANN, null)).rejects.toMatchObject(full);
    await expect(add(ANN, 'long', { env })).rejects.toMatchObject({
      ...{ code: 'too-many-queued', message: expect.stringMatching(/2000 bytes/) },
    });
    expect((await stage.journal.queue()).length).toBe(3);
    await stage.queue.addArray(REQUEST, 4, ROOT, null);
    await expect(add(ROOT, 'r')).rejects.toMatchObject(full);
  });
});

describe('an array in the queue', () => {
  it('is queued whole, each job with its index', async () => {
    const { id, name, jobs } = await stage.queue.addArray({ ...REQUEST, name: 'sweep' }, 3, ANN, null);
    expect([name, ...jobs.map((job) => job.name)]).toEqual(['sweep', 'sweep.0', 'sweep.1', 'sweep.2']);
    stage.free.node1 = 9;
    await stage.restart();
    await rounds(5_000);
    const numbers = stage.begun.map(
      ({ spec: { env } }) => `${env.GODWIT_INDEX}/${env.GODWIT_COUNT} ${env.A}`,
    );
    expect(numbers).toEqual(['0/3 b', '1/3 b', '2/3 b']);
    const [array] = await stage.journal.findArrays('sweep', 2);
    expect(array).toMatchObject({ id, jobs: jobs.map((job) => ({ id: job.id, state: 'running' })) });
  });
});
