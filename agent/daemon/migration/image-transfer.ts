/**
 * Carries the small images and what goes with them from node to node. On the stream each file is a head, its name and
 * its bytes; a head with an empty name says that these were all.
 */
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Duplex, Readable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { GodwitError } from '../../api/errors';
import { size as bytes } from '../../api/figures';
import { whileItMoves } from './stall';

/** Unpacking is done when the last byte is; this is for the disk to take it. */
const ACKNOWLEDGE_MS = 60_000;
/** The name's length (2 bytes) and the file's (6), big-endian. */
const HEAD_BYTES = 8;
/** What is read, and sent, at once: small images go together. */
const CHUNK_BYTES = 256 * 1024;

/**
 * What the source may send: CRIU's images (criu/image-desc.c), and what the agent and the helper leave beside them.
 * What a destination itself leaves there is not among it.
 */
const NAMES =
  /^([a-z0-9][a-z0-9_.-]{0,99}\.img|stats-dump|dump\.log|irmap-cache|godwit\.json|references|traits|terminal-queues|fifos|events)$/;
/** CRIU makes some ten a process and one a thread; a machine has four million numbers for both at the most. */
export const MAX_FILES = 1_000_000;
/** Deleted files and the job's own /dev/shm are among them: half of the memory of a very large machine. */
export const MAX_BYTES = 1024 ** 4;

const failed = (message: string, cause?: unknown) =>
  new GodwitError({ code: 'image-transfer-failed', message }, { cause });

/** Sends a folder's files; resolves when the other side has them. Returns their bytes. */
export async function sendFolder(folder: string, stream: Duplex): Promise<number> {
  const sent = { bytes: 0 };
  try {
    const packing = pipeline(Readable.from(together(packed(folder, sent))), stream, { end: false });
    await whileItMoves('the transfer of the images', () => `${sent.bytes}`, packing);
  } catch (error) {
    const failure = error instanceof GodwitError ? error : failed(notPacked(error as Error), error);
    // A half transfer must not end as a whole one does.
    stream.destroy(failure);
    throw failure;
  }
  stream.end();
  // The other side ends its half when it has everything. A stream that is given up here never ends, it closes.
  stream.resume();
  await finished(stream, { writable: false, signal: AbortSignal.timeout(ACKNOWLEDGE_MS) });
  return sent.bytes;
}

const notPacked = ({ message }: Error) => `the images could not be sent: ${message}`;

async function* packed(folder: string, sent: { bytes: number }): AsyncGenerator<Buffer> {
  for (const { name } of (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isFile())) {
    // What else lies there is this node's own.
    if (!NAMES.test(name)) continue;
    const file = await open(join(folder, name));
    try {
      const { size } = await file.stat();
      yield headOf(name, size);
      for await (const chunk of piecesOf(file, size)) {
        yield chunk;
        sent.bytes += chunk.length;
      }
    } finally {
      await file.close();
    }
  }
  yield headOf('', 0);
}

function headOf(name: string, size: number): Buffer {
  const head = Buffer.alloc(HEAD_BYTES + name.length);
  head.writeUInt16BE(name.length);
  head.writeUIntBE(size, 2, 6);
  head.write(name, HEAD_BYTES, 'latin1');
  return head;
}

async function* piecesOf(file: FileHandle, size: number): AsyncGenerator<Buffer> {
  for (let left = size; left > 0; ) {
    const room = Buffer.allocUnsafe(Math.min(left, CHUNK_BYTES));
    const { bytesRead } = await file.read(room);
    if (bytesRead === 0) throw failed('an image became shorter while it was sent');
    yield room.subarray(0, bytesRead);
    left -= bytesRead;
  }
}

/** Each chunk by itself would be a frame and a system call. */
async function* together(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    waiting.push(chunk);
    size += chunk.length;
    if (size < CHUNK_BYTES) continue;
    yield Buffer.concat(waiting);
    [waiting, size] = [[], 0];
  }
  yield Buffer.concat(waiting);
}

/**
 * Takes a folder that `sendFolder` sends; ends its half of the stream only once all is there. What comes is written
 * into new files only, under names of NAMES.
 * @throws GodwitError `image-transfer-failed`
 */
export async function receiveFolder(folder: string, stream: Duplex): Promise<void> {
  try {
    await receive(folder, new Incoming(stream));
  } catch (error) {
    stream.destroy(error as Error);
    throw error;
  }
  stream.end();
}

async function receive(folder: string, incoming: Incoming): Promise<void> {
  let left = MAX_BYTES;
  for (let count = 0; ; count++) {
    const head = await incoming.take(HEAD_BYTES);
    const size = head.readUIntBE(2, 6);
    const name = (await incoming.take(checkedLength(head.readUInt16BE()))).toString('latin1');
    if (name === '') return incoming.end();
    left -= size;
    if (!NAMES.test(name)) throw failed(`the source sent a file that is no image: ${JSON.stringify(name)}`);
    if (left < 0) throw failed(`the source sent images of more than ${bytes(MAX_BYTES)}`);
    if (count === MAX_FILES) throw failed(`the source sent more than ${MAX_FILES} images`);
    await write(join(folder, name), size, incoming);
  }
}

function checkedLength(length: number): number {
  if (length > 255) throw failed('the source sent a file that is no image');
  return length;
}

async function write(path: string, size: number, incoming: Incoming): Promise<void> {
  let file: FileHandle | undefined;
  try {
    // `x`: never through a link, and into nothing that is there.
    file = await open(path, 'wx', 0o600);
    for (let left = size; left > 0; ) {
      const chunk = await incoming.some(left);
      await file.writeFile(chunk);
      left -= chunk.length;
    }
  } catch (error) {
    if (error instanceof GodwitError) throw error;
    throw failed(`the images could not be written: ${(error as Error).message}`, error);
  } finally {
    await file?.close();
  }
}

/** The bytes of a stream, as many as are asked for. */
class Incoming {
  readonly #chunks: AsyncIterator<Buffer>;
  #here: Buffer = Buffer.alloc(0);

  constructor(stream: Duplex) {
    this.#chunks = stream.iterator({ destroyOnReturn: false });
  }

  /** At least one byte, and `most` at the most. */
  async some(most: number): Promise<Buffer> {
    while (this.#here.length === 0) {
      const { value, done } = await this.#chunks.next();
      if (done) throw failed('the images did not arrive whole');
      this.#here = value;
    }
    const taken = this.#here.subarray(0, most);
    this.#here = this.#here.subarray(taken.length);
    return taken;
  }

  async take(count: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let left = count; left > 0; left -= parts.at(-1)!.length) parts.push(await this.some(left));
    return Buffer.concat(parts);
  }

  async end(): Promise<void> {
    const { done } = this.#here.length > 0 ? { done: false } : await this.#chunks.next();
    if (!done) throw failed('the source sent more than its images');
  }
}
