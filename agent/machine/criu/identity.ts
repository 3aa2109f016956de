/**
 * Is what was restored what was dumped, and no more than its user may have? The source has noted at the freeze what the
 * job's processes hold (agent/native/helper/recognise.c); the destination looks again before anything of the copy runs. What
 * the source sends may be false, so a user's job is judged by itself as well (agent/native/helper/excess-rights.c).
 */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { GodwitError } from '../../api/errors';
import type { Terms } from '../../api/peer-contract';
import type { JobCgroup } from '../cgroup/cgroup';
import { execute } from '../execution';
import { userOptions } from '../proc/user-options';
import { AS_USER_MARK } from './criu';
import { NOTES } from './noted';

/** In the image folder: what the kernel keeps of the processes besides what they hold. */
const TRAITS = 'traits';
/** Each file is asked of its home; one that takes longer is silent. */
const DEADLINE_MS = 30_000;

interface Looked {
  helper: string;
  /** The job's processes as this node numbers them, in the order of the job's own numbers. */
  pids: number[];
  /** The image folder. */
  images: string;
  /** It is not at its home. */
  abroad: boolean;
}

async function ask(
  verb: string,
  { helper, pids, images, abroad }: Looked,
  options: string[] = [],
): Promise<string> {
  const notes = ['--notes', join(images, NOTES), '--traits', join(images, TRAITS)];
  const argv = [verb, ...notes, ...(abroad ? ['--abroad'] : []), ...options, '--', ...pids.map(String)];
  const limits = { timeout: DEADLINE_MS, killSignal: 'SIGKILL' } as const;
  const asked = execute(helper, argv, limits);
  const { stdout } = await asked.catch((error: Error & { killed?: boolean; stdout?: string }) => {
    throw error.killed ? silent() : notLookedAt(error.stdout?.trim() || error.message);
  });
  return stdout;
}

/** Of a frozen job, before its dump. @throws GodwitError `home-unreachable`, `not-looked-at` */
export async function noteReferences(looked: Looked): Promise<void> {
  await ask('note', looked);
}

export interface Restored extends Looked {
  terms: Terms;
  /** A folder that is what the job must have as `/`. */
  root: string;
  /** The places of the other mounts that it must have. */
  mounts: string[];
  /** Its network namespace; null where it is in its host's. */
  network: string | null;
  cgroup: JobCgroup;
}

/**
 * Of a restored, frozen job. What CRIU does not bring back is made again first (agent/native/helper/recreate.c).
 * @throws GodwitError `file-exchanged`, `beyond-its-rights`, `restored-as-root`, `not-as-it-was`, `lock-taken`
 */
export async function recogniseReferences(restored: Restored): Promise<void> {
  const { terms, root, mounts, network, images } = restored;
  const { uid } = terms.user;
  if (uid !== 0) await access(join(images, AS_USER_MARK)).catch(() => Promise.reject(notAsUser()));
  const whose = [
    ...[...userOptions(terms.user), '--root', root],
    ...mounts.flatMap((at) => ['--at', at]),
    ...(network === null ? [] : ['--network', network]),
  ];
  const cgroups = ['--run', restored.cgroup.run, '--attach', restored.cgroup.attach];
  const output = (await ask('recognise', restored, [...cgroups, ...(uid === 0 ? [] : whose)])).trimEnd();
  if (output) throw explained(output);
}

/** A line of the helper's, see recognise.c. */
function explained(line: string): GodwitError {
  const [what, process = '?', ...fields] = line.split('\t');
  if (what === 'power') return beyondRights(process, fields.join(' '));
  if (what === 'trait') return otherTrait(process, fields);
  const [slot = '', noted = '', found = ''] = fields;
  const where = `${nameOf(slot)} of process ${process}`;
  if (what === 'other')
    return exchanged(`${where} is not the file that it was: ${noted} was exchanged during the move`);
  return exchanged(
    what === 'new'
      ? `process ${process} was restored with ${nameOf(slot)}, ${found}, which it did not have`
      : `${where}, ${noted}, was not restored`,
  );
}

/** Process `0` is the job itself, thread `0` the process. */
function otherTrait(process: string, [thread, slot = '', noted, found, why = '-']: string[]): GodwitError {
  const [kind, fd, , type] = slot.split(' ');
  if (kind === 'lock' && noted === 'held' && why === TAKEN) return lockTaken(process, fd!, type!);
  const whose = process === '0' ? 'the job' : `process ${process}`;
  const exactly = thread === '0' || thread === process ? whose : `thread ${thread} of ${whose}`;
  return notAsItWas(`${slot} of ${exactly} was ${noted} and is ${found}${why === '-' ? '' : ` (${why})`}`);
}

function nameOf(slot: string): string {
  const [kind, value] = slot.split(' ');
  if (kind === 'fd') return `descriptor ${value}`;
  if (kind === 'map') return `the mapping at 0x${value}`;
  return { exe: 'the program', cwd: 'the working directory' }[slot] ?? 'the root directory';
}

const exchanged = (message: string) =>
  new GodwitError({
    code: 'file-exchanged',
    message,
    fix: 'do not replace files that the job uses while it moves',
  });

/** EAGAIN, as the C library has it. */
const TAKEN = 'Resource temporarily unavailable';

const lockTaken = (process: string, fd: string, type: string) =>
  new GodwitError({
    code: 'lock-taken',
    message: `process ${process} held a ${type.toLowerCase()} lock by its descriptor ${fd}, on a file that is locked by another there`,
    fix: 'move it when the other has let go of the file',
  });

const notAsItWas = (what: string) =>
  new GodwitError({ code: 'not-as-it-was', message: `not all was restored as it was: ${what}` });

const beyondRights = (process: string, what: string) =>
  new GodwitError({
    code: 'beyond-its-rights',
    message: `process ${process} was restored with what a job of its user can't have: ${what}`,
    fix: 'see whether the node that it came from is to be trusted',
  });

const notAsUser = () =>
  new GodwitError({
    code: 'restored-as-root',
    message: "CRIU did not take Godwit's library, so it opened the job's files as root and not as its user",
    fix: 'use a CRIU that is linked dynamically, as the one that `npm run setup` installs is',
  });

const notLookedAt = (why: string) =>
  new GodwitError({ code: 'not-looked-at', message: `what the job holds can't be looked at: ${why}` });

const silent = () =>
  new GodwitError({
    code: 'home-unreachable',
    message: `a file that the job has open did not answer within ${DEADLINE_MS} ms`,
    fix: "is the job's home up, and its disk in order?",
  });
