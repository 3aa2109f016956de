/** What a job of the queue waits for, in words. */
import type { REFUSED_ROOM } from '../../api/peer-contract';

/** `silent`: the node has not answered. */
export type RefusedRoom = (typeof REFUSED_ROOM)[number] | 'silent';

/** Nodes named in a sentence. */
const MOST_NAMED = 4;

export const BEHIND = 'others come first';

const WORDS: Record<RefusedRoom, string> = {
  cpus: 'no CPU is free on',
  memory: 'too little memory is free on',
  'too-small': 'more is asked for than there is on',
  draining: 'no job comes to',
  silent: 'no answer comes from',
};

/** By what nodes have answered. */
export function fullText(refusals: readonly (readonly [node: string, why: RefusedRoom])[]): string {
  const reasons = [...new Set(refusals.map(([, why]) => why))];
  return reasons
    .map((reason) => {
      const names = refusals.filter(([, why]) => why === reason).map(([node]) => node);
      const more = names.length > MOST_NAMED ? ` and ${names.length - MOST_NAMED} more` : '';
      return `${WORDS[reason]} ${names.slice(0, MOST_NAMED).join(', ')}${more}`;
    })
    .join('; ');
}

/**
 * Of a job that no node can take now, full or not.
 * @param allowed the nodes on which alone it may be; null for all
 * @param up how many of these take jobs @param large how many of those are large enough
 * @param refusal why the first of them does not take it
 */
export function nowhereText(
  allowed: readonly string[] | null,
  up: number,
  large: number,
  refusal: string | undefined,
): string {
  const names = allowed
    ? allowed.length > 0
      ? allowed.slice(0, MOST_NAMED).join(', ')
      : 'no node'
    : 'any node';
  if (up === 0) return `it may begin on ${names}, and none of these is up and takes jobs`;
  if (large === 0)
    return `it asks for more CPUs or memory than any node has on which it may begin (${names})`;
  return refusal ?? BEHIND;
}
