/** What is on a node that starts and belongs to no copy that it has written down: cleared away, unless it lives. */
import { readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { JobCgroup } from '../freezer/cgroup';
import { nodeCgroup } from '../freezer/hierarchy';
import { processesNaming } from '../freezer/processes';
import { Copy } from '../jobs/copy';
import type { NodeNote } from '../journal/journal';
import type { Place } from './place';

/** As copies and their images are named: `JOB.EPOCH`. */
const COPY = /^[a-z0-9]+\.\d+$/;

type Sweeping = Pick<Place, 'layout' | 'cgroup' | 'log'>;

/** Precondition: nothing new has begun here yet. */
export async function sweep(place: Sweeping, notes: NodeNote[]): Promise<void> {
  const copies = new Set(notes.map(({ detail }) => basename(Copy.parse(detail.copy).cgroup)));
  const images = new Set(notes.map(({ job, note }) => `${job}.${note.epoch}`));
  await sweepImages(place, images);
  await sweepCgroups(place, copies);
}

async function sweepImages({ layout, log }: Sweeping, known: Set<string>): Promise<void> {
  const folder = dirname(layout.images('x', 0));
  for (const name of await list(folder)) {
    if (!COPY.test(name) || known.has(name)) continue;
    const path = join(folder, name);
    if ((await processesNaming(path)).length > 0) {
      log(`${name}: its images are in use by a process of nobody's, and stay`);
      continue;
    }
    log(`${name}: images of no copy that is known here, removed`);
    await rm(path, { recursive: true, force: true });
  }
}

/** Processes that nobody has written down may be a job's only ones: no agent ends them by itself. */
async function sweepCgroups({ cgroup: node, log }: Sweeping, known: Set<string>): Promise<void> {
  const folder = await nodeCgroup(node);
  for (const name of await list(folder)) {
    if (!COPY.test(name) || known.has(name)) continue;
    const cgroup = JobCgroup.at(join(folder, name));
    const { length } = await cgroup.pids();
    if (length > 0) log(`${name}: ${length} processes of no copy that is known here, left to a person`);
    else {
      log(`${name}: a cgroup of no copy that is known here, removed`);
      await cgroup.remove();
    }
  }
}

async function list(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}
