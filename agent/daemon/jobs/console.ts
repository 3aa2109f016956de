/** The file into which a job prints, at its home: read, followed, and kept from growing for ever. */
import { watch } from 'node:fs';
import { open, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { GodwitError } from '../../api/errors';
import { execute } from '../../machine/execution';
import type { Layout } from './layout';

/** How often a followed console is looked at for more: below what a person notices, above what a disk does. */
const POLL_MS = 40;
const CHUNK_BYTES = 64 * 1024;
/** How often one that grows is looked at: in a second a program prints a gigabyte or two at most. */
const LOOK_MS = 1_000;
/** How much is cut at once, as a part of all that may be. */
const CUT_PART = 1 / 8;
/** Holes are made of whole blocks. */
const BLOCK_BYTES = 4_096;
/** A hole in a large file on a slow disk. */
const CUT_DEADLINE_MS = 60_000;

export interface Reading {
  path: string;
  offset: number;
  /** Is the job over? Absent for one that is not followed. */
  over?: (() => boolean) | undefined;
  /** The oldest byte that is kept. */
  keptFrom: () => number;
}

/**
 * A job's console from byte `offset` on. Where `over` is given it follows: it ends when the job is over and all that
 * was written before has been read; the order of the two looks is what makes the last line never be missed.
 * Fails with `console-cut` where what comes next is not kept any more.
 */
export const readConsole = (reading: Reading): Readable =>
  Readable.from(chunks(reading), { objectMode: false });

async function* chunks({ path, offset, over, keptFrom }: Reading): AsyncGenerator<Buffer> {
  const file = await open(path, 'r');
  try {
    for (let at = offset; ; ) {
      const last = over?.() ?? true;
      const { bytesRead, buffer } = await file.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES, at);
      // Looked at after the read: what was cut meanwhile reads as zeros.
      if (keptFrom() > at) throw consoleCut();
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

const consoleCut = () =>
  new GodwitError({ code: 'console-cut', message: 'what comes next in the console has been cut' });

interface Watched {
  end: AbortController;
  keptFrom: number;
}

/**
 * Keeps consoles from growing beyond a size: the oldest bytes become a hole, so that offsets and the file's size, which
 * CRIU checks, stay. Where the hole ends is written down before it is made. A console that is silent costs an inotify
 * watch and no time.
 */
export class Consoles {
  readonly #watched = new Map<string, Watched>();

  constructor(private readonly options: { layout: Layout; mostBytes: number; log: (line: string) => void }) {}

  /** The oldest byte that is kept of a job's console. */
  async keptFrom(job: string): Promise<number> {
    return this.#watched.get(job)?.keptFrom ?? (await this.#writtenDown(job));
  }

  /** The same for a reader that has begun. */
  keptNow(job: string, before: number): () => number {
    return () => this.#watched.get(job)?.keptFrom ?? before;
  }

  /** From now on, until the job has ended. */
  watch(job: string): void {
    if (this.#watched.has(job)) return;
    const watched = { end: new AbortController(), keptFrom: 0 };
    this.#watched.set(job, watched);
    this.#lookAfter(job, watched).catch((error: Error) => {
      if (!watched.end.signal.aborted)
        this.options.log(`the size of the console of job ${job} is not bounded: ${error.message}`);
    });
  }

  unwatch(job: string): void {
    this.#watched.get(job)?.end.abort();
    this.#watched.delete(job);
  }

  async #lookAfter(job: string, watched: Watched): Promise<void> {
    const { signal } = watched.end;
    const path = this.options.layout.console(job);
    watched.keptFrom = await this.#writtenDown(job);
    for (let seen = -1; !signal.aborted; ) {
      const change = nextChange(path, signal);
      const size = await this.#look(job, watched);
      if (size === seen) await change.comes;
      else await sleep(LOOK_MS, undefined, { signal, ref: false });
      change.forget();
      seen = size;
    }
  }

  /** @returns its size */
  async #look(job: string, watched: Watched): Promise<number> {
    const { layout, mostBytes } = this.options;
    const path = layout.console(job);
    const { size } = await stat(path);
    // Its program has emptied it.
    if (size < watched.keptFrom) await this.#writeDown(job, watched, 0);
    if (size - watched.keptFrom <= mostBytes) return size;
    const from = size - Math.floor(mostBytes * (1 - CUT_PART));
    await this.#writeDown(job, watched, from - (from % BLOCK_BYTES));
    await makeHole(path, watched.keptFrom);
    return size;
  }

  async #writeDown(job: string, watched: Watched, keptFrom: number): Promise<void> {
    const file = this.options.layout.consoleCut(job);
    await writeFile(`${file}.new`, `${keptFrom}\n`, { mode: 0o600 });
    await rename(`${file}.new`, file);
    watched.keptFrom = keptFrom;
  }

  async #writtenDown(job: string): Promise<number> {
    const text = await readFile(this.options.layout.consoleCut(job), 'utf8').catch(() => '0');
    const keptFrom = Number.parseInt(text, 10);
    return Number.isSafeInteger(keptFrom) ? keptFrom : 0;
  }
}

/** fallocate(1): Node.js has no call for it. All of the beginning, so that one that was not made before is made now. */
async function makeHole(path: string, bytes: number): Promise<void> {
  const range = ['--offset', '0', '--length', `${bytes}`];
  await execute('fallocate', ['--punch-hole', ...range, '--', path], {
    timeout: CUT_DEADLINE_MS,
  });
}

/** A change of the file from now on; where the kernel has no more watches to give, a look later. */
function nextChange(path: string, signal: AbortSignal): { comes: Promise<void>; forget: () => void } {
  let resolve = () => {};
  const comes = new Promise<void>((settle) => {
    resolve = settle;
  });
  signal.addEventListener('abort', () => resolve(), { once: true });
  try {
    const watcher = watch(path, { persistent: false }, () => resolve());
    watcher.on('error', () => resolve());
    return { comes, forget: () => watcher.close() };
  } catch {
    const timer = setTimeout(resolve, LOOK_MS).unref();
    return { comes, forget: () => clearTimeout(timer) };
  }
}
