/** Lines of several programs in one stream, each with the number of the program that has printed it, as `srun -l` does. */
import type { Write } from './console';

/** A longer line is printed in pieces, each with its number: what is kept of a line that does not end has a bound. */
const MOST_LINE_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

export class Labelled {
  #rest: Buffer = Buffer.alloc(0);
  readonly #label: Buffer;

  /** @param index shown as wide as the largest of `count` */
  constructor(
    index: number,
    count: number,
    private readonly to: Write,
  ) {
    this.#label = Buffer.from(`${String(index).padStart(String(count - 1).length)}: `);
  }

  /** Writes the lines that are whole by now. */
  readonly write = async (chunk: Buffer): Promise<void> => {
    const all = Buffer.concat([this.#rest, chunk]);
    const lines: Buffer[] = [];
    let from = 0;
    for (;;) {
      const end = all.indexOf(NEWLINE, from);
      const isWhole = end >= 0 && end - from < MOST_LINE_BYTES;
      if (isWhole) lines.push(this.#label, all.subarray(from, end + 1));
      else if (all.length - from >= MOST_LINE_BYTES)
        lines.push(this.#label, all.subarray(from, from + MOST_LINE_BYTES), Buffer.from('\n'));
      else break;
      from = isWhole ? end + 1 : from + MOST_LINE_BYTES;
    }
    this.#rest = Buffer.from(all.subarray(from));
    if (lines.length > 0) await this.to(Buffer.concat(lines));
  };

  /** What its program has printed last, where that has no end of a line. */
  async end(): Promise<void> {
    if (this.#rest.length > 0) await this.to(Buffer.concat([this.#label, this.#rest, Buffer.from('\n')]));
    this.#rest = Buffer.alloc(0);
  }
}
