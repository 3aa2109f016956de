/** How the files that a job has open would be reached from another node, and which of them can't be. */
import { fitting } from '../../api/lists';
import { MOST_FILES_SHOWN, type Obstacle, type Preflight, type ReachedFile } from '../../api/model';
import { MOST_FILES_TOLD } from '../../api/peer-contract';
import { isIn } from '../../machine/homefs/shared';
import type { Copy } from '../jobs/copy';
import { lockedBy } from '../preflight/locks';
import type { Findings } from '../preflight/preflight';

/** A file as its host tells of it. */
interface FileHere {
  path: string;
  lock: string | null;
}

/** At the source. Only where files are another node's too, a lock is known outside of the kernel that has the job. */
export async function filesHere({ files, who }: Findings, { mounts, direct }: Copy): Promise<FileHere[]> {
  const all = await Promise.all(
    files.map(async (file) => {
      const holder = isIn(file.path, mounts, direct) ? await lockedBy(file) : null;
      return { path: file.path, lock: holder === null ? null : who(holder) };
    }),
  );
  // Of too many to be told of, the locked ones are.
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
      return [
        {
          code: 'file-lock',
          what: `${file.lock} has locked ${file.path}, which ${node} shares: the lock would be held on both nodes at once`,
          fix: 'try again when it has given the lock back',
        },
      ];
    }),
  };
}
