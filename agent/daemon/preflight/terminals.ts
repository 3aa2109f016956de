/**
 * Which of a job's own pseudo-terminals CRIU (4.2) can bring back under their numbers. It opens new ones until the number
 * is there: the lowest that is free comes first, 32 are tried, and it knows none beyond 1000 (criu/tty.c).
 */
import type { Obstacle } from '../../api/model';
import type { Looked, OpenDescriptor } from '../../machine/criu/look';
import type { NameOf } from './naming';
import { obstacle } from './obstacles';

const MASTER = /^\/dev\/(pts\/)?ptmx$/;
const MOST = 1000;
const TRIED = 32;

export function terminalObstacles({ descriptors }: Looked, nameOf: NameOf): Obstacle[] {
  const masters = firstOfEach(
    descriptors.filter(({ name, kind }) => MASTER.test(name) && /^\d+$/.test(kind)),
  );
  const all = new Set(masters.map(({ kind }) => Number(kind)));
  return masters
    .filter((master) => !isReached(Number(master.kind), all))
    .map(({ pid, kind }) => obstacle('terminal-number', { process: nameOf(pid), number: kind }));
}

/** Several processes may have one. */
const firstOfEach = (masters: OpenDescriptor[]): OpenDescriptor[] => [
  ...new Map(masters.toReversed().map((master) => [master.kind, master])).values(),
];

/** Were all the others there: the number is not far beyond the lowest that is free. */
function isReached(number: number, all: Set<number>): boolean {
  if (number > MOST) return false;
  let free = 0;
  while (free !== number && all.has(free)) free += 1;
  return number - free < TRIED;
}
