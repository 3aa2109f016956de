/**
 * Connections over Unix sockets that wait to be accepted. CRIU makes those anew in which nothing has been said yet, when
 * both ends are the job's.
 */
import type { Obstacle } from '../../api/model';
import { inodeOf, type Looked } from '../../machine/criu/look';

export interface LocalConnection {
  /** The same however often one looks; those that were closed have no more than their listener. */
  name: string;
  obstacle: Obstacle;
}

const ACCEPT = 'let the program accept it, and try again';

/** Those that can't be carried. */
export function stuckConnections(
  { held, unaccepted, unread }: Looked,
  who: (pid: number) => string,
): LocalConnection[] {
  const holders = new Map(held.map(({ name, pid }) => [inodeOf(name), pid]));
  holders.delete(0);
  return unaccepted.flatMap(({ listener, client }) => {
    const [server, peer] = [holders.get(listener), holders.get(client)];
    const name = `${listener} ${client}`;
    if (server === undefined && peer === undefined) return [];
    if (server === undefined)
      return [{ name, obstacle: outside(`${who(peer!)} waits to be accepted by a process outside the job`) }];
    if (client === 0) return [{ name, obstacle: pending(who(server), 'that was closed meanwhile') }];
    if (peer === undefined)
      return [
        {
          name,
          obstacle: outside(
            `${who(server)} has not accepted a process outside the job yet, which is connected to it`,
          ),
        },
      ];
    return unread.has(client) ? [{ name, obstacle: pending(who(server), 'with data in it') }] : [];
  });
}

const pending = (who: string, state: string): Obstacle => ({
  code: 'connection-pending',
  what: `${who} has not accepted a Unix connection yet, ${state}`,
  fix: ACCEPT,
});

const outside = (what: string): Obstacle => ({
  code: 'external-socket',
  what: `${what} over a Unix socket`,
  fix: 'close that connection, or run both ends in one job',
});
