/** Jobs that take more and more memory, on nodes that have less of it than they want together. */
import { beforeAll, expect, it } from 'vitest';
import { compile } from '../support/c-programs';
import type { Waited } from '../support/godwit';
import { LabOfJobs } from '../support/lab-of-jobs';
import { inProject } from '../support/project';

const LIMIT_MS = 600_000;
const MIB = 1024 * 1024;
/** Of each job in the end. */
const MEBIBYTES = 110;

const lab = new LabOfJobs('memory', { memory: ['300M', '600M', '60M'] });
const say = (...words: string[]) => lab.godwit.text(words, LIMIT_MS);
let program: string;

beforeAll(async () => {
  program = await compile(inProject('test', 'programs', 'grow.c'), lab.folder);
});

/** It takes that much over so many seconds, and holds it for so many. */
const grow = (mebibytes: number, seconds: number, held: number) =>
  lab.launched([program, `${mebibytes}`, `${seconds}`, `${held}`], { on: 'home' });

/** Four, which want 440 MiB together, to their ends. */
async function four(seconds: number): Promise<{ job: string; end: Waited }[]> {
  const jobs = await Promise.all([1, 2, 3, 4].map(() => grow(MEBIBYTES, seconds, 4)));
  return Promise.all(jobs.map(async (job) => ({ job, end: await lab.godwit.wait(job, LIMIT_MS) })));
}

it('a node has what its jobs may use together', { timeout: LIMIT_MS }, async () => {
  // Each is known once it has been heard.
  await expect
    .poll(async () => (await lab.godwit.nodes()).map(({ memTotal }) => memTotal / MIB), { timeout: LIMIT_MS })
    .toEqual([300, 600, 60]);
  const job = await grow(100, 1, 1_000);
  await expect
    .poll(async () => (await lab.godwit.nodes())[0]!.memFree, { timeout: LIMIT_MS })
    .toBeLessThan(210 * MIB);
  // It is refused where it would be ended.
  const { can, obstacles } = await lab.godwit.why(job, 'node3');
  expect(can).toBe(false);
  expect(obstacles.map(({ code }) => code)).toEqual(['no-memory']);
});

it('without balance the kernel ends what does not fit, and whose limit it was is said', {
  timeout: LIMIT_MS,
}, async () => {
  const ended = (await four(4)).map(({ end }) => end).filter(({ exit }) => exit !== 0);
  expect(ended.length).toBeGreaterThan(0);
  for (const { signal, reason } of ended) {
    expect(signal).toBe('SIGKILL');
    expect(reason).toMatch(/^ended by the 31\d MB that this node's jobs may use together$/);
  }
});

it('with balance jobs leave before, and none is ended', { timeout: LIMIT_MS }, async () => {
  await say('balance', 'on');
  const all = await four(40);
  expect(all.map(({ end }) => end.exit)).toEqual([0, 0, 0, 0]);
  const moves = (await lab.godwit.jobs()).filter(({ id }) => all.some(({ job }) => job === id));
  expect(moves.reduce((sum, { migrations }) => sum + migrations, 0)).toBeGreaterThan(0);
  for (const { job } of all) expect(await lab.godwit.logs(job)).toBe('ready\nwhole\n');
});
