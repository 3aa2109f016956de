/** The preflight at the destination: what is missing here for a job that comes from another node. */
import { statfs } from 'node:fs/promises';
import { freemem } from 'node:os';
import type { GodwitError } from '../../api/errors';
import { size } from '../../api/figures';
import type { Limits, Obstacle, User } from '../../api/model';
import type { BoundPort, Machine } from '../../api/peer-contract';
import { findControllers, limitObstacles } from '../../machine/cgroup/limits';
import { inetSockets } from '../../machine/network/inet-sockets';
import { allocationFull } from '../allocations/errors';
import { differences } from './compatibility';
import { criuObstacles, thisMachine } from './machine';
import { pingObstacles, portTaken, takenPorts } from './network';
import { asObstacle, obstacle } from './obstacles';

export interface Wanted {
  /** What the job has in memory. */
  bytes: number;
  /** Where it comes from. */
  from: Machine;
  /** This node is its home. */
  comesHome: boolean;
  /** What must be free in this node's own network. */
  ports: BoundPort[];
  /** The folder in which its images will be. */
  images: string;
}

/** What a job wants of the node that it comes to, beside what the machine must have. */
interface Arriving extends Wanted {
  user: User;
  limits: Limits;
  /** The one that it is in. */
  allocation: string | null;
  /** It has a socket of ICMP that needs no rights. */
  pings: boolean;
}

/**
 * @param refusal why this node takes no such job
 * @param room bytes of memory that its allocation has free here; null for any
 * @param ofNode the same of what the node's jobs may use together
 * @param networkProblem what the node lacks for a job with an address of its own, where it is to have one
 */
export async function destinationPreflight(
  node: string,
  arriving: Arriving,
  {
    criu,
    refusal,
    networkProblem,
    room,
    ofNode,
  }: {
    criu: string | undefined;
    refusal: GodwitError | null;
    networkProblem: GodwitError | null;
    room: number | null;
    ofNode: number | null;
  },
): Promise<Obstacle[]> {
  const { user, limits, pings, from } = arriving;
  return [
    ...(refusal ? [asObstacle(refusal)] : []),
    ...(await nodeObstacles(node, arriving, { criu, room: ofNode })),
    ...(networkProblem ? [asObstacle(networkProblem)] : []),
    ...(pings ? await pingObstacles(node, user, from.criu) : []),
    ...limitObstacles(node, limits, await findControllers()),
    ...shareObstacles(node, arriving, room),
  ];
}

/** CRIU itself counts while it restores. */
const RESTORE_BYTES = 16 * 1024 * 1024;

/** The kernel would end the restored job, or CRIU. */
function shareObstacles(node: string, { allocation, bytes }: Arriving, room: number | null): Obstacle[] {
  const needed = bytes + RESTORE_BYTES;
  if (allocation === null || room === null || needed <= room) return [];
  return [asObstacle(allocationFull(node, allocation, size(Math.max(0, room)), size(needed)))];
}

/** What the machine lacks. */
export async function nodeObstacles(
  node: string,
  wanted: Wanted,
  { criu, room: ofNode }: { criu?: string | undefined; room: number | null },
): Promise<Obstacle[]> {
  const obstacles = [
    ...(await criuObstacles(node, wanted.from.criu ?? '0', criu)),
    ...(await portObstacles(node, wanted.ports)),
    ...differences(node, wanted.from, await thisMachine(criu), wanted.comesHome),
  ];
  const free = freemem();
  // The image and the restored job are in memory at the same time.
  const needed = 2 * wanted.bytes;
  if (needed > free) obstacles.push(obstacle('no-memory', { node, free: size(free), needed: size(needed) }));
  else if (ofNode !== null && wanted.bytes + RESTORE_BYTES > ofNode)
    obstacles.push(
      obstacle('no-memory', { node, free: size(ofNode), needed: size(wanted.bytes + RESTORE_BYTES) }),
    );
  const { bavail, bsize } = await statfs(wanted.images);
  const room = bavail * bsize;
  if (wanted.bytes > room) {
    const sizes = { free: size(room), needed: size(wanted.bytes) };
    obstacles.push(obstacle('disk-full', { node, ...sizes, folder: wanted.images }));
  }
  return obstacles;
}

async function portObstacles(node: string, ports: BoundPort[]): Promise<Obstacle[]> {
  if (ports.length === 0) return [];
  return takenPorts(ports, await inetSockets('self')).map((port) => portTaken(node, port));
}
