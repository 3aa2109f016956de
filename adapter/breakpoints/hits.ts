/** Hit counts: `5`, `=5`, `==5`: at the fifth time; `>=5`, `>5`: from then on; `<5`, `<=5`: until then; `%5`: each fifth. */

import type { Hits } from '../gdb/contract';

/** @throws Error in words for the person who wrote it */
export function hitsOf(hitCondition: string | undefined): Hits | undefined {
  if (!hitCondition?.trim()) return undefined;
  const parts = /^(>=|>|<=|<|%|={0,2})\s*(\d{1,9})$/.exec(hitCondition.trim());
  if (!parts) throw new Error(`a hit count is like 5, >=5, >5, <5, <=5 or %5, not "${hitCondition}"`);
  const hits = named(parts[1]!, Number(parts[2]));
  if (hits.count < 1 && hits.kind !== 'from') throw new Error(`there is never a hit "${hitCondition}"`);
  return hits;
}

function named(sign: string, count: number): Hits {
  if (sign === '>') return { kind: 'from', count: count + 1 };
  if (sign === '>=') return { kind: 'from', count };
  if (sign === '<') return { kind: 'until', count: count - 1 };
  if (sign === '<=') return { kind: 'until', count };
  return { kind: sign === '%' ? 'each' : 'at', count };
}

/** How many of the first are not stopped at, which gdb counts. */
export const passedBy = ({ kind, count }: Hits): number => (kind === 'until' ? 0 : Math.max(0, count - 1));

/** After how many stops there are no more. */
export function stopsOf({ kind, count }: Hits): number | undefined {
  if (kind === 'at') return 1;
  return kind === 'until' ? count : undefined;
}
