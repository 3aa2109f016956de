/** What a client is likely to ask at the next stop: what it asked at the last ones. */
import { MAX_PIECE_BYTES, MAX_PIECES, type Wish } from '../rsp/together';
import { threadsWindow } from '../rsp/transfer';
import { type Known, memoryAsked } from './known';

/** Threads whose registers come along with those of one that was asked for: a list of all threads is read in turn. */
const REGISTERS_AT_ONCE = 16;

/** Stops at which it is told again: on the way to one that the client looks at, gdb passes others that it does not. */
const STOPS = 4;

export class Wishes {
  /** Stops for which it is still wished. */
  #threads = STOPS;
  readonly #memory = new Map<string, { at: string; size: number; stops: number }>();

  asked(packet: string): void {
    if (threadsWindow(packet)) this.#threads = STOPS;
    const piece = memoryAsked(packet);
    if (!piece || piece.size === 0 || piece.size > MAX_PIECE_BYTES) return;
    const at = piece.at.toString(16);
    const key = `${at},${piece.size}`;
    if (this.#memory.has(key) || this.#memory.size < MAX_PIECES)
      this.#memory.set(key, { at, size: piece.size, stops: STOPS });
  }

  /** With the packet that lets the process run: what is told at the stop. */
  forStop(): Wish {
    const wish = this.forRead();
    this.#threads--;
    for (const [key, piece] of this.#memory) if (--piece.stops === 0) this.#memory.delete(key);
    return wish;
  }

  /** With one that reads where nothing is known. */
  forRead(): Wish {
    const memory = [...this.#memory.values()].map(({ at, size }) => ({ at, size }));
    return { threads: this.#threads > 0, registers: [], memory };
  }

  /** With one that reads a thread's registers. */
  forRegisters(known: Known, thread: string): Wish {
    return { threads: false, registers: known.after(thread, REGISTERS_AT_ONCE), memory: [] };
  }
}
