/** A node is gone for good: what it has left may run on, or is cleared away, by a person's word; and the node comes back. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { asGodwitError } from '../../agent/api/errors';
import type { HistoryEvent, Job } from '../../agent/api/model';
import { ADOPTION_POINTS, type FaultPoint } from '../../agent/daemon/migration/fault-points';
import { FaultJob, FaultLab } from '../support/fault-lab';
import { Godwit } from '../support/godwit';
import { run } from '../support/processes';
import { inProject } from '../support/project';

/** Where all nodes see the same files: the program and what it writes. */
let common: string;
let lab: FaultLab;
let files = 0;

beforeAll(async () => {
  lab = await FaultLab.up(`adopt${process.pid}`);
  common = join(lab.folder, 'common');
  mkdirSync(common);
  const source = inProject('test', 'programs', 'alone.c');
  const { status, stderr } = await run(['gcc', '-static', '-O1', '-o', join(common, 'alone'), source]);
  if (status !== 0) throw new Error(stderr);
  for (const node of lab.nodes) {
    const { config } = lab.paths(node);
    const known = JSON.parse(readFileSync(config, 'utf8'));
    writeFileSync(config, JSON.stringify({ ...known, sharedPaths: [common] }));
    await lab.restart(node);
  }
}, 240_000);
afterAll(() => lab?.down());
afterEach(() => lab.recover());

/** A job that holds nothing of its home but the console. */
class Alone {
  private constructor(
    readonly id: string,
    readonly file: string,
  ) {}

  static async run(home: string, host: string, ...args: string[]): Promise<Alone> {
    const file = join(common, `lines${++files}`);
    const request = { program: join(common, 'alone'), args: [file, ...args], cwd: common, env: {} };
    const { id } = await lab.ask(home, 'jobs.run', { ...request, stopped: false, node: host, name: 'alone' });
    const job = new Alone(id, file);
    await job.goesOn();
    return job;
  }

  get lines(): string[] {
    return existsSync(this.file) ? readFileSync(this.file, 'utf8').split('\n').slice(0, -1) : [];
  }

  async goesOn(): Promise<void> {
    const before = this.lines.length;
    await lab.comesTo(async () =>
      this.lines.length > before + 2 ? null : `it stands at ${this.lines.at(-1)}`,
    );
  }

  /** Its home is `node` now: it ends there as it was told to, and of no line is there more than `copies`. */
  async ends(node: string): Promise<void> {
    await lab.ask(node, 'jobs.kill', { job: this.id, signal: 'SIGTERM' });
    expect(await lab.ask(node, 'jobs.wait', { job: this.id })).toMatchObject({ exit: 7, signal: null });
  }

  /** Not a line is missing, or there twice: it was one process all along. */
  isWhole(): void {
    const lines = this.lines.filter((line) => line !== 'end');
    expect(lines).toEqual(lines.map((_, index) => `line ${index}`));
  }

  copies(): Promise<string[]> {
    return lab.copies().then((all) => all.filter((copy) => copy.includes(`/${this.id}.`)));
  }

  async isOnlyOn(node: string): Promise<void> {
    await lab.comesTo(async () => {
      const copies = await this.copies();
      return copies.length === 1 && copies[0]!.startsWith(`${node}/`)
        ? null
        : `its copies: ${copies.join(', ')}`;
    });
  }

  history(node: string): Promise<HistoryEvent[]> {
    return lab.ask(node, 'jobs.history', { job: this.id }).then(({ events }) => events);
  }
}

async function failure(call: Promise<unknown>) {
  const outcome = await call.then(
    (value) => ({ value }),
    (error) => ({ error: asGodwitError(error) }),
  );
  if ('error' in outcome) return outcome.error;
  throw new Error(`it should have failed, but: ${JSON.stringify(outcome.value)}`);
}

/** The state of `node` as the node `by` has it. */
const comesToBe = (by: string, node: string, state: string) =>
  lab.comesTo(async () => {
    const { nodes } = await lab.ask(by, 'nodes.list', {});
    const now = nodes.find(({ name }) => name === node)?.state;
    return now === state ? null : `${node} is ${now}`;
  });

