import { noSuchNode } from '../../api/errors';
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
 * The node that is meant by a name, `home`, `best`, or `auto`: where it runs best if jobs move by themselves anyway, else
 * at home. @param only the nodes on which alone it may be @throws `no-such-node`
 */
export async function chooseNode(
  { node, balancer, rules, peers }: Choosing,
  wanted: string,
  only: readonly string[] | null = null,
): Promise<string> {
  const { balancing, draining } = rules.now;
  const stays = wanted === 'auto' && !balancing && !draining && (only?.includes(node) ?? true);
  if (wanted === 'home' || stays) return node;
  if (wanted === 'best' || wanted === 'auto') return (await balancer.place(only)) ?? only?.[0] ?? node;
  if (!peers.names.includes(wanted)) throw noSuchNode(wanted, peers.names);
  return wanted;
}
