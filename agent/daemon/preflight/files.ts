/**
 * The files and folders that a job has open: how they would be reached from another node, and who has locked those that
 * can't be.
 */
import { readFile } from 'node:fs/promises';
import { fitting } from '../../api/lists';
import { MOST_FILES_SHOWN, type Obstacle, type Preflight, type ReachedFile } from '../../api/model';
import { MOST_FILES_TOLD } from '../../api/peer-contract';
import type { Looked, OpenDescriptor } from '../../machine/criu/look';
import { isIn } from '../../machine/homefs/shared';
import { statusField } from '../../machine/proc/parse';
import type { NameOf } from './naming';
import { obstacle } from './obstacles';

/** inode(7) */
const S_IFMT = 0o170000;
const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;
/** The kernel's own, and files that have no place (memfd_create(2), SysV shared memory). */
const NO_FILE = /^(?!\/)|^\/(dev|proc|sys)\/|^\/(memfd:|SYSV)/;

export interface OpenFile {
  /** As the job calls it. */
  path: string;
  /** Descriptors of it. */
  by: Pick<OpenDescriptor, 'pid' | 'fd'>[];
}

/** Each path once, in the order in which they are found. */
export function openFilesOf({ descriptors }: Pick<Looked, 'descriptors'>): OpenFile[] {
  const files = new Map<string, OpenFile>();
  for (const { fd, pid, mode, name } of descriptors) {
    const type = mode & S_IFMT;
    if (fd === 'map' || (type !== S_IFREG && type !== S_IFDIR) || NO_FILE.test(name)) continue;
    const file = files.get(name) ?? { path: name, by: [] };
    files.set(name, file);
    file.by.push({ pid, fd });
  }
  return [...files.values()];
}

/** The process that holds a lock (flock, fcntl) on the file, as this node numbers it. */
async function lockedBy({ by }: OpenFile): Promise<number | null> {
  for (const { pid, fd } of by) {
    const info = await readFile(`/proc/${pid}/fdinfo/${fd}`, 'utf8').catch(() => '');
    if (statusField(info, 'lock') !== undefined) return pid;
  }
  return null;
}

/** A file as its host tells of it. */
interface FileHere {
  path: string;
  lock: string | null;
}

/** At the source. Only where files are another node's too, a lock is known outside of the kernel that has the job. */
export async function filesHere(
  { files, nameOf }: { files: OpenFile[]; nameOf: NameOf },
  { mounts, direct }: { mounts: string[]; direct: string[] },
): Promise<FileHere[]> {
  const all = await Promise.all(
    files.map(async (file) => {
      const holder = isIn(file.path, mounts, direct) ? await lockedBy(file) : null;
      return { path: file.path, lock: holder === null ? null : nameOf(holder) };
    }),
  );
  // Of too many to be reported, the locked ones are.
  const first = all.sort((a, b) => Number(b.lock !== null) - Number(a.lock !== null));
  return fitting(first.slice(0, MOST_FILES_TOLD));
}

/** Where a move would lead, and what of its mounts the job would find there. */
export interface There {
  node: string;
  home: string;
  mounts: string[];
  direct: string[];
}

/** At the home. */
export function filesThere(
  files: FileHere[],
  { node, home, mounts, direct }: There,
): Pick<Preflight, 'files' | 'moreFiles'> & { obstacles: Obstacle[] } {
  const shared = ({ path }: FileHere) => isIn(path, mounts, direct);
  const via = (file: FileHere): ReachedFile['via'] =>
    node === home ? 'local' : shared(file) ? 'shared' : 'home';
  return {
    files: files.slice(0, MOST_FILES_SHOWN).map((file) => ({ path: file.path, via: via(file) })),
    moreFiles: Math.max(0, files.length - MOST_FILES_SHOWN),
    obstacles: files.flatMap((file) => {
      if (file.lock === null || !shared(file)) return [];
      return [obstacle('file-lock', { process: file.lock, file: file.path, node })];
    }),
  };
}
