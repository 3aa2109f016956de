/** The files and folders that a job has open, and who has locked them. */
import { readFile } from 'node:fs/promises';
import type { Held, Looked } from '../../machine/criu/look';

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
  by: Pick<Held, 'pid' | 'fd'>[];
}

/** Each path once, in the order in which they are found. */
export function openFilesOf({ held }: Pick<Looked, 'held'>): OpenFile[] {
  const files = new Map<string, OpenFile>();
  for (const { fd, pid, mode, name } of held) {
    const type = mode & S_IFMT;
    if (fd === 'map' || (type !== S_IFREG && type !== S_IFDIR) || NO_FILE.test(name)) continue;
    const file = files.get(name) ?? { path: name, by: [] };
    files.set(name, file);
    file.by.push({ pid, fd });
  }
  return [...files.values()];
}

/** The process that holds a lock (flock, fcntl) on the file, as this node numbers it. */
export async function lockedBy({ by }: OpenFile): Promise<number | null> {
  for (const { pid, fd } of by) {
    const info = await readFile(`/proc/${pid}/fdinfo/${fd}`, 'utf8').catch(() => '');
    if (/^lock:/m.test(info)) return pid;
  }
  return null;
}
