/**
 * Timers whose signals are for a process's first thread (SIGEV_THREAD_ID, timer_create(2)). CRIU (4.2) comes upon them
 * before it has given that thread its number, and gives the dump up. So it is made to take them for timers of the
 * process (thread-timers.c), and its image is put right afterwards.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { JobProcess } from '../proc/processes';
import { changed, cutShort, fieldsOf, messageOf } from './protobuf';

const IMAGE = "CRIU's image of a process";
/** Two magic numbers, and the size of the one message. */
const HEAD_BYTES = 12;
/** criu/images/core.proto: core_entry.tc.timers; timer.proto: posix_timer_entry. */
const TASK = 3;
const TIMERS = 7;
const POSIX = 4;
const ID = 1;
const NOTIFY = 4;
const THREAD = 11;
/** sigevent(3type) */
const SIGEV_THREAD_ID = 4;

/** The image of the process `pid`, by the job's number, in which the timers with these ids are for its first thread. */
export function mendThreads(image: Buffer, pid: number, ids: Set<number>): Buffer {
  const size = image.length < HEAD_BYTES ? Number.NaN : image.readUInt32LE(HEAD_BYTES - 4);
  const core = image.subarray(HEAD_BYTES);
  if (core.length !== size) throw cutShort(IMAGE);
  const mend = (timer: Buffer) => (ids.has(numberIn(timer, ID)) ? toThread(timer, pid) : timer);
  const inTimers = (timers: Buffer) => changed(timers, POSIX, mend, IMAGE);
  const inTask = (task: Buffer) => changed(task, TIMERS, inTimers, IMAGE);
  const mended = changed(core, TASK, inTask, IMAGE);
  const head = Buffer.from(image.subarray(0, HEAD_BYTES));
  head.writeUInt32LE(mended.length, HEAD_BYTES - 4);
  return Buffer.concat([head, mended]);
}

const numberIn = (message: Buffer, wanted: number): number =>
  Number(fieldsOf(message, IMAGE).find(({ number }) => number === wanted)?.value);

function toThread(timer: Buffer, pid: number): Buffer {
  const copy = Buffer.from(timer);
  const notify = fieldsOf(copy, IMAGE).find(({ number }) => number === NOTIFY);
  // Below 128: one byte.
  if (notify) notify.bytes[0] = SIGEV_THREAD_ID;
  return Buffer.concat([copy, messageOf([[THREAD, pid]])]);
}

/** In /proc/PID/timers (proc_pid_timers(5)): those that signal the thread with the process's own number. */
export function timersOfFirst(text: string, pid: number): Set<number> {
  const timers = text.matchAll(/^ID: (\d+)\nsignal: .*\nnotify: \w+\/tid\.(\d+)$/gm);
  return new Set([...timers].filter(([, , tid]) => Number(tid) === pid).map(([, id]) => Number(id)));
}

/** The environment by which CRIU dumps a job with such timers. */
export const seeingFirstThreads = (): Record<string, string> => ({
  LD_PRELOAD: join(__dirname, 'godwit-thread-timers.so'),
});

/** In a folder of images, of processes that are still frozen. */
export async function mendThreadsIn(
  images: string,
  processes: Pick<JobProcess, 'pid' | 'inner'>[],
): Promise<void> {
  for (const { pid, inner } of processes) {
    const ids = timersOfFirst(await readFile(`/proc/${pid}/timers`, 'utf8'), pid);
    if (ids.size === 0) continue;
    const path = join(images, `core-${inner}.img`);
    await writeFile(path, mendThreads(await readFile(path), inner, ids));
  }
}
