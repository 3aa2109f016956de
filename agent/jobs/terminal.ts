/**
 * Typing into a job's terminal: frames into the pipe that its PID 1 holds, see helper/terminal.c. Nothing stays open:
 * a frame is written, and PID 1 says by the position of a descriptor which one it took last. One whose fate is not
 * known is sent again, here or where the job is then: PID 1 takes each byte of a client once.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import type { Typed } from '../api/client-contract';
import { GodwitError, isNodeError, jobMoving } from '../api/errors';

/** PID 1's descriptors, see helper/helper.h and terminal.c. */
const STATUS = 4;
const FEED = 8;
const HEAD_BYTES = 32;
/** A file's position may be any that the kernel's types of files take: 40 bits are safe. */
const ID_BYTES = 5;
/** PID 1 takes a frame in well under a millisecond, unless its program does not read. */
const FIRST_PAUSE_MS = 1;
const MOST_PAUSE_MS = 50;

export interface Typing extends z.output<typeof Typed> {
  /** PID 1, as this node numbers it. */
  init: number;
  /** False once the copy is on its way, or has ended. */
  here: () => boolean;
  signal: AbortSignal;
}

/** Resolves when the terminal has all of it. @throws `job-moving`, `cancelled` */
export async function type(typing: Typing): Promise<void> {
  const id = randomBytes(ID_BYTES).readUIntBE(0, ID_BYTES);
  const frame = frameOf(id, typing);
  await until(typing, () => feed(typing.init, frame));
  await until(typing, async () => (await lastTaken(typing.init)) === id);
}

async function until({ here, signal }: Typing, isSo: () => Promise<boolean>): Promise<void> {
  for (let pause = FIRST_PAUSE_MS; !(await isSo()); pause = Math.min(2 * pause, MOST_PAUSE_MS)) {
    if (!here()) throw jobMoving('that is typed into');
    if (signal.aborted) throw new GodwitError({ code: 'cancelled', message: 'nobody types any more' });
    await sleep(pause);
  }
}

function frameOf(id: number, { client, at, bytes, rows = 0, columns = 0, redraw }: Typing): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeBigUInt64LE(BigInt(id), 0);
  head.writeBigUInt64LE(BigInt(`0x${client}`), 8);
  head.writeBigUInt64LE(BigInt(at), 16);
  const data = Buffer.from(bytes, 'base64');
  for (const [index, value] of [data.length, rows, columns, redraw ? 1 : 0].entries())
    head.writeUInt16LE(value, 24 + 2 * index);
  return Buffer.concat([head, data]);
}

/** False when the pipe is full. The kernel takes the frame whole or not at all (PIPE_BUF, pipe(7)). */
async function feed(init: number, frame: Buffer): Promise<boolean> {
  try {
    const pipe = await open(`/proc/${init}/fd/${FEED}`, constants.O_WRONLY | constants.O_NONBLOCK);
    try {
      await pipe.write(frame);
      return true;
    } finally {
      await pipe.close();
    }
  } catch (error) {
    if (isNodeError(error) && error.code === 'EAGAIN') return false;
    if (isNodeError(error) && ['ENOENT', 'ESRCH', 'EPIPE', 'ENXIO'].includes(error.code ?? ''))
      throw jobMoving('that is typed into');
    throw error;
  }
}

/** Null when the process has gone. */
async function lastTaken(init: number): Promise<number | null> {
  const info = await readFile(`/proc/${init}/fdinfo/${STATUS}`, 'utf8').catch(() => null);
  return info === null ? null : Number(/^pos:\s*(\d+)/m.exec(info)?.[1]);
}
