/** Where a job is to begin, of what a request says about nodes. */
import { noSuchNode, notOnNode } from '../../api/errors';
import type { LaunchRequest } from '../../api/model';
import type { Placement } from '../allocations/allocations';
import { outsideAllocation } from '../allocations/errors';
import type { Peers } from '../cluster/peers';
import { type Choosing, chooseNode } from './choice';

type Places = Pick<LaunchRequest, 'node' | 'nodes'>;
type Parts = Choosing & { peers: Pick<Peers, 'names'> };

/** Where the job is to begin. @throws `no-such-node`, `not-on-node` */
export async function hostFor(
  parts: Parts,
  { node: wanted, nodes }: Places,
  allocation: Placement | null,
): Promise<string> {
  assertKnown(parts, nodes ?? []);
  // A login node may be the home of what runs in an allocation that it is no node of.
  const isAway = wanted === 'home' && allocation && !allocation.nodes.includes(parts.node);
  const host = await chooseNode(parts, isAway ? 'best' : wanted, { only: nodes ?? null, allocation });
  if (nodes && !nodes.includes(host)) throw notOnNode(host, nodes);
  return host;
}

/** Of a job that begins later: what is wrong with its places already now. @throws the same, `outside-allocation` */
export function assertPlaces(
  parts: Parts,
  { node: wanted, nodes }: Places,
  allocation: Placement | null,
): void {
  assertKnown(parts, nodes ?? []);
  if (wanted === 'best' || wanted === 'auto') return;
  const named = wanted === 'home' ? parts.node : wanted;
  assertKnown(parts, [named]);
  if (nodes && !nodes.includes(named)) throw notOnNode(named, nodes);
  if (wanted !== 'home' && allocation && !allocation.nodes.includes(named))
    throw outsideAllocation(named, allocation.id, allocation.nodes);
}

function assertKnown({ peers }: Pick<Parts, 'peers'>, nodes: readonly string[]): void {
  for (const name of nodes) if (!peers.names.includes(name)) throw noSuchNode(name, peers.names);
}
