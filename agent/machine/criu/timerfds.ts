/**
 * Two things that CRIU (4.2) gets wrong about timerfds, put right in its image:
 *
 * A periodic one that was due when it was saved: the kernel reports that it has nothing left to wait (proc_pid_fdinfo(5),
 * it_value 0), and CRIU arms it with that, which disarms it for good. Any whose period is shorter than a freeze is due.
 *
 * One that was set to a moment: CRIU saves what is left and adds the seconds of the clock, but not their fraction, so it
 * rings up to a second early. Set to a span it rings late by the freeze, as timers may.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messagesIn } from './image';
import { type Field, fieldsOf } from './protobuf';

const IMAGE = "CRIU's image of files";
const FILES = 'files.img';
/** criu/images/fdinfo.proto: file_entry.tfd; timerfd.proto: the seconds and nanoseconds left, and those of the period. */
const TIMERFD = 12;
const FLAGS = 6;
const LEFT = [7, 8] as const;
const PERIOD = [9, 10] as const;
/** timerfd_settime(2); together with TFD_TIMER_CANCEL_ON_SET it must stay. */
const TFD_TIMER_ABSTIME = 1;

/** Changes `image` itself; returns how many timers it has changed. */
export function mendTimers(image: Buffer): number {
  let mended = 0;
  for (const entry of messagesIn(image, IMAGE)) {
    const timer = fieldsOf(entry, IMAGE).find(({ number }) => number === TIMERFD)?.value;
    if (Buffer.isBuffer(timer) && mend(fieldsOf(timer, IMAGE))) mended += 1;
  }
  return mended;
}

function mend(fields: Field[]): boolean {
  const of = (wanted: number) => fields.find(({ number }) => number === wanted);
  const isZero = (numbers: readonly number[]) => numbers.every((number) => !of(number)?.value);
  const isDue = isZero(LEFT) && !isZero(PERIOD);
  const isMoment = of(FLAGS)?.value === TFD_TIMER_ABSTIME;
  // A number below 128 takes one byte, whichever it is. One nanosecond: the tick that it owes.
  if (isDue) put(of(LEFT[1]), 1);
  if (isMoment) put(of(FLAGS), 0);
  return isDue || isMoment;
}

function put(field: Field | undefined, value: number): void {
  if (field) field.bytes[0] = value;
}

/** In a folder of images, before it is restored. */
export async function mendTimersIn(images: string): Promise<void> {
  const path = join(images, FILES);
  const image = await readFile(path);
  if (mendTimers(image) > 0) await writeFile(path, image);
}
