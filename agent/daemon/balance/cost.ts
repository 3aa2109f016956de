/**
 * What a job costs on a node: CPU and memory in one number, so that one can be weighed against the other, and the cost
 * of a place is what all have more of it when the job is there (the opportunity cost of Amir, Awerbuch, Barak, Borgstrom
 * and Keren, 2000).
 *
 * They take an exponential of each resource's use for the cost, with the number of machines as its base, which bounds
 * how far an online choice is from the best one when nothing ever moves and each job's need is told. Here jobs move and
 * no need is told, so CPU counts as what it does: how many times as long everything takes. That is convex as well, needs
 * no guess of the largest load, and is a time, against which a move's time can be held. Memory is what theirs is:
 * next to nothing while there is room, and beyond all else before the kernel swaps or kills.
 */
import type { KnownNode } from './known';

/** A load of work: threads that want to run, and bytes. */
export interface Load {
  demand: number;
  memory: number;
}

/** Up to this share of its memory in use a node is as quick as ever: the kernel's caches live in the rest. */
const ROOM_SHARE = 0.8;
/** With all of it in use everything takes so many times as long, and something is killed. */
const THRASHING = 50;
/** Threads of a job that sleeps: it may wake, and what costs nothing would be put anywhere. */
export const LEAST_DEMAND = 0.05;
/** Of its memory a node keeps this share free of what is moved to it. */
const KEPT_SHARE = 0.1;

/** How many times as long as on the reference machine, with a CPU of its own, a thread takes under this demand. */
export function cpuStretch({ cpus, speed }: Pick<KnownNode, 'cpus' | 'speed'>, demand: number): number {
  return Math.max(1, demand / cpus, 1 / cpus) / speed;
}

/** How many times as long all takes with so much memory free. */
export function memoryStretch({ memTotal }: Pick<KnownNode, 'memTotal'>, free: number): number {
  const used = 1 - Math.max(0, free) / memTotal;
  return used <= ROOM_SHARE ? 1 : THRASHING ** ((used - ROOM_SHARE) / (1 - ROOM_SHARE));
}

/** How many times as long a thread of a job takes that is there, among all that the node has to do. */
export function stretch(node: KnownNode, more: Load = NOTHING): number {
  return cpuStretch(node, node.demand + more.demand) * memoryStretch(node, node.memFree - more.memory);
}

const NOTHING: Load = { demand: 0, memory: 0 };

/** What all together have: each thread's stretch, summed. */
const sum = (node: KnownNode) => node.demand * stretch(node);

/** What all on the node have more when this comes. */
export function marginal(node: KnownNode, { demand, memory }: Load): number {
  return sum(after(node, { demand, memory })) - sum(node);
}

export const after = (node: KnownNode, { demand, memory }: Load): KnownNode => ({
  ...node,
  demand: Math.max(0, node.demand + demand),
  memFree: Math.min(node.memTotal, node.memFree - memory),
});

/** The node as it is without what is there now. */
export const without = (node: KnownNode, { demand, memory }: Load): KnownNode =>
  after(node, { demand: -demand, memory: -memory });

/** Is there room for it without taking what the node needs for itself? */
export const hasRoom = (node: KnownNode, memory: number): boolean =>
  node.memFree - memory >= KEPT_SHARE * node.memTotal;

/** So little is free that the kernel will soon swap or kill. */
export const isShort = ({ memFree, memTotal }: KnownNode): boolean => memFree < 0.04 * memTotal;
