/** What of a job's network sockets can be carried, and what they need at the destination. */
import type { Obstacle } from '../../api/model';
import type { BoundPort } from '../../api/peer-contract';
import {
  type InetSocket,
  ipText,
  isAny,
  isLoopback,
  listens,
  TCP_ESTABLISHED,
} from '../../machine/network/inet-sockets';
import { ACCEPT_FIRST } from '../../machine/network/sockets';

/**
 * Why this socket of a job in its host's own network can't be carried; null when it can. `own`: all of the job's.
 * Loopback inside the job goes along whole. A listener or a datagram socket that is bound to no address in particular
 * goes on at the addresses of the new host.
 */
export function socketObstacle(socket: InetSocket, own: readonly InetSocket[], who: string): Obstacle | null {
  const { protocol, local, port, remote, remotePort } = socket;
  const kind = protocol.toUpperCase();
  const place = `${ipText(local)}:${port}`;
  if (remotePort === 0) {
    if (isAny(local) || isLoopback(local)) return null;
    return atHost(`${who} has a ${kind} socket at ${place}, which is no address of the job's own`);
  }
  if (!isLoopback(local) || !isLoopback(remote))
    return atHost(`${who} has a ${kind} connection to ${ipText(remote)}:${remotePort}`);
  if (protocol !== 'tcp' || hasOwnEnd(socket, own)) return null;
  return {
    code: 'network-socket',
    what: `${who} has a TCP connection to ${ipText(remote)}:${remotePort}, a program outside the job`,
    fix: 'run both ends in one job, or have the program close it before the move',
  };
}

/** One whose other end was closed needs none; one that is not accepted yet is for CRIU to judge. */
const hasOwnEnd = ({ state, port, remotePort }: InetSocket, own: readonly InetSocket[]): boolean =>
  state !== TCP_ESTABLISHED ||
  own.some((other) => other.port === remotePort && (other.remotePort === port || listens(other)));

export const waitingObstacle = ({ local, port }: InetSocket, who: string): Obstacle => ({
  code: 'connection-pending',
  what: `${who} has not accepted a TCP connection yet that was made to ${ipText(local)}:${port}`,
  fix: ACCEPT_FIRST,
});

const atHost = (what: string): Obstacle => ({
  code: 'network-socket',
  what,
  fix: 'run it with --address, or have the program close it before the move',
});

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

export const portTaken = (node: string, { protocol, address, port }: BoundPort): Obstacle => ({
  code: 'port-taken',
  what: `${protocol.toUpperCase()} port ${port} at ${ipText(address)}, which the job has, is taken on ${node}`,
  fix: 'free it there, choose another node, or run the job with --address',
});
