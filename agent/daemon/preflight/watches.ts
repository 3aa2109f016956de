/** Files that a job watches (inotify, fanotify), and what it was not told of them yet. */
import { GodwitError } from '../../api/errors';
import type { Obstacle } from '../../api/model';
import { askOf, type Frozen } from '../../machine/criu/frozen';
import type { Looked } from '../../machine/criu/look';
import type { NotedDescriptor } from '../../machine/criu/noted';
import type { Passing } from './lasting';
import type { NameOf } from './naming';
import { obstacle } from './obstacles';

const DEADLINE_MS = 10_000;
const FANOTIFY = 'anon_inode:[fanotify]';

/** CRIU would save how this kernel's file system finds the file, which means nothing anywhere else. */
export const watchObstacles = ({ nameless }: Looked, nameOf: NameOf): Obstacle[] =>
  nameless.map(({ pid, inode }) => obstacle('file-watch/nameless', { process: nameOf(pid), inode }));

export const unreadObstacles = ({ descriptors }: Looked, nameOf: NameOf): Passing[] =>
  descriptors
    .filter(({ name, kind }) => name === FANOTIFY && kind === 'unread')
    .map(({ pid, fd }) => ({
      name: `events ${pid} ${fd}`,
      obstacle: obstacle('file-watch/unread', { process: nameOf(pid) }),
    }));

/**
 * Events of inotify are told to be lost (machine/criu/events.ts); those of fanotify can't be in every queue. `noted`: what
 * the frozen job holds. @throws `file-watch`
 */
export async function refuseUnread(frozen: Frozen, noted: NotedDescriptor[]): Promise<void> {
  const queues = noted.filter(({ name }) => name === FANOTIFY);
  if (queues.length === 0) return;
  const [first] = await askOf(frozen, 'events', queues, DEADLINE_MS);
  if (!first) return;
  const { code, what, fix } = obstacle('file-watch/unread', { process: `process ${first.inner}` });
  throw new GodwitError({ code, message: what, fix });
}
