/**
 * Sockets of ICMP for everybody (icmp(7)): which groups may make one is each network's setting, and CRIU has to make it
 * anew. Networks of jobs with an address of their own have their node's (interface.ts).
 */
import { readFile } from 'node:fs/promises';
import type { Obstacle, User } from '../../api/model';
import { isAtLeast } from '../versions';

export const PING_GROUPS = '/proc/sys/net/ipv4/ping_group_range';

/** Is one of the user's groups among those of `range`, "FIRST LAST"? CRIU makes root's as group 0. */
export function mayPing(range: string, { gid, groups }: User): boolean {
  const [first = 1, last = 0] = range.trim().split(/\s+/).map(Number);
  return [gid, ...groups].some((group) => group >= first && group <= last);
}

/** The first CRIU that saves such sockets. */
const LEAST_CRIU = '4.2';

/** On the destination, of a job that has such a socket. `criu`: the source's. */
export async function pingObstacles(node: string, user: User, criu: string | null): Promise<Obstacle[]> {
  if (!isAtLeast(criu ?? '0', LEAST_CRIU))
    return [
      {
        code: 'network-socket',
        what: `the job has an ICMP socket, which CRIU before ${LEAST_CRIU} can't save`,
        fix: 'run `npm run setup -- update` on both nodes, or have the program close it',
      },
    ];
  const range = await readFile(PING_GROUPS, 'utf8');
  if (mayPing(range, user)) return [];
  return [
    {
      code: 'ping-group',
      what: `the job has an ICMP socket, and on ${node} no group of its user may make one`,
      fix: `have net.ipv4.ping_group_range on ${node} include group ${user.gid}`,
    },
  ];
}
