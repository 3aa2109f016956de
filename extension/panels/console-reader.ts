/** Reads a job's console to its end: every byte once and in order, no faster than it is shown; of a long one the last. */
import type { Duplex } from 'node:stream';
import { asGodwitError, type GodwitError } from '../../agent/api/errors';
import { GrowingPause } from '../../agent/api/retry';
import type { Reading } from '../../webviews/messages';
import type { ClusterSource } from '../cluster/source';

/** Bytes that may be under way to the terminal: enough for full speed, little enough to be dropped on a hide. */
export const WINDOW_BYTES = 512 * 1024;
/** Of a console longer than this the beginning is left out: a terminal keeps some thousand lines anyway. */
export const TAIL_BYTES = 4 * 1024 * 1024;
/** Bytes without an end of line are taken for binary output, and shown from somewhere. */
const LONGEST_LINE = 64 * 1024;
/** Bytes in one message. */
const PIECE_BYTES = 64 * 1024;
/** Between attempts to read on: short after a cut, longer while no agent answers. */
const PAUSES = { firstMs: 250, mostMs: 5_000 };

export interface ConsoleSink {
  /** Comes before the first byte, and again where bytes between are not kept any more: what is left out. */
  begin(offset: number): void;
  bytes(offset: number, bytes: Uint8Array<ArrayBuffer>): void;
  reading(reading: Reading): void;
}

export class ConsoleReader {
  /** Bytes that have been passed on or left out, and that the terminal has taken. */
  private offset = 0;
  private taken = 0;
  private begun = false;
  /** What comes before the first whole line is left out as well, up to this offset. */
  private amidLine = 0;
  private readonly stop = new AbortController();
  private wake: () => void = () => {};

  constructor(
    private readonly cluster: Pick<ClusterSource, 'call' | 'openStream'>,
    private readonly job: string,
    private readonly sink: ConsoleSink,
  ) {}

  /** Resolves, never rejects, when the console has been read to its end, can't be read, or is not wanted any more. */
  async run(): Promise<void> {
    const pause = new GrowingPause(PAUSES);
    while (!this.stopped) {
      const before = this.offset;
      try {
        await this.follow();
        return this.tell({ at: 'whole' });
      } catch (error) {
        const why = asGodwitError(error);
        if (isFinal(why)) return this.tell({ at: 'failed', why: why.message });
        this.tell({ at: 'interrupted', why: why.message });
      }
      if (this.offset > before) pause.reset();
      await pause.wait(this.stop.signal);
    }
  }

  /** The terminal has all bytes up to `offset`. */
  acknowledge(offset: number): void {
    this.taken = Math.max(this.taken, offset);
    this.wake();
  }

  dispose(): void {
    this.stop.abort();
    this.wake();
  }

  private get stopped(): boolean {
    return this.stop.signal.aborted;
  }

  private async follow(): Promise<void> {
    const { signal } = this.stop;
    const stream = await this.cluster.openStream(await this.ticket());
    const cut = () => stream.destroy();
    signal.addEventListener('abort', cut);
    try {
      signal.throwIfAborted();
      this.tell({ at: 'following' });
      for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        await this.pass(chunk);
      }
      await ended(stream);
    } finally {
      signal.removeEventListener('abort', cut);
      if (!stream.closed) stream.destroy();
    }
  }

  private async ticket(): Promise<string> {
    const ask = (offset: number) => {
      const params = { job: this.job, offset, follow: true };
      return this.cluster.call('jobs.console', params, { signal: this.stop.signal });
    };
    const { ticket, from = 0, size } = await ask(this.offset);
    if (this.begun && from <= this.offset) return ticket;
    const first = this.begun ? from : Math.max(from, size - TAIL_BYTES);
    this.begun = true;
    this.offset = this.taken = first;
    if (!this.stopped) this.sink.begin(this.offset);
    if (this.offset === 0) return ticket;
    this.amidLine = this.offset + LONGEST_LINE;
    return (await ask(this.offset)).ticket;
  }

  private async pass(given: Buffer): Promise<void> {
    const chunk = this.fromLine(given);
    for (let at = 0; at < chunk.length && !this.stopped; at += PIECE_BYTES) {
      // A plain array of its own bytes: of a Buffer, the editor would send the whole pool behind it.
      const piece = Uint8Array.from(chunk.subarray(at, at + PIECE_BYTES));
      this.sink.bytes(this.offset, piece);
      this.offset += piece.length;
      await this.room();
    }
  }

  private fromLine(chunk: Buffer): Buffer {
    if (this.offset >= this.amidLine) return chunk;
    const end = chunk.indexOf('\n') + 1;
    const left = end || Math.min(chunk.length, this.amidLine - this.offset);
    if (end > 0) this.amidLine = 0;
    this.offset += left;
    this.taken = Math.max(this.taken, this.offset);
    return chunk.subarray(left);
  }

  private async room(): Promise<void> {
    while (this.offset - this.taken > WINDOW_BYTES && !this.stopped) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  private tell(reading: Reading): void {
    if (!this.stopped) this.sink.reading(reading);
  }
}

/** Our own half of a stream is ours to end. */
const ended = (stream: Duplex): Promise<void> => new Promise((resolve) => stream.end(() => resolve()));

/** Asking again would not help. */
const isFinal = ({ code }: GodwitError): boolean => code === 'no-such-job' || code === 'bad-message';
