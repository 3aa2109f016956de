/**
 * Sockets of ICMP for everybody (icmp(7)): which groups may make one is each network's setting, and CRIU has to make it
 * anew. Networks of jobs with an address of their own have their node's (interface.ts).
 */
import type { User } from '../../api/model';

export const PING_GROUPS = '/proc/sys/net/ipv4/ping_group_range';

/** Is one of the user's groups among those of `range`, "FIRST LAST"? CRIU makes root's as group 0. */
export function mayPing(range: string, { gid, groups }: User): boolean {
  const [first = 1, last = 0] = range.trim().split(/\s+/).map(Number);
  return [gid, ...groups].some((group) => group >= first && group <= last);
}
