/**
 * Which of the home's mounts are in a job's root. The layout is the same on every node, whatever is mounted there
 * itself, for CRIU restores mounts one by one.
 */
import { readFile } from 'node:fs/promises';
import { chosenMounts } from '../proc/chosen-mounts';
import { type Mount, parseMounts } from '../proc/parse';
import { type OwnerIds, userOptions } from '../proc/user-options';

/** The kernel's own trees are made afresh in a job. */
const OWN = ['/proc', '/sys', '/dev'];
/** What has no files, and the files of other homes: each job has its own home's. */
const NOT_OURS = ['autofs', 'nsfs', 'fuse.godwit'];
/** CRIU ends a mount's name at the first of it (man 8 criu, --external mnt[KEY]:VAL). */
const NOT_NAMED = /\]/;

/** A FUSE mount that is closed to all but the user who made it (fuse(8), allow_other): CRIU, which is root, can't look in. */
const isPrivate = ({ type, options }: Mount) => /^fuse(\.|$)/.test(type) && !options.includes('allow_other');

/**
 * Is there another mount over the folders that lead to it? One that is made within that other has it as its parent; with
 * the same parent it is below.
 */
function coveredAmong(mounts: Mount[]): (mount: Mount) => boolean {
  const byId = new Map(mounts.map((mount) => [mount.id, mount]));
  const byParent = new Map<string, Mount[]>();
  for (const mount of mounts) {
    const beside = byParent.get(mount.parent);
    if (beside) beside.push(mount);
    else byParent.set(mount.parent, [mount]);
  }
  const isCovered = ({ id, at, parent }: Mount): boolean => {
    const beside = byParent.get(parent) ?? [];
    if (beside.some((other) => at.startsWith(`${other.at}/`))) return true;
    // The root of a namespace may be its own parent.
    const around = parent === id ? undefined : byId.get(parent);
    return around !== undefined && isCovered(around);
  };
  return isCovered;
}

/**
 * Is it made on a folder of a mount that no job has? That folder is not there for the job, and CRIU fails on a mount
 * without its place. A mount over the whole of such a mount (what autofs has mounted on its trigger) has its place in the
 * mount below.
 */
function placelessAmong(mounts: Mount[], isLeftOut: (mount: Mount) => boolean): (mount: Mount) => boolean {
  const byId = new Map(mounts.map((mount) => [mount.id, mount]));
  const isPlaceless = ({ id, at, parent }: Mount): boolean => {
    const below = parent === id ? undefined : byId.get(parent);
    if (below === undefined) return false;
    return (isLeftOut(below) && below.at !== at) || isPlaceless(below);
  };
  return isPlaceless;
}

/** The mount points that jobs launched here see besides `/`, parents before children; none below `without`. */
export function jobMounts(mountinfo: string, without: string): string[] {
  const mounts = parseMounts(mountinfo);
  const root = mounts.find(({ at }) => at === '/');
  // The last is the root of a job that is being restored.
  const isLeftOut = (mount: Mount) =>
    isPrivate(mount) ||
    NOT_OURS.includes(mount.type) ||
    (mount.at !== '/' && mount.device === root?.device && mount.root === root.root);
  const isCovered = coveredAmong(mounts);
  const isPlaceless = placelessAmong(mounts, isLeftOut);
  const wanted = mounts.filter(
    (mount) =>
      mount.at !== '/' &&
      !isLeftOut(mount) &&
      !isCovered(mount) &&
      !isPlaceless(mount) &&
      !OWN.some((tree) => `${mount.at}/`.startsWith(`${tree}/`)) &&
      // The folder itself has the program that is the job's PID 1.
      !mount.at.startsWith(`${without}/`) &&
      !NOT_NAMED.test(mount.at) &&
      // It is there without a mount.
      !(mount.device === root?.device && mount.root === mount.at),
  );
  return [...new Set(wanted.map(({ at }) => at))].sort();
}

export interface MountsWanted {
  helper: string;
  /** Of a job. Root comes everywhere. */
  user: OwnerIds;
  without: string;
}

/**
 * The same of this node as it is now, without those to which the job's user can't come: a container's, in a folder that
 * is root's. The home's file server, which other nodes ask for a mount's place, is that user.
 * @throws GodwitError `mounts-failed`
 */
export async function jobMountsHere({ helper, user, without }: MountsWanted): Promise<string[]> {
  const mounts = jobMounts(await readFile('/proc/self/mountinfo', 'utf8'), without);
  if (user.uid === 0) return mounts;
  return chosenMounts(helper, ['reachable', ...userOptions(user), '--'], mounts, "the home's");
}
