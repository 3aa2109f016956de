/**
 * Jobs whose memory grows beyond what their node has, with and without moves: how many the kernel ends, which would have
 * had room elsewhere.
 */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compile } from '../../support/c-programs';
import { Godwit } from '../../support/godwit';
import { inProject } from '../../support/project';

const LAB = `bench-memory-${process.pid}`;
/** Of each node: three quarters of all would do. */
const MEMORY = ['300M', '300M', '300M'];
const JOBS = 6;
/** On any machine. */
const LONG_MS = 1_800_000;
/** Of each job, and the seconds in which it grows and in which it then holds it. */
const JOB = ['110', '60', '10'];

/** Prints a line for each way. */
export async function benchMemoryPressure(): Promise<Record<string, number>> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'godwit-bench-')));
  const program = await compile(inProject('test', 'programs', 'grow.c'), folder);
  const godwit = await Godwit.labUp(LAB, { nodes: MEMORY.length, memory: MEMORY, temp: folder });
  const flat: Record<string, number> = {};
  process.stdout.write(`${JOBS} jobs that grow to ${JOB[0]} MiB on a node of ${MEMORY[0]}\n`);
  try {
    for (const way of ['off', 'on']) {
      await godwit.text(['balance', way]);
      const jobs = await Promise.all(
        Array.from({ length: JOBS }, () => godwit.run([program, ...JOB], { on: 'home' })),
      );
      const ends = await Promise.all(jobs.map(({ id }) => godwit.wait(id, LONG_MS)));
      const ended = ends.filter(({ exit }) => exit !== 0).length;
      const after = await godwit.jobs();
      const moves = jobs.map(({ id }) => after.find((job) => job.id === id)?.migrations ?? 0);
      const sum = moves.reduce((one, other) => one + other, 0);
      process.stdout.write(`balance ${way}: ${ended} ended by the kernel; ${sum} moves\n`);
      flat[`memory, balance ${way}: ended by the kernel`] = ended;
      flat[`memory, balance ${way}: moves`] = sum;
    }
    return flat;
  } finally {
    await Godwit.labDown(LAB);
    rmSync(folder, { recursive: true, force: true });
  }
}
