/**
 * Joining the two ends of a home's file system. What goes over a connection (numbers little-endian):
 *
 *   a hello each: magic, id, and the counts of bytes received, kept (the oldest that it still has) and written
 *   frames: u32 kind, u32 size, then `size` bytes; kind 1 are the pipe's bytes, kind 2 a u64 count acknowledged
 *
 * Each end goes on from the other's count, so that a new connection loses no byte and brings none twice.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { GodwitError } from '../../api/errors';
import { pipeStreams } from '../../wire/streams';

const MAGIC = 'GWHOME1\0';
const ID_BYTES = 64;
const HELLO_BYTES = MAGIC.length + ID_BYTES + 3 * 8;
/** Both ends send a hello at once; it has only to cross the network. */
const HELLO_TIMEOUT_MS = 10_000;

export interface WireHello {
  id: string;
  received: bigint;
  kept: bigint;
  written: bigint;
}

/**
 * A connection to the end that listens at `socket`.
 * @throws GodwitError `no-home-files` if no process listens there any more
 */
export async function connectWire(socket: string): Promise<Duplex> {
  const stream = connect(socket);
  // The stream's user sees the cut as its end; it must not end this process.
  try {
    await once(stream, 'connect');
  } catch (error) {
    throw new GodwitError({
      code: 'no-home-files',
      message: `no file server or mount of the home's files answers at ${socket}: ${(error as Error).message}`,
    });
  }
  stream.on('error', () => {});
  return stream;
}

/**
 * Joins the two ends, and carries their bytes until either is cut, which is how it ends: then join new ones. `joined` is
 * told when they fit.
 * @throws GodwitError `not-the-same-files` or `home-files-lost` before anything was carried: this never mends itself;
 *   `stream-cut` and the like when the connection ends
 */
export async function joinWires(near: Duplex, far: Duplex, joined: () => void = () => {}): Promise<void> {
  try {
    const [a, b] = await Promise.all([readHello(near), readHello(far)]);
    checkHellos(a.hello, b.hello);
    near.write(b.bytes);
    far.write(a.bytes);
    joined();
  } catch (error) {
    near.destroy();
    far.destroy();
    throw error;
  }
  await pipeStreams(near, far);
}

/** @throws GodwitError `not-the-same-files`, `home-files-lost` */
export function checkHellos(a: WireHello, b: WireHello): void {
  if (a.id !== b.id)
    throw new GodwitError({
      code: 'not-the-same-files',
      message: `the home's files are those of ${b.id} at one end and of ${a.id} at the other`,
    });
  const has = (one: WireHello, other: WireHello) =>
    other.received >= one.kept && other.received <= one.written;
  if (!has(a, b) || !has(b, a))
    throw new GodwitError({
      code: 'home-files-lost',
      message: `the file server of ${a.id} is not the one that the job began with: what it had open is lost`,
    });
}

async function readHello(stream: Duplex): Promise<{ hello: WireHello; bytes: Buffer }> {
  const bytes = await readExactly(stream, HELLO_BYTES);
  if (bytes.toString('latin1', 0, MAGIC.length) !== MAGIC)
    throw new GodwitError({
      code: 'not-the-same-files',
      message: "the other end of the home's files speaks another version",
      fix: 'install the same version of Godwit on both nodes',
    });
  const end = MAGIC.length + ID_BYTES;
  const [id = ''] = bytes.toString('utf8', MAGIC.length, end).split('\0');
  const count = (nth: number) => bytes.readBigUInt64LE(end + 8 * nth);
  return { bytes, hello: { id, received: count(0), kept: count(1), written: count(2) } };
}

/** The next bytes of a paused stream, which stays paused. */
async function readExactly(stream: Duplex, size: number): Promise<Buffer> {
  const given = AbortSignal.timeout(HELLO_TIMEOUT_MS);
  for (;;) {
    const bytes = stream.read(size) as Buffer | null;
    if (bytes?.length === size) return bytes;
    if (bytes || stream.readableEnded || stream.destroyed) break;
    try {
      await Promise.race([
        once(stream, 'readable', { signal: given }),
        once(stream, 'close', { signal: given }),
      ]);
    } catch {
      break;
    }
  }
  throw new GodwitError({ code: 'no-hello', message: "an end of the home's files was cut before its hello" });
}
