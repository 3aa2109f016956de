/** Programs that use the network, moved while they do. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Godwit } from '../support/godwit';
import { inProject } from '../support/project';

const LAB = `addr-${process.pid}`;
const ROUND = ['node2', 'node3', 'node1'] as const;
/** What a slow machine may need to see what is about to be so. */
const SOON_MS = 30_000;

const fixture = (name: string) => inProject('test', 'fixtures', 'network', name);

let godwit: Godwit;
const jobs: string[] = [];

beforeAll(async () => {
  godwit = await Godwit.labUp(LAB);
});
afterEach(async () => {
  for (const job of jobs.splice(0)) await godwit.kill(job, 'SIGKILL').catch(() => {});
});
afterAll(() => Godwit.labDown(LAB));

async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  for (const end = Date.now() + SOON_MS; !(await holds()); await sleep(30))
    if (Date.now() > end) throw new Error(`not so within ${SOON_MS} ms: ${what}`);
}

async function launch(argv: string[]): Promise<string> {
  const { id } = await godwit.run(argv);
  jobs.push(id);
  return id;
}

async function printsMore(job: string): Promise<void> {
  const before = (await godwit.logs(job)).length;
  await until('it prints more', async () => (await godwit.logs(job)).length > before);
}

describe("in its host's network", () => {
  it('a program that talks to itself over loopback moves in the middle of it', async () => {
    const job = await launch(['python3', fixture('loopback.py'), '5377']);
    await printsMore(job);
    for (const node of [...ROUND, ...ROUND]) {
      await godwit.migrate(job, node);
      await printsMore(job);
    }
    expect(await godwit.job(job)).toMatchObject({ state: 'running', node: 'node1' });
  });

  it('a port that is taken at the destination is named before anything is frozen', async () => {
    const taker = await godwit.run(['python3', fixture('loopback.py'), '5378'], { on: 'node2' });
    const job = await launch(['python3', fixture('loopback.py'), '5378']);
    jobs.push(taker.id);
    await Promise.all([taker.id, job].map(printsMore));
    const { obstacles } = await godwit.why(job, 'node2');
    expect(obstacles).toEqual([
      expect.objectContaining({ code: 'port-taken', what: expect.stringContaining('5378') }),
    ]);
    await expect(godwit.migrate(job, 'node2')).rejects.toThrow(/5378 at 127\.0\.0\.1.* is taken on node2/);
    await godwit.migrate(job, 'node3');
    await printsMore(job);
  });
});
