/** What of a job's network sockets can be carried, and what they need at the destination. */
import { readFile } from 'node:fs/promises';
import type { Obstacle, User } from '../../api/model';
import type { BoundPort } from '../../api/peer-contract';
import {
  type InetSocket,
  ipText,
  isAny,
  isLoopback,
  listens,
  TCP_ESTABLISHED,
} from '../../machine/network/inet-sockets';
import { mayPing, PING_GROUPS } from '../../machine/network/ping';
import { isAtLeast } from '../../machine/versions';
import { obstacle } from './obstacles';

/**
 * Why this socket of a job in its host's own network can't be carried; null when it can. `own`: all of the job's.
 * Loopback inside the job moves as a whole. A listener or a datagram socket that is bound to no address in particular
 * goes on at the addresses of the new host.
 */
export function socketObstacle(
  socket: InetSocket,
  own: readonly InetSocket[],
  process: string,
): Obstacle | null {
  const { protocol, local, port, remote, remotePort } = socket;
  const kind = protocol.toUpperCase();
  if (remotePort === 0) {
    if (isAny(local) || isLoopback(local)) return null;
    return obstacle('network-socket/bound', { process, kind, address: `${ipText(local)}:${port}` });
  }
  const address = `${ipText(remote)}:${remotePort}`;
  if (!isLoopback(local) || !isLoopback(remote))
    return obstacle('network-socket/connected', { process, kind, address });
  if (protocol !== 'tcp' || hasOwnEnd(socket, own)) return null;
  return obstacle('network-socket/loopback', { process, address });
}

/** One whose other end was closed needs none; one that is not accepted yet is for CRIU to judge. */
const hasOwnEnd = ({ state, port, remotePort }: InetSocket, own: readonly InetSocket[]): boolean =>
  state !== TCP_ESTABLISHED ||
  own.some((other) => other.port === remotePort && (other.remotePort === port || listens(other)));

export const waitingObstacle = ({ local, port }: InetSocket, process: string): Obstacle =>
  obstacle('connection-pending/tcp', { process, address: `${ipText(local)}:${port}` });

/** What must be free at the destination. */
export const boundPorts = (own: readonly InetSocket[]): BoundPort[] =>
  [...new Map(own.map((socket) => [`${socket.protocol} ${socket.local} ${socket.port}`, socket])).values()]
    .filter(({ port }) => port !== 0)
    .map(({ protocol, local, port }) => ({ protocol, address: local, port }));

/** Ports of the job that someone on this node has already. */
export function takenPorts(wanted: readonly BoundPort[], here: readonly InetSocket[]): BoundPort[] {
  const bound = here.filter((socket) => listens(socket) || socket.protocol !== 'tcp');
  return wanted.filter(({ protocol, address, port }) =>
    bound.some(
      (other) =>
        other.protocol === protocol &&
        other.port === port &&
        (other.local === address || isAny(other.local) || isAny(address)),
    ),
  );
}

export const portTaken = (node: string, { protocol, address, port }: BoundPort): Obstacle =>
  obstacle('port-taken', { node, kind: protocol.toUpperCase(), port, address: ipText(address) });

/** The first CRIU that saves sockets of ICMP. */
const LEAST_CRIU = '4.2';

/** On the destination, of a job that has such a socket. `criu`: the source's. */
export async function pingObstacles(node: string, user: User, criu: string | null): Promise<Obstacle[]> {
  if (!isAtLeast(criu ?? '0', LEAST_CRIU)) return [obstacle('network-socket/ping', { least: LEAST_CRIU })];
  if (mayPing(await readFile(PING_GROUPS, 'utf8'), user)) return [];
  return [obstacle('ping-group', { node, group: user.gid })];
}
