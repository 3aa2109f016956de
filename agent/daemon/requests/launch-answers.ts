/** What clients ask to be launched: one job, an array; at once, or when there is room. */
import type { ClientContract } from '../../api/client-contract';
import type { Caller, Handlers, Params } from '../../api/contract';
import { asGodwitError, noSuchNode, notOnNode } from '../../api/errors';
import { ROOT } from '../../api/model';
import type { Placement } from '../allocations/allocations';
import { outsideAllocation } from '../allocations/errors';
import type { Scopes } from '../allocations/scopes';
import type { Peers } from '../cluster/peers';
import type { Arrays } from '../jobs/arrays';
import type { Home } from '../jobs/home';
import type { HomedJobs } from '../jobs/homed-jobs';
import { type Choosing, chooseNode } from './choice';
import { NOT_LAUNCHED_THERE } from './launched';
import { withinOwnLimits } from './launcher';
import type { Queue } from './queue';

type Launched = Pick<Params<ClientContract, 'jobs.run'>, 'node' | 'nodes'>;

export interface LaunchParts extends Choosing {
  home: Home;
  lists: HomedJobs;
  peers: Peers;
  helper: string;
  scopes: Scopes;
  arrays: Arrays;
  queue: Queue;
}

export function launchAnswers(
  parts: LaunchParts,
): Pick<Handlers<ClientContract>, 'jobs.run' | 'jobs.runArray'> {
  const { node, home, lists, scopes, helper, arrays, queue } = parts;
  /** As whom, with which limits, and where it may be. */
  const admitted = async (request: Params<ClientContract, 'jobs.run'>, caller: Caller) => {
    const limited = await withinOwnLimits(request, caller, helper);
    return { limited, user: caller.user ?? ROOT, allocation: await scopes.placement(caller) };
  };
  return {
    'jobs.run': async (request, caller) => {
      const { limited, user, allocation } = await admitted(request, caller);
      if (request.queue) {
        assertPlaces(parts, request, allocation);
        return lists.one(await queue.add(limited, user, allocation?.id ?? null));
      }
      const host = await hostFor(parts, request, allocation);
      const begin = (where: string) => home.run(limited, user, where, allocation?.id ?? null);
      const launched = begin(host);
      if (host === node || request.node !== 'auto' || request.nodes || allocation) return launched;
      // The place was this node's own choice: a node that takes no such job is no reason to launch none.
      return launched.catch((error) => {
        if (!NOT_LAUNCHED_THERE.has(asGodwitError(error).code)) throw error;
        return begin(node);
      });
    },
    'jobs.runArray': async ({ count, ...request }, caller) => {
      const { limited, user, allocation } = await admitted(request, caller);
      if (request.queue) {
        assertPlaces(parts, request, allocation);
        return queue.addArray(limited, count, user, allocation?.id ?? null);
      }
      const hosts: string[] = [];
      // One after the other: each counts where the next is to begin.
      while (hosts.length < count) hosts.push(await hostFor(parts, request, allocation));
      return arrays.run(limited, user, hosts, allocation?.id ?? null);
    },
  };
}

/** Where the job is to begin. @throws `no-such-node`, `not-on-node` */
async function hostFor(
  parts: LaunchParts,
  { node: wanted, nodes = undefined }: Launched,
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
function assertPlaces(parts: LaunchParts, { node: wanted, nodes }: Launched, allocation: Placement | null) {
  assertKnown(parts, nodes ?? []);
  if (wanted === 'best' || wanted === 'auto') return;
  const named = wanted === 'home' ? parts.node : wanted;
  assertKnown(parts, [named]);
  if (nodes && !nodes.includes(named)) throw notOnNode(named, nodes);
  if (wanted !== 'home' && allocation && !allocation.nodes.includes(named))
    throw outsideAllocation(named, allocation.id, allocation.nodes);
}

function assertKnown({ peers }: LaunchParts, nodes: readonly string[]): void {
  for (const name of nodes) if (!peers.names.includes(name)) throw noSuchNode(name, peers.names);
}
