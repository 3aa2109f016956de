import { noSuchNode } from '../../api/errors';
import type { Placement } from '../allocations/allocations';
import { nothingOpen, outsideAllocation } from '../allocations/errors';
import type { Rules } from '../cluster/node-rules';
import type { Peers } from '../cluster/peers';
import type { Balancer } from './balancer';

export interface Choosing {
  /** The job's home, or the one to be. */
  node: string;
  balancer: Pick<Balancer, 'place'>;
  rules: Pick<Rules, 'now'>;
  peers: Pick<Peers, 'names'>;
}

/**
/** Where alone a job may be. */
export interface Within {
  /** By its user's word; null for anywhere. */
  only: readonly string[] | null;
  /** By its allocation. */
  allocation: Placement | null;
}

/**
 * The node that is meant by a name, `home`, `best`, or `auto`: where it runs best if jobs move by themselves anyway, else
 * at home. @throws `no-such-node`, `outside-allocation`, and of an allocation no node of which takes something new
 */
export async function chooseNode(
  { node, balancer, rules, peers }: Choosing,
  wanted: string,
  within: Within,
): Promise<string> {
  const { only, allocation } = within;
  const { balancing, draining } = rules.now;
  const mayBeHere = (only?.includes(node) ?? true) && (allocation?.nodes.includes(node) ?? true);
  if (wanted === 'auto' && !balancing && !draining && mayBeHere) return node;
  if (wanted === 'best' || wanted === 'auto') return bestOf(balancer, within, node);
  const named = wanted === 'home' ? node : wanted;
  if (!peers.names.includes(named)) throw noSuchNode(named, peers.names);
  if (allocation && !allocation.nodes.includes(named))
    throw outsideAllocation(named, allocation.id, allocation.nodes);
  return named;
}

async function bestOf(
  balancer: Choosing['balancer'],
  { only, allocation }: Within,
  node: string,
): Promise<string> {
  const open = allocation && (await allocation.open());
  const allowed = open ? open.filter((name) => only?.includes(name) ?? true) : only;
  if (allocation && allowed?.length === 0) throw nothingOpen(allocation);
  return (await balancer.place(allowed)) ?? allowed?.[0] ?? node;
}
