/** Leftovers on a node that starts: what belongs to no copy in its journal is removed, unless a process uses it. */
import { readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import { isGroup } from '../../machine/cgroup/group';
import { nodeCgroup } from '../../machine/cgroup/hierarchy';
import { processesNaming } from '../../machine/proc/processes';
import { Copy } from '../jobs/copy';
import type { NodeNote } from '../journal/journal';
import type { MoveContext } from './move-context';

/** As copies and their images are named: `JOB.EPOCH`. */
const COPY = /^[a-z0-9]+\.\d+$/;

type Sweeping = Pick<MoveContext, 'layout' | 'cgroup' | 'mounted' | 'log'>;

/** At the start of the agent, before anything new has begun here. */
export async function sweep(context: Sweeping, notes: NodeNote[]): Promise<void> {
  const { layout, mounted } = context;
  const known = new Set(notes.flatMap(namesOf));
  // What lives may need what bears its name.
  for (const name of await sweepCgroups(context, known)) known.add(name);
  await sweepFolder(context, layout.images, known, 'images', (path) => rm(path, { recursive: true }));
  await sweepFolder(context, layout.reports, known, 'a report', (path) => rm(path));
  await sweepFolder(context, layout.roots, known, 'a mount', async (path) => {
    const [job = '', epoch] = basename(path).split('.');
    await mounted.end({ job, epoch: Number(epoch) });
  });
}

/** All under which something of this note may be kept. */
function namesOf({ job, note, detail }: NodeNote): string[] {
  const copy = Copy.parse(detail.copy);
  return [basename(copy.cgroup), `${job}.${note.epoch}`, `${job}.${copy.files ?? copy.epoch}`];
}

async function sweepFolder(
  { log }: Sweeping,
  folder: string,
  known: Set<string>,
  what: string,
  remove: (path: string) => Promise<void>,
): Promise<void> {
  for (const name of await list(folder)) {
    if (!COPY.test(name) || known.has(name)) continue;
    const path = join(folder, name);
    if ((await processesNaming(path)).length > 0) {
      log.warn(`${what} of a copy that the journal does not have is in use, and stays`, { copy: name });
      continue;
    }
    log(`removed ${what} of a copy that the journal does not have`, { copy: name });
    await remove(path);
  }
}

/**
 * Returns the names of those with processes in them. A copy that the journal does not have may be a job's only one: no
 * agent ends it by itself.
 */
async function sweepCgroups({ cgroup: node, log }: Sweeping, known: Set<string>): Promise<string[]> {
  const living: string[] = [];
  for (const path of await copiesIn(await nodeCgroup(node))) {
    const name = basename(path);
    if (known.has(name)) continue;
    const cgroup = JobCgroup.at(path);
    const { length } = await cgroup.pids();
    if (length > 0) {
      living.push(name);
      log.warn(`${length} processes of a copy that the journal does not have run on: a person should look`, {
        copy: name,
      });
    } else {
      log('removed an empty cgroup of a copy that the journal does not have', { copy: name });
      await cgroup.remove();
    }
  }
  return living;
}

/** Also of those in an allocation. */
async function copiesIn(folder: string): Promise<string[]> {
  const names = await list(folder);
  const groups = names.filter(isGroup).map((name) => copiesIn(join(folder, name)));
  const own = names.filter((name) => COPY.test(name)).map((name) => join(folder, name));
  return [own, ...(await Promise.all(groups))].flat();
}

async function list(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}
