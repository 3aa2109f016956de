/** Pages of lists of which every home has a part. */

import { z } from 'zod';
import { dictionary } from '../../api/bounded';
import { type Cursor, MOST_NODES, PAGE_BYTES } from '../../api/lists';
import { NodeName } from '../../api/model';
import { parseJson, parseWith } from '../../api/schema';

/** Homes that are asked at once: each has an item in the page, however large that is. */
const HOMES_AT_ONCE = 64;

/** Where each home's part is read on; those that are not named are through. */
const Positions = dictionary(NodeName, z.int().min(0), { most: MOST_NODES });
type Positions = z.infer<typeof Positions>;

export interface Page<T, Next> {
  items: T[];
  next: Next | null;
}

/** @param cursor where the page begins; absent for the first one @throws `bad-message` */
export async function pageOfAll<T>(
  homes: readonly string[],
  cursor: string | undefined,
  ask: (home: string, after: number, bytes: number) => Promise<Page<T, number>>,
): Promise<Page<T, z.infer<typeof Cursor>>> {
  const positions: Positions = cursor === undefined ? beginning(homes) : read(cursor);
  const all = Object.entries(positions);
  const [asked, later] = [all.slice(0, HOMES_AT_ONCE), all.slice(HOMES_AT_ONCE)];
  const bytes = Math.floor(PAGE_BYTES / Math.max(1, asked.length));
  const parts = await Promise.all(asked.map(([home, after]) => ask(home, after, bytes)));
  const goOn = asked.flatMap(([home], index): [string, number][] => {
    const { next } = parts[index]!;
    return next === null ? [] : [[home, next]];
  });
  const rest = [...goOn, ...later];
  return {
    items: parts.flatMap(({ items }) => items),
    next: rest.length > 0 ? JSON.stringify(Object.fromEntries(rest)) : null,
  };
}

const beginning = (homes: readonly string[]): Positions => Object.fromEntries(homes.map((home) => [home, 0]));

const WHAT = 'the position where the list is read on';
const read = (cursor: string): Positions => parseWith(Positions, parseJson(WHAT, cursor), WHAT);

/** In the list of one home, as its own cursor says. @throws `bad-message` */
export const positionIn = (cursor = '0'): number => parseWith(z.int().min(0), parseJson(WHAT, cursor), WHAT);
