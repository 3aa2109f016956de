/**
 * Removing a path that others may have mounted over, or below, or whose mounts they have copied elsewhere. It is done in
 * a mount namespace of its own, in which all of that is unmounted first: the mounts of others stay on the machine, and
 * the kernel detaches a mount everywhere when the path that it is on is removed (mount_namespaces(7), "Restrictions on
 * mount namespaces").
 */
import { readFile } from 'node:fs/promises';
import { GodwitError } from '../../api/errors';
import { execute } from '../execution';
import { parseMounts } from '../proc/parse';

/** A lab's folder has some thousands of files; more than that takes a slow disk. */
const REMOVE_MS = 120_000;
/** Something may be mounted between the look at the mounts and the copy of them. */
const TRIES = 3;
const STILL_MOUNTED = 3;

/**
 * `HOW UNMOUNT… -- (PATH PATH-IN-MOUNTINFO)…`. No other process can mount anything in this namespace, so what is
 * unmounted stays unmounted until the end.
 */
const SCRIPT = `
how=$1; shift
while [ "$1" != -- ]; do umount --lazy --no-canonicalize "$1" 2>/dev/null; shift; done; shift
while [ $# -gt 0 ]; do
  left=$(AT=$2 awk '$5 == ENVIRON["AT"] || index($5, ENVIRON["AT"] "/") == 1 { print $5 }' /proc/self/mountinfo)
  [ -z "$left" ] || { printf '%s\\n' "$left" >&2; exit ${STILL_MOUNTED}; }
  case $how in
    tree) rm -rf -- "$1" || exit 1;;
    name) if [ -d "$1" ]; then rmdir -- "$1"; else rm -f -- "$1"; fi || exit 1;;
  esac
  shift 2
done`;

/** As a mountinfo file writes it: space, tab, newline and backslash as octal numbers. */
const encode = (path: string) =>
  path.replace(/[ \t\n\\]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`);

const isIn = (path: string, folder: string) =>
  folder === '/' || path === folder || path.startsWith(`${folder}/`);

/**
 * What must be unmounted before `path` itself can be reached, in that order: all that is mounted at or below it, and
 * what has been mounted over a folder above it since the first of these was.
 */
export function mountsOver(path: string, mountinfo: string): string[] {
  const mounts = parseMounts(mountinfo);
  const first = mounts.find(({ at }) => isIn(at, path));
  if (!first) return [];
  const byId = new Map(mounts.map((mount) => [mount.id, mount]));
  const beneath = new Set<string>();
  for (let at = byId.get(first.parent); at && !beneath.has(at.id); at = byId.get(at.parent))
    beneath.add(at.id);
  const covers = ({ id, at }: { id: string; at: string }) => isIn(path, at) && at !== '/' && !beneath.has(id);
  return mounts
    .filter((mount) => isIn(mount.at, path) || covers(mount))
    .map(({ at }) => at)
    .reverse();
}

/**
 * Removes each path, also with mounts over or below it; one that isn't there is no error. `tree`: with all that is in
 * it; `name`: a file, or an empty folder. Never through a mount: below it may lie the machine's own files.
 * @throws GodwitError `still-mounted`, `cannot-remove`
 */
export async function removeMounted(how: 'tree' | 'name', paths: string[]): Promise<void> {
  for (let left = TRIES; ; left--) {
    const mountinfo = await readFile('/proc/self/mountinfo', 'utf8');
    const over = paths.flatMap((path) => mountsOver(path, mountinfo));
    const named = paths.flatMap((path) => [path, encode(path)]);
    const script = ['sh', '-c', SCRIPT, 'sh', how, ...over, '--', ...named];
    const unshare = ['--mount', '--propagation', 'private', ...script];
    const failure = await execute('unshare', unshare, { timeout: REMOVE_MS }).then(
      () => null,
      (error: Error & { code?: unknown; stderr?: string }) => error,
    );
    if (!failure) return;
    const output = failure.stderr?.trim() || failure.message;
    if (failure.code !== STILL_MOUNTED) throw cannotRemove(paths, output);
    if (left === 0) throw stillMounted(output.split('\n'));
  }
}

const cannotRemove = (paths: string[], why: string) =>
  new GodwitError({
    code: 'cannot-remove',
    message: `${paths.join(', ')} can't be removed: ${why.split('\n').at(-1)}`,
    fix: 'remove what keeps it, then try again',
  });

const stillMounted = (paths: string[]) =>
  new GodwitError({
    code: 'still-mounted',
    message: `${paths.join(', ')} can't be unmounted`,
    fix: 'unmount it, then try again',
  });
