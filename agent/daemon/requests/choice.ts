import { noSuchNode } from '../../api/errors';
import type { Placement } from '../allocations/allocations';
import { nothingOpen, outsideAllocation } from '../allocations/errors';
import { bestOf, type Members } from '../cluster/members';
import type { Peers } from '../cluster/peers';

export interface Choosing {
  /** The job's home, or the one to be. */
  node: string;
  members: Pick<Members, 'list'>;
  peers: Pick<Peers, 'names'>;
}

/**
 * The node that is meant by a name, `home` or `best`.
 * @param within where it has to be; `best` is one of those that are open @throws `no-such-node`, `outside-allocation`
 */
export async function chooseNode(
  { node, members, peers }: Choosing,
  wanted: string,
  within: Placement | null = null,
): Promise<string> {
  if (wanted === 'best') {
    const all = await members.list();
    if (!within) return bestOf(all)?.name ?? node;
    const open = await within.open();
    const best = bestOf(all.filter(({ name }) => open.includes(name)));
    if (!best) throw nothingOpen(within);
    return best.name;
  }
  const named = wanted === 'home' ? node : wanted;
  if (!peers.names.includes(named)) throw noSuchNode(named, peers.names);
  if (within && !within.nodes.includes(named)) throw outsideAllocation(named, within.id, within.nodes);
  return named;
}
