/** What a line has been told of a process that stands, the only one of its client, and the answers that follow from it. */
import { parseThreadId } from '../rsp/packets';
import type { Ahead, Piece } from '../rsp/together';
import { threadsWindow, windowOf } from '../rsp/transfer';

/**
 * Milliseconds that memory other than stack and code may be answered for: an editor has refreshed its views by then.
 * Later it is asked for anew, as the kernel may still write there for a request that was under way.
 */
export const WISHED_FOR_MS = 2_000;

const MEMORY = /^m([0-9a-f]{1,16}),([0-9a-f]{1,8})$/i;
const THREAD = /<thread id="([^"]{1,64})"/g;
const PAGE_BITS = 12n;
/** Pieces of memory, of each kind, that are kept of one stop: a client may read all that there is. */
const MAX_RANGES = 512;

interface Range {
  from: bigint;
  hex: string;
  /** As performance.now(). */
  until: number;
}

/** Address and length of an `m` packet; null for any other. */
export function memoryAsked(packet: string): { at: bigint; size: number } | null {
  const [, at, size] = MEMORY.exec(packet) ?? [];
  return at === undefined || size === undefined
    ? null
    : { at: BigInt(`0x${at}`), size: Number.parseInt(size, 16) };
}

export const pageOf = (address: bigint): bigint => address >> PAGE_BITS;

export class Known {
  #list: string | null = null;
  /** Names, as the client writes them. */
  #threads: string[] = [];
  readonly #registers = new Map<string, string>();
  readonly #lasting: Range[] = [];
  /** The newest first. */
  readonly #wished: Range[] = [];

  constructor(private readonly now: () => number = () => performance.now()) {}

  add({ list, registers, lasting, wished }: Ahead): void {
    if (list !== null) {
      this.#list = list;
      this.#threads = [...list.matchAll(THREAD)].map(([, name]) => name!);
    }
    for (const { thread, g } of registers) this.#registers.set(thread, g);
    const until = this.now() + WISHED_FOR_MS;
    this.#lasting.push(...lasting.map((piece) => rangeOf(piece, Number.POSITIVE_INFINITY)));
    this.#wished.unshift(...wished.map((piece) => rangeOf(piece, until)));
    this.#lasting.splice(MAX_RANGES);
    this.#wished.splice(MAX_RANGES);
  }

  get hasList(): boolean {
    return this.#list !== null;
  }

  /** Is it one of the process's threads? */
  has(thread: string): boolean {
    return this.#registers.has(thread) || this.#threads.includes(thread);
  }

  /** The threads next to this one in the list, on either side, without those whose registers are known. */
  beside(thread: string, count: number): string[] {
    const place = this.#threads.indexOf(thread);
    return this.#threads
      .map((name, at) => ({ name, distance: Math.abs(at - place) }))
      .filter(({ name }) => name !== thread && !this.#registers.has(name))
      .sort((a, b) => a.distance - b.distance)
      .slice(0, count)
      .map(({ name }) => name);
  }

  /** Can what is there be read? */
  hasPage(address: bigint): boolean {
    return [...this.#lasting, ...this.#wished].some(
      ({ from, hex }) =>
        pageOf(from) <= pageOf(address) && pageOf(address) <= pageOf(from + BigInt(hex.length / 2) - 1n),
    );
  }

  /** null: it has to be asked for. @param selected the thread that the client has selected */
  answer(packet: string, selected: string | null): string | null {
    if (packet === 'g') return selected === null ? null : (this.#registers.get(selected) ?? null);
    if (packet.startsWith('T') && parseThreadId(packet.slice(1)) && this.has(packet.slice(1))) return 'OK';
    const window = this.#list === null ? null : threadsWindow(packet);
    if (window) return windowOf(this.#list!, window);
    return this.#memory(packet);
  }

  #memory(packet: string): string | null {
    const asked = memoryAsked(packet);
    if (!asked || asked.size === 0) return null;
    const { at, size } = asked;
    for (const { from, hex, until } of [...this.#lasting, ...this.#wished]) {
      const offset = Number(at - from);
      if (at < from || 2 * (offset + size) > hex.length || this.now() > until) continue;
      return hex.slice(2 * offset, 2 * (offset + size));
    }
    return null;
  }
}

const rangeOf = ({ at, bytes }: Piece, until: number): Range => ({
  from: BigInt(`0x${at}`),
  hex: bytes,
  until,
});
