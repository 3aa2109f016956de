import { readFileSync } from 'node:fs';
import { clusterFiles } from '../../agent/api/cluster-files';
import type { Member } from '../../agent/api/config';
import { Roster } from '../../agent/daemon/cluster/roster';
import { nodeFilesIn } from '../../agent/machine/certificates/authority';

/** Of the cluster that a node has joined, as it has them on disk; as a configuration would name them. */
export async function membersKnownTo(state: string): Promise<Member[]> {
  const { roster, tls } = clusterFiles(state);
  return [...(await Roster.open(roster, readFileSync(nodeFilesIn(tls).ca))).members];
}
