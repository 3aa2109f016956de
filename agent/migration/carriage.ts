/** Carries the small images and what goes with them from node to node: one tar stream. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { Duplex, Readable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { list } from '../api/bounded';
import { GodwitError } from '../api/errors';
import { Mounts, SharedMounts } from '../api/peer-contract';
import { parseJson, parseWith } from '../api/schema';
import { ParkedStub } from '../debug/stub';
import { MOST_STUBS } from '../keeper/contract';
import { whileItMoves } from './stall';

const MANIFEST = 'godwit.json';
/** A whole process's worth of last words. */
const STDERR_TAIL = 2048;

/** PID_MAX_LIMIT (linux/threads.h). */
const MOST_PROCESSES = 4 * 1024 * 1024;

/** What a checkpoint has besides CRIU's images. */
export const Manifest = z.object({
  /** The processes that were dumped, as the job numbers them. */
  processes: list(z.int(), { most: MOST_PROCESSES }),
  parked: list(ParkedStub, { most: MOST_STUBS }),
  held: z.boolean(),
  mounts: Mounts,
  shared: SharedMounts.default([]),
});
export type Manifest = z.infer<typeof Manifest>;

export const writeManifest = (images: string, manifest: Manifest) =>
  writeFile(join(images, MANIFEST), JSON.stringify(manifest)).catch((error: Error) => {
    throw new GodwitError({
      code: 'carriage-failed',
      message: `the images can't be written: ${error.message}`,
    });
  });

export async function readManifest(images: string): Promise<Manifest> {
  const what = "the checkpoint's manifest";
  const text = await readFile(join(images, MANIFEST), 'utf8').catch(() => {
    throw new GodwitError({ code: 'incomplete-checkpoint', message: 'the checkpoint did not arrive whole' });
  });
  return parseWith(Manifest, parseJson(what, text), what);
}

/** Sends a folder; resolves when the other side has unpacked it. Returns the bytes of its files. */
export async function sendFolder(folder: string, stream: Duplex): Promise<number> {
  const tar = spawn('tar', ['-C', folder, '-cf', '-', '.'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const taken = tar.stdout as Socket;
  try {
    // A half archive must not end as a whole one does: its end is said here, when tar has said that it is all.
    const packed = [pipeline(taken, stream, { end: false }), tarEnd(tar, 'packed')];
    await whileItMoves('the transfer of the images', () => `${taken.bytesRead}`, Promise.all(packed));
  } catch (error) {
    tar.kill('SIGKILL');
    stream.destroy(error as Error);
    throw error;
  }
  stream.end();
  // The other side ends its half when it has everything. A stream that is given up here never ends, it closes.
  stream.resume();
  await finished(stream, { writable: false, signal: AbortSignal.timeout(ACKNOWLEDGE_MS) });
  const sizes = await Promise.all(
    (await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Unpacking is done when the last byte is; this is for the disk to take it. */
const ACKNOWLEDGE_MS = 60_000;

/** Takes a folder that `sendFolder` sends; ends its half of the stream only once all is there. */
export async function receiveFolder(folder: string, stream: Duplex): Promise<void> {
  // --ignore-zeros: it reads to the stream's end, not to the archive's, before which the stream must not close.
  const tar = spawn('tar', ['-C', folder, '--no-same-owner', '--ignore-zeros', '-xf', '-'], {
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  const ended = tarEnd(tar, 'unpacked');
  try {
    await Promise.all([pipeline(stream as Readable, tar.stdin), ended]);
  } catch (error) {
    // It writes no more when the folder is taken away.
    tar.kill('SIGKILL');
    await ended.catch(() => {});
    throw error;
  }
  stream.end();
}

async function tarEnd(tar: ChildProcess, verb: string): Promise<void> {
  let words = '';
  tar.stderr?.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-STDERR_TAIL);
  });
  const [code] = await once(tar, 'close');
  if (code === 0) return;
  throw new GodwitError({
    code: 'carriage-failed',
    message: `the images could not be ${verb}: ${words.trim()}`,
  });
}
