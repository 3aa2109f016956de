/** The figures that CRIU leaves in `stats-dump` and `stats-restore` (criu/images/stats.proto), read by hand. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { badMessage } from '../api/errors';

/** Milliseconds, except where it says pages. */
export interface DumpStats {
  freezingMs: number;
  frozenMs: number;
  memdumpMs: number;
  memwriteMs: number;
  pagesScanned: number;
  pagesWritten: number;
}

export interface RestoreStats {
  forkingMs: number;
  restoreMs: number;
  pagesRestored: number;
}

/** Two magic numbers, then a length, then the message. */
const HEADER = 12;
/** stats_entry's two fields. */
const DUMP_FIELD = 1;
const RESTORE_FIELD = 2;

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

interface Field {
  number: number;
  value: number | Buffer;
}

export function parseDumpStats(image: Buffer): DumpStats {
  const numbers = numbersOf(image, DUMP_FIELD);
  const ms = (field: number) => (numbers.get(field) ?? 0) / 1000;
  const pages = (field: number) => numbers.get(field) ?? 0;
  return {
    freezingMs: ms(1),
    frozenMs: ms(2),
    memdumpMs: ms(3),
    memwriteMs: ms(4),
    pagesScanned: pages(5) + pages(12),
    pagesWritten: pages(7) + pages(14),
  };
}

export function parseRestoreStats(image: Buffer): RestoreStats {
  const numbers = numbersOf(image, RESTORE_FIELD);
  return {
    forkingMs: (numbers.get(3) ?? 0) / 1000,
    restoreMs: (numbers.get(4) ?? 0) / 1000,
    pagesRestored: numbers.get(5) ?? 0,
  };
}

export const readDumpStats = async (images: string) =>
  parseDumpStats(await readFile(join(images, 'stats-dump')));
export const readRestoreStats = async (images: string) =>
  parseRestoreStats(await readFile(join(images, 'stats-restore')));

/** The numbers of the entry's one message of that kind, by field. */
function numbersOf(image: Buffer, kind: number): Map<number, number> {
  if (image.length < HEADER) throw cutShort();
  const size = image.readUInt32LE(HEADER - 4);
  if (image.length < HEADER + size) throw cutShort();
  const entry = image.subarray(HEADER, HEADER + size);
  const message = fields(entry).find((field) => field.number === kind)?.value;
  if (!Buffer.isBuffer(message)) throw badMessage('a CRIU statistics image', 'it has no such figures');
  const numbers = new Map<number, number>();
  for (const { number, value } of fields(message)) if (typeof value === 'number') numbers.set(number, value);
  return numbers;
}

function fields(message: Buffer): Field[] {
  const found: Field[] = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = message[at++];
      if (byte === undefined) throw cutShort();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    const kind = tag % 8;
    if (kind === VARINT) found.push({ number, value: varint() });
    else if (kind === BYTES) {
      const size = varint();
      if (at + size > message.length) throw cutShort();
      found.push({ number, value: message.subarray(at, at + size) });
      at += size;
    } else if (kind === FIXED64) at += 8;
    else if (kind === FIXED32) at += 4;
    else throw badMessage('a CRIU statistics image', `it has a field of kind ${kind}`);
  }
  return found;
}

const cutShort = () => badMessage('a CRIU statistics image', 'it is cut short');
