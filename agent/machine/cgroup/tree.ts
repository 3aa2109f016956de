/** Removing a cgroup with all that others have made in it. */
import { readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isNodeError } from '../../api/errors';

/** rmdir(2) answers EBUSY for a moment after the last process has gone; on a busy machine for longer. */
const REMOVE_TRIES = 500;
const REMOVE_PAUSE_MS = 20;

/**
 * Removes a cgroup and those below it, the deepest first; one that isn't there is no error. What is ours in it has ended
 * before: processes of others that are in it are put into the cgroup `others`, where there is one (of version 1, where
 * nothing prevents that), and live on.
 */
export async function removeTree(folder: string, others: string | null = null): Promise<void> {
  for (let left = REMOVE_TRIES; ; left--) {
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    for (const entry of entries) if (entry.isDirectory()) await removeTree(join(folder, entry.name), others);
    try {
      return await rmdir(folder);
    } catch (error) {
      if (isGone(error)) return;
      if (left === 0 || !isNodeError(error) || error.code !== 'EBUSY') throw error;
      if (others) await moveProcesses(folder, others);
      await sleep(REMOVE_PAUSE_MS);
    }
  }
}

async function moveProcesses(from: string, to: string): Promise<void> {
  const pids = await readFile(join(from, 'cgroup.procs'), 'utf8').catch(() => '');
  // One that has ended meanwhile is in neither.
  for (const pid of pids.split('\n').filter(Boolean))
    await writeFile(join(to, 'cgroup.procs'), pid).catch(() => {});
}

/** No such folder; ENODEV is a cgroup removed while its file was open. */
const isGone = (error: unknown) => isNodeError(error) && (error.code === 'ENOENT' || error.code === 'ENODEV');
