import { noSuchNode } from '../../api/errors';
import { bestOf, type Members } from '../cluster/members';
import type { Peers } from '../cluster/peers';

export interface Choosing {
  /** The job's home, or the one to be. */
  node: string;
  members: Pick<Members, 'list'>;
  peers: Pick<Peers, 'names'>;
}

/** The node that is meant by a name, `home` or `best`. @throws `no-such-node` */
export async function chooseNode({ node, members, peers }: Choosing, wanted: string): Promise<string> {
  if (wanted === 'home') return node;
  if (wanted === 'best') return bestOf(await members.list())?.name ?? node;
  if (!peers.names.includes(wanted)) throw noSuchNode(wanted, peers.names);
  return wanted;
}
