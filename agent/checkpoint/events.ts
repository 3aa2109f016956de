/** Of inotify descriptors with events that wait, it goes along that events were lost: see helper/events.c. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { GodwitError } from '../api/errors';
import { notedDescriptors } from './noted';
import type { Frozen } from './queues';

const FILE = 'events';
/** A queue is filled in some hundredths of a second. */
const DEADLINE_MS = 60_000;
const INOTIFY = 'anon_inode: inotify';

async function ask({ helper, run }: Frozen, verb: string, which: string[]): Promise<string> {
  const limits = { timeout: DEADLINE_MS, killSignal: 'SIGKILL' } as const;
  const asked = promisify(execFile)(helper, [verb, '--cgroup', run, '--', ...which], limits);
  const { stdout } = await asked.catch((error: Error & { stdout?: string }) => {
    const why = error.stdout?.trim() || error.message;
    throw new GodwitError({
      code: 'events-failed',
      message: `the job's file events can't be carried: ${why}`,
    });
  });
  return stdout;
}

/** It has been noted what the frozen job holds; one without inotify costs no more. */
export async function noteEvents(frozen: Frozen): Promise<void> {
  const descriptors = await notedDescriptors(frozen.images);
  const watching = descriptors.filter(
    ({ token, name }) => token === INOTIFY || name === 'anon_inode:inotify',
  );
  if (watching.length === 0) return;
  const processes = await frozen.processes();
  const pids = new Map(processes.map(({ inner, pid }) => [inner, pid]));
  const inners = new Map(processes.map(({ inner, pid }) => [`${pid}`, inner]));
  const said = await ask(
    frozen,
    'events',
    watching.map(({ inner, fd }) => `${pids.get(inner)}:${fd}`),
  );
  const lines = said.split('\n').filter(Boolean);
  const which = lines.map((line) => line.split('\t')).map(([pid, fd]) => `${inners.get(pid!)}:${fd}`);
  if (which.length > 0) await writeFile(join(frozen.images, FILE), which.join('\n'));
}

/** In a restored job that is held. @throws GodwitError `events-failed` */
export async function tellOfLostEvents(frozen: Frozen): Promise<void> {
  const noted = await readFile(join(frozen.images, FILE), 'utf8').catch(() => '');
  const which = noted.split('\n').filter((line) => /^\d+:\d+$/.test(line));
  if (which.length === 0) return;
  const pids = new Map((await frozen.processes()).map(({ inner, pid }) => [`${inner}`, pid]));
  await ask(
    frozen,
    'overflow',
    which.map((one) => one.split(':')).map(([inner, fd]) => `${pids.get(inner!)}:${fd}`),
  );
}
