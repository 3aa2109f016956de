/**
 * A debug server with a process that stands, as values: what each packet does to it and what is answered. Behind a line
 * it is a stub that tells ahead what is about to be asked; asked directly it is what the answers have to be.
 */
import { decodeSymbols, type Symbols, tellsSymbols } from '../../agent/debug/rsp/symbols';
import {
  type Ahead,
  decodeTogether,
  encodeAnswers,
  isTogether,
  type Wish,
} from '../../agent/debug/rsp/together';
import { threadsWindow, windowOf } from '../../agent/debug/rsp/transfer';

export const STACK = 0x1000;
export const CODE = 0x8000;
const SIZE = 0x400;
/** Around what is told ahead. */
const AHEAD = 64;

export class StubModel {
  readonly threads = ['p2.2', 'p2.3', 'p2.4'];
  readonly #registers = new Map(this.threads.map((thread) => [thread, this.#hex(thread.length)]));
  readonly #memory = new Map([STACK, CODE].map((at) => [at, Buffer.alloc(SIZE, at >> 8)]));
  readonly breakpoints = new Map<string, string>();
  selected = 'p2.2';
  passing = '';
  /** What it asks a client that offers symbols, names in hex, and the answers that it has had. */
  questions: string[] = [];
  readonly found = new Map<string, string>();
  #told: Symbols = new Map();
  #stops = 0;

  /** @param knows requests that are sent together; @param knowsSymbols that are told ahead */
  constructor(
    public knows = true,
    readonly knowsSymbols = true,
  ) {}

  #hex(seed: number): string {
    return Buffer.alloc(16, seed).toString('hex');
  }

  /** What a resume goes by. */
  get settings() {
    return { breakpoints: this.breakpoints, passing: this.passing };
  }

  /** As a move does it to a thread that was in a system call. */
  move(): void {
    for (const [thread, g] of this.#registers) this.#registers.set(thread, `00${g.slice(2)}`);
  }

  answer(packet: string): string {
    if (isTogether(packet)) return this.knows ? this.#together(packet) : '';
    return this.#one(packet);
  }

  #together(packet: string): string {
    const { packets, wish } = decodeTogether(packet)!;
    const replies: string[] = [];
    for (const one of packets) {
      replies.push(this.#one(one));
      if (replies.at(-1) !== 'OK') break;
    }
    const isWhole = replies.length === packets.length;
    return encodeAnswers({ replies, ahead: isWhole && wish ? this.#ahead(wish) : null });
  }

  #ahead({ selected, threads, registers, memory }: Wish): Ahead {
    const told = [
      ...(selected ? [this.selected] : []),
      ...registers.filter((name) => name !== this.selected),
    ];
    const piece = (at: number, size: number) => {
      const bytes = this.#one(`m${at.toString(16)},${size.toString(16)}`);
      return bytes.startsWith('E') ? [] : [{ at: at.toString(16), bytes }];
    };
    return {
      list: threads ? this.#list : null,
      registers: told.map((thread) => ({ thread, g: this.#registers.get(thread)! })),
      lasting: (selected ? [STACK, CODE] : []).flatMap((at) => piece(at, AHEAD)),
      wished: memory.flatMap(({ at, size }) => piece(Number.parseInt(at, 16), size)),
    };
  }

  get #list(): string {
    return this.threads.map((thread) => `<thread id="${thread}"/>`).join('');
  }

  #lookUp(packet: string): string {
    const [, value = '', name] = packet.split(':');
    if (name) this.found.set(name, value);
    for (;;) {
      const next = this.questions.find((question) => !this.found.has(question));
      if (next === undefined) return 'OK';
      const told = this.#told.get(next);
      if (told === undefined) return `qSymbol:${next}`;
      this.found.set(next, told);
    }
  }

  #one(packet: string): string {
    if (packet.startsWith('qSymbol:')) return this.#lookUp(packet);
    if (this.knowsSymbols && tellsSymbols(packet)) {
      this.#told = decodeSymbols(packet)!;
      return 'OK';
    }
    const [, verb = '', rest = ''] =
      /^(Hg|vCont;|QPassSignals:|qXfer:threads:read:|.)(.*)$/s.exec(packet) ?? [];
    switch (verb) {
      case '?':
        return `T05thread:${this.selected};`;
      case 'g':
        return this.#registers.get(this.selected)!;
      case 'G':
        this.#registers.set(this.selected, rest);
        return 'OK';
      case 'm':
        return this.#read(rest);
      case 'M':
        return this.#write(rest);
      case 'QPassSignals:':
        this.passing = rest;
        return 'OK';
      case 'T':
        return this.threads.includes(rest) ? 'OK' : 'E01';
      case 'Hg':
        if (!this.threads.includes(rest)) return 'E01';
        this.selected = rest;
        return 'OK';
      case 'Z':
        return this.#putIn(packet);
      case 'z':
        return this.breakpoints.delete(rest.split(';')[0]!) ? 'OK' : 'E01';
      case 'vCont;':
        return this.#run();
      case 'qXfer:threads:read:':
        return windowOf(this.#list, threadsWindow(packet)!);
      default:
        return '';
    }
  }

  #piece(rest: string): { bytes: Buffer; data: string } | null {
    const [, at = '', size = '', data = ''] = /^([0-9a-f]+),([0-9a-f]+)(?::(.*))?$/.exec(rest) ?? [];
    const from = Number.parseInt(at, 16);
    const to = from + Number.parseInt(size, 16);
    for (const [start, bytes] of this.#memory)
      if (from >= start && to <= start + bytes.length)
        return { bytes: bytes.subarray(from - start, to - start), data };
    return null;
  }

  #read(rest: string): string {
    return this.#piece(rest)?.bytes.toString('hex') ?? 'E01';
  }

  #write(rest: string): string {
    const piece = this.#piece(rest);
    if (!piece) return 'E01';
    Buffer.from(piece.data, 'hex').copy(piece.bytes);
    return 'OK';
  }

  #putIn(packet: string): string {
    const key = packet.slice(1).split(';')[0]!;
    const [, at = ''] = key.split(',');
    if (!this.#piece(`${at},1`)) return 'E01';
    this.breakpoints.set(key, packet);
    return 'OK';
  }

  /** Everything is another then. */
  #run(): string {
    this.#stops++;
    for (const [nth, thread] of this.threads.entries())
      this.#registers.set(thread, this.#hex((7 * this.#stops + nth) & 0xff));
    this.#memory.get(STACK)!.fill(this.#stops & 0xff);
    this.selected = this.threads[this.#stops % this.threads.length]!;
    return `T05thread:${this.selected};`;
  }
}
