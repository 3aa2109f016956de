/** The figures that CRIU leaves in `stats-dump` and `stats-restore` (criu/images/stats.proto), read by hand. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { badMessage } from '../../api/errors';
import { cutShort, fieldsOf } from './protobuf';

/** Milliseconds, except for numbers of pages. */
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

const IMAGE = 'a CRIU statistics image';

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
  if (image.length < HEADER) throw cutShort(IMAGE);
  const size = image.readUInt32LE(HEADER - 4);
  if (image.length < HEADER + size) throw cutShort(IMAGE);
  const entry = image.subarray(HEADER, HEADER + size);
  const message = fieldsOf(entry, IMAGE).find((field) => field.number === kind)?.value;
  if (!Buffer.isBuffer(message)) throw badMessage(IMAGE, 'it has no such figures');
  const numbers = new Map<number, number>();
  for (const { number, value } of fieldsOf(message, IMAGE))
    if (typeof value === 'number') numbers.set(number, value);
  return numbers;
}
