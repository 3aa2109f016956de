/**
 * Unix sockets that are connected, or about to be, to others outside the job. Of connections that wait to be accepted
 * CRIU makes those anew in which nothing has been sent yet, when both ends are the job's.
 */
import type { Obstacle } from '../../api/model';
import { inodeOf, type Looked } from '../../machine/criu/look';
import type { Passing } from './lasting';
import type { NameOf } from './naming';
import { obstacle } from './obstacles';

/** Those that wait to be accepted and can't be carried; of those that were closed only the listener is known. */
export function stuckConnections(
  { descriptors, unaccepted, unread }: Looked,
  closing: ReadonlySet<number>,
  nameOf: NameOf,
): Passing[] {
  const holders = new Map(descriptors.map(({ name, pid }) => [inodeOf(name), pid]));
  holders.delete(0);
  return unaccepted.flatMap(({ listener, client }) => {
    // A move turns them away.
    if (closing.has(listener)) return [];
    const [server, peer] = [holders.get(listener), holders.get(client)];
    const found = stuck(server, peer, client, unread.has(client), nameOf);
    return found ? [{ name: `${listener} ${client}`, obstacle: found }] : [];
  });
}

/** `server`, `peer`: the job's processes at the two ends; `client`: the other end's inode, 0 if that is closed. */
function stuck(
  server: number | undefined,
  peer: number | undefined,
  client: number,
  unread: boolean,
  nameOf: NameOf,
): Obstacle | null {
  if (server === undefined)
    return peer === undefined ? null : obstacle('external-socket/connecting', { process: nameOf(peer) });
  const process = nameOf(server);
  if (client === 0) return obstacle('connection-pending/closed', { process });
  if (peer === undefined) return obstacle('external-socket/not-accepted', { process });
  return unread ? obstacle('connection-pending/unread', { process }) : null;
}

/** Sockets whose other end no process of the job has. @param closing those ends that a move closes */
export function externalSockets(
  { descriptors, peers }: Looked,
  closing: ReadonlySet<number>,
  nameOf: NameOf,
): Passing[] {
  const own = new Set(descriptors.map(({ name }) => inodeOf(name)));
  return descriptors.flatMap(({ pid, name }) => {
    const peer = peers.get(inodeOf(name));
    // A peer that has gone, or was not accepted yet, has no number.
    if (!peer || own.has(peer) || closing.has(peer)) return [];
    return [
      { name: `${name} ${peer}`, obstacle: obstacle('external-socket/connected', { process: nameOf(pid) }) },
    ];
  });
}