/** It does not come back until the test says so. */
async function gone(node: string, by: string): Promise<void> {
  await lab.kill(node);
  await comesToBe(by, node, 'down');
}

const adopt = (node: string, job: string, confirmed = true) =>
  lab.ask(node, 'jobs.adopt', { job, confirmed });
const forget = (node: string, job: string, confirmed = true) =>
  lab.ask(node, 'jobs.forget', { job, confirmed });
const listed = async (node: string, id: string): Promise<Job[]> =>
  (await lab.ask(node, 'jobs.list', { ended: false })).jobs.filter((job) => job.id === id);

const stands = (node: string, point: FaultPoint) =>
  lab.comesTo(async () => (lab.stands(node, point) ? null : `nothing comes by ${point}`));

/** A move that comes to this point, where the agent that stands there is killed for good. */
async function cutAt(
  job: Alone,
  { home, to }: { home: string; to: string },
  node: string,
  point: FaultPoint,
) {
  lab.arm(node, point);
  const moved = lab.ask(home, 'jobs.migrate', { job: job.id, node: to, transfer: 'stop' });
  moved.catch(() => {});
  await stands(node, point);
  await lab.kill(node);
}

describe('the home of a job is gone', () => {
  test('the host of one that needs nothing of it becomes its home, and the old home hears of it', async () => {
    const job = await Alone.run('node1', 'node2', 'aloud');
    expect((await failure(adopt('node2', job.id))).code).toBe('home-answers');
    await gone('node1', 'node2');
    // Whoever is asked tells of it, and how long its home has been away.
    await comesToBe('node3', 'node1', 'down');
    for (const node of ['node2', 'node3']) {
      const [seen] = (await listed(node, job.id)).filter(({ asOf }) => asOf === undefined);
      expect(seen).toMatchObject({ home: 'node1', node: 'node2', state: 'running', name: 'alone' });
      expect(seen!.homeSilentMs).toBeGreaterThan(9_000);
    }
    const risk = await failure(adopt('node2', job.id, false));
    expect(risk.code).toBe('not-confirmed');
    expect(risk.message).toMatch(/node1, the home of job .* has not answered for .* loses the job to node2/);
    expect((await failure(adopt('node3', job.id))).code).toBe('not-here');
    expect(await adopt('node2', job.id)).toEqual({ id: job.id, node: 'node2' });
    expect(await listed('node3', job.id)).toMatchObject([{ home: 'node2', node: 'node2', epoch: 1 }]);
    await job.goesOn();
    // It can't go where its files are not.
    const why = await lab.ask('node2', 'jobs.why', { job: job.id, node: 'node3' });
    expect(why.obstacles.map(({ code }) => code)).toContain('home-unreachable');
    await lab.restart('node1');
    await lab.comesTo(async () => {
      const events = await job.history('node2');
      return events.some(({ reason }) => reason?.includes('node1, its home before')) ? null : 'not told yet';
    });
    expect(await listed('node1', job.id)).toMatchObject([{ home: 'node2' }]);
    expect((await job.history('node1')).at(-1)).toMatchObject({ event: 'adopted', node: 'node2' });
    await job.isOnlyOn('node2');
    await job.goesOn();
    await job.ends('node1');
    job.isWhole();
    await lab.leavesNothing();
  }, 240_000);

  test('one that needs its files is refused by name; cleared away, its home hears of it', async () => {
    const job = await lab.run('node1', 'node2');
    await gone('node1', 'node2');
    const refused = await failure(adopt('node2', job.id));
    expect(refused.code).toBe('needs-home-files');
    expect(refused.message).toContain(lab.program);
    expect((await failure(forget('node2', job.id, false))).code).toBe('not-confirmed');
    expect(await forget('node2', job.id)).toEqual({ id: job.id, node: 'node2' });
    expect(await lab.copies()).toEqual([]);
    expect(await listed('node2', job.id)).toEqual([]);
    await lab.restart('node1');
    await lab.comesTo(async () => ((await job.seen()).state === 'lost' ? null : 'not told yet'));
    const { events } = await lab.ask('node1', 'jobs.history', { job: job.id });
    expect(events.at(-1)).toMatchObject({ event: 'lost', reason: expect.stringContaining('a person') });
    await lab.leavesNothing();
  }, 240_000);
});
