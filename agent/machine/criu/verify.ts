import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { GodwitError } from '../../api/errors';
import type { JobCgroup } from '../cgroup/cgroup';
import { type JobProcess, jobProcesses } from '../proc/processes';
import { readDumpStats } from './stats';

const PAGE_BYTES = 4096;
const PAGES = /^pages-\d+\.img$/;

/**
 * Are all pages here that the dump has written? Of fewer, CRIU's restore tries to read the rest without end.
 * @throws GodwitError `incomplete-checkpoint`
 */
export async function verifyPages(images: string): Promise<void> {
  const { pagesWritten } = await readDumpStats(images);
  const files = (await readdir(images)).filter((name) => PAGES.test(name));
  const sizes = await Promise.all(files.map(async (name) => (await stat(join(images, name))).size));
  const here = sizes.reduce((sum, size) => sum + size, 0);
  const written = pagesWritten * PAGE_BYTES;
  if (here < written)
    throw new GodwitError({
      code: 'incomplete-checkpoint',
      message: `the checkpoint did not arrive whole: ${here} bytes of its memory are here, ${written} were sent`,
    });
}

/**
 * Is what was restored the whole job, and frozen? Returns its processes. Throws `restore-incomplete` or `restore-not-frozen`.
 * @param init the restored PID 1, as this node numbers it
 * @param expected the job's own numbers of its processes when it was dumped
 */
export async function verifyRestored(
  cgroup: JobCgroup,
  init: number,
  expected: number[],
): Promise<JobProcess[]> {
  const processes = await jobProcesses(cgroup);
  const there = new Set(processes.map((process) => process.inner));
  const missing = expected.filter((inner) => !there.has(inner));
  if (missing.length > 0) throw incomplete(`process ${missing.join(', ')} is missing`);
  if (there.size > expected.length) {
    throw incomplete(`process ${[...there].filter((inner) => !expected.includes(inner)).join(', ')} is new`);
  }
  if (!processes.some((process) => process.pid === init && process.inner === 1)) {
    throw incomplete('its PID 1 is not where CRIU says');
  }
  if (!(await cgroup.isFrozen())) throw notFrozen();
  return processes;
}

const incomplete = (why: string) =>
  new GodwitError({ code: 'restore-incomplete', message: `not all of the job was restored: ${why}` });

const notFrozen = () =>
  new GodwitError({
    code: 'restore-not-frozen',
    message: 'the restored job is not frozen, so it can not be taken over',
  });
