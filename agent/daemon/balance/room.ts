/**
 * Has a node room for a job to begin? Where CPUs or memory are reserved for jobs, what is reserved counts whether it is
 * used or not; where not, what is wanted of the node counts.
 */
import { hasRoom, type Load } from './cost';
import type { KnownNode } from './known';
import { UNKNOWN_JOB } from './place';

/** What a job reserves; null where it names nothing. */
export interface Need {
  cpus: number | null;
  memory: number | null;
}

/** What jobs on a node have reserved. */
export interface Taken {
  /** The sum of their limits. */
  cpus: number;
  /** CPUs of these that they do not want just now, and that are theirs all the same. */
  idleCpus: number;
  /** What all jobs there want together, each no more than its limit: another way to see what the node's figure tells. */
  wantedCpus: number;
  /** Bytes of their limits that they do not use yet. */
  idleMemory: number;
}

export type NoRoom = 'too-small' | 'cpus' | 'memory';

/** A CPU of which others want less is free: daemons always want a little, and figures are averages. */
const HALF = 0.5;
/** Where CPUs are reserved, so much of what others want is taken for daemons and noise. */
const NOISE = 0.25;

/** What it will take: for figures that do not show it yet. */
export const loadOf = ({ cpus, memory }: Need, node: Pick<KnownNode, 'cpus'>): Load => ({
  demand: cpus ?? Math.min(UNKNOWN_JOB.demand, Math.max(node.cpus, HALF)),
  memory: memory ?? UNKNOWN_JOB.memory,
});

/** Could it ever hold this, if nothing else were there? */
export const isLargeEnough = (node: Pick<KnownNode, 'cpus' | 'memTotal'>, { cpus, memory }: Need): boolean =>
  (cpus ?? 0) <= node.cpus &&
  hasRoom({ ...node, memFree: node.memTotal } as KnownNode, memory ?? UNKNOWN_JOB.memory);

/** Why it may not begin there now; null if it may. */
export function noRoom(node: KnownNode, taken: Taken, need: Need): NoRoom | null {
  if (!isLargeEnough(node, need)) return 'too-small';
  const wanted = Math.max(node.demand + taken.idleCpus, taken.wantedCpus);
  if (need.cpus === null) {
    if (wanted > Math.max(node.cpus - HALF, HALF)) return 'cpus';
  } else if (taken.cpus + need.cpus > node.cpus || wanted + need.cpus > node.cpus + NOISE) return 'cpus';
  const free = { ...node, memFree: Math.max(0, node.memFree - taken.idleMemory) };
  return hasRoom(free, need.memory ?? UNKNOWN_JOB.memory) ? null : 'memory';
}
