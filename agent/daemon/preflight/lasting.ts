/**
 * Obstacles that a program may meet at any moment and that are over the next, as long as it goes on: what counts is
 * what is still there a while later.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Obstacle } from '../../api/model';

export interface Passing {
  /** The same however often one looks. */
  name: string;
  obstacle: Obstacle;
}

/** As long as the move itself gives a program to accept connections (helper/sockets.c). */
export const PASSING_MS = 2_000;
export const PASSING_POLL_MS = 20;

/** Those that are there at each look. */
export async function lasting(first: Passing[], again: () => Promise<Passing[]>): Promise<Obstacle[]> {
  const late = performance.now() + PASSING_MS;
  let left = first;
  while (left.length > 0 && performance.now() < late) {
    await sleep(PASSING_POLL_MS);
    const there = new Set((await again()).map(({ name }) => name));
    left = left.filter(({ name }) => there.has(name));
  }
  return left.map(({ obstacle }) => obstacle);
}
