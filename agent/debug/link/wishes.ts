/** What a client is likely to ask at the next stop: what it asked at the last ones. */
import { MAX_PIECE_BYTES, MAX_PIECES, type Wish } from '../rsp/together';
import { threadsWindow } from '../rsp/transfer';
import { type Known, memoryAsked } from './known';

/** Threads whose registers come along with those of one that was asked for: a list of all threads is read in turn. */
const REGISTERS_AT_ONCE = 16;

/** Stops at which it is told again: on the way to one that the client looks at, gdb passes others that it does not. */
const STOPS = 4;
/** The list of threads is short, and looked at together with much else. */
const LIST_STOPS = 16;

const BLOCK = MAX_PIECE_BYTES;
const BIG_BLOCK = BigInt(BLOCK);

export class Wishes {
  /** Stops for which it is still wished. */
  #threads = LIST_STOPS;
  readonly #memory = new Map<string, { at: string; size: number; stops: number }>();

  asked(packet: string): void {
    if (threadsWindow(packet)) this.#threads = LIST_STOPS;
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
    return { selected: true, threads: this.#threads > 0, registers: [], memory };
  }

  /** With one that reads memory which is not known: what is beside that is often read next. */
  forMemory(packet: string): Wish | null {
    const piece = memoryAsked(packet);
    if (!piece || piece.size === 0 || piece.size > BLOCK) return null;
    const from = (piece.at / BIG_BLOCK) * BIG_BLOCK;
    const blocks = piece.at + BigInt(piece.size) > from + BIG_BLOCK ? [from, from + BIG_BLOCK] : [from];
    const memory = blocks.map((at) => ({ at: at.toString(16), size: BLOCK }));
    return { selected: false, threads: false, registers: [], memory };
  }

  /** With one that asks about threads. */
  forThreads(known: Known): Wish | null {
    return known.hasList ? null : { selected: true, threads: true, registers: [], memory: [] };
  }

  /** With one that reads a thread's registers. */
  forRegisters(known: Known, thread: string): Wish {
    return { selected: true, threads: false, registers: known.beside(thread, REGISTERS_AT_ONCE), memory: [] };
  }
}
