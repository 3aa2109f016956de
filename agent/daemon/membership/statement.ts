/** Which of two statements about a member is the later one. */
import { STANDINGS, type Standing } from '../../api/membership';

export interface Known {
  standing: Standing;
  incarnation: number;
}

/** One that was never spoken of. */
export const UNSPOKEN: Known = { standing: 'alive', incarnation: 0 };

/**
 * No order in which statements come, and no repetition, changes what all of them together come to.
 */
export function isLater(said: Known, known: Known): boolean {
  if (said.incarnation !== known.incarnation) return said.incarnation > known.incarnation;
  return STANDINGS.indexOf(said.standing) > STANDINGS.indexOf(known.standing);
}

/**
 * What is hearsay may raise an incarnation by so much at once; a node that is accused each second gets there in a
 * quarter of an hour. A liar that says the largest number there is would otherwise have the last word.
 */
export const MOST_LEAP = 1_000;
