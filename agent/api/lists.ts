/** Lists that grow with what many do: they go over the wire in pages, each well below what a message may have. */
import { z } from 'zod';
import { utf8Length } from './text';

/** More nodes than anybody has; a node that tells of more is broken. */
export const MOST_NODES = 1_024;
/** In one snapshot, or asked about at once: each takes some hundred bytes, and all go into one message. */
export const MOST_JOBS = 10_000;

/** Of one page, together with its brackets: a quarter of what a message may have. */
export const PAGE_BYTES = 1024 * 1024;
/** In one page: that many of the smallest would fill it. */
export const MOST_IN_PAGE = 8_192;

/** Where the next page begins; only the node that gave the page before reads it. */
export const Cursor = z.string().max(MOST_NODES * 128);

/** As many of the first items as fit, but one at least: there is no list that can't be read to its end. */
export function fitting<T>(items: readonly T[], bytes: number = PAGE_BYTES): T[] {
  let left = bytes;
  const taken: T[] = [];
  for (const item of items) {
    left -= utf8Length(JSON.stringify(item)) + 1;
    if (taken.length > 0 && (left < 0 || taken.length >= MOST_IN_PAGE)) break;
    taken.push(item);
  }
  return taken;
}
