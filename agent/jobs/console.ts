import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

/** How often a followed console is looked at for more: below what a person notices, above what a disk does. */
const POLL_MS = 40;
const CHUNK_BYTES = 64 * 1024;

/**
 * A job's console from byte `offset` on. Where `over` is given it follows: it ends when the job is over and all that
 * was written before has been read; the order of the two looks is what makes the last line never be missed.
 */
export function readConsole(path: string, offset: number, over?: () => boolean): Readable {
  return Readable.from(chunks(path, offset, over), { objectMode: false });
}

async function* chunks(path: string, offset: number, over?: () => boolean): AsyncGenerator<Buffer> {
  const file = await open(path, 'r');
  try {
    for (let at = offset; ; ) {
      const last = over?.() ?? true;
      const { bytesRead, buffer } = await file.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES, at);
      if (bytesRead > 0) {
        at += bytesRead;
        yield buffer.subarray(0, bytesRead);
      } else if (last) return;
      else await sleep(POLL_MS);
    }
  } finally {
    await file.close();
  }
}
