/** Of inotify descriptors with events that wait, it goes along that events were lost: see helper/events.c. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GodwitError } from '../../api/errors';
import { askOf, type Descriptor, type Frozen } from './frozen';
import type { NotedDescriptor } from './noted';

const FILE = 'events';
/** A queue is filled in some hundredths of a second. */
const DEADLINE_MS = 60_000;
const INOTIFY = 'anon_inode: inotify';

const ask = (frozen: Frozen, verb: string, which: Descriptor[]) =>
  askOf(frozen, verb, which, DEADLINE_MS).catch(({ message }: Error) => {
    throw new GodwitError({
      code: 'events-failed',
      message: `the job's file events can't be carried: ${message}`,
    });
  });

/** `noted`: what the frozen job holds; one without inotify costs no more. */
export async function noteEvents(frozen: Frozen, noted: NotedDescriptor[]): Promise<void> {
  const watching = noted.filter(({ token, name }) => token === INOTIFY || name === 'anon_inode:inotify');
  if (watching.length === 0) return;
  const which = (await ask(frozen, 'events', watching)).map(({ inner, fd }) => `${inner}:${fd}`);
  if (which.length > 0) await writeFile(join(frozen.images, FILE), which.join('\n'));
}

/** In a restored, frozen job. @throws GodwitError `events-failed` */
export async function tellOfLostEvents(frozen: Frozen): Promise<void> {
  const noted = await readFile(join(frozen.images, FILE), 'utf8').catch(() => '');
  const which = [...noted.matchAll(/^(\d+):(\d+)$/gm)];
  if (which.length === 0) return;
  await ask(
    frozen,
    'overflow',
    which.map(([, inner, fd]) => ({ inner: Number(inner), fd: Number(fd) })),
  );
}
