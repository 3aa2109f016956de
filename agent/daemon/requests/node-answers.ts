/** What a node answers about itself. */
import type { FixedConfig } from '../../api/config';
import type { Handlers } from '../../api/contract';
import { nodeDraining, rootOnly } from '../../api/errors';
import type { Share } from '../../api/model';
import type { PeerContract } from '../../api/peer-contract';
import { UNDERSTOOD } from '../../api/versions';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import type { NodeDemand } from '../../machine/cgroup/demand';
import { JobAccount } from '../../machine/cgroup/limits';
import type { NodeMemory } from '../../machine/cgroup/node-memory';
import type { JobNetworks } from '../../machine/network/interface';
import type { Allocations } from '../allocations/allocations';
import type { Gate } from '../balance/gate';
import type { NodeSaid } from '../balance/known';
import { ANSWER_WITHIN_MS, type Changes } from '../cluster/changes';
import { cpusOf, type Members } from '../cluster/members';
import type { Rules } from '../cluster/node-rules';
import type { Settings } from '../cluster/settings';
import type { Copies } from '../jobs/copies';
import type { JobMounts } from '../jobs/job-mounts';
import type { JobStatuses } from '../jobs/job-status';
import type { Layout } from '../jobs/layout';
import type { Stops } from '../jobs/stops';
import { destinationPreflight } from '../preflight/destination';
import { asObstacle } from '../preflight/obstacles';
import { gateAnswers } from './gate-answers';
import { type Acceptance, isRoot, jobRefusal } from './rights';

/** A node that waits for changes asks again at once; this is longer than a round trip. */
const WATCH_GAP_MS = 1_000;

export interface NodeAnswersParts {
  config: FixedConfig;
  settings: Settings;
  /** Relative to the reference machine's. */
  speed: number;
  layout: Layout;
  copies: Copies;
  statuses: JobStatuses;
  mounts: JobMounts;
  networks: JobNetworks;
  changes: Changes;
  stops: Stops;
  members: Pick<Members, 'exchange'>;
  allocations: Allocations;
  demand: NodeDemand;
  memory: NodeMemory;
  rules: Rules;
  gate: Gate;
}

type Answered =
  | 'node.status'
  | 'node.gossip'
  | 'node.changed'
  | 'node.preflight'
  | 'node.rules'
  | 'balance.ask'
  | 'balance.room'
  | 'balance.leave'
  | 'balance.over';

export function nodeAnswers(
  parts: NodeAnswersParts,
  acceptance: () => Acceptance,
): Pick<Handlers<PeerContract>, Answered> {
  const { config, settings, speed, layout, copies, statuses, mounts, networks, changes, stops } = parts;
  const { allocations, members, demand, rules, memory } = parts;
  const { name, criu } = config;
  /** What is left of an allocation's memory on this node; null where it has no limit, or is not known. */
  const roomIn = async (allocation: string | null): Promise<number | null> => {
    const { memory } = await allocations.share(allocation).catch((): Share => ({}));
    if (allocation === null || memory === undefined) return null;
    const { path } = await JobCgroup.of(config.cgroup, 'any', allocation);
    return memory - (await (await JobAccount.of(path)).shareUsed());
  };
  const figures = async () => {
    const wanted = await demand.look(performance.now());
    const { draining, speed: decided } = rules.now;
    return { ...wanted, cpus: cpusOf(config), ...(await memory.look()), draining, speed: decided ?? speed };
  };
  const ownSaid = async (): Promise<NodeSaid> => ({ name, ageMs: 0, up: true, ...(await figures()) });
  return {
    'node.status': async () => {
      const { address } = settings.now.members.find((member) => member.name === name)!;
      const load = await statuses.load();
      return { name, address, state: 'up', load, jobs: copies.jobs.length, ...(await figures()) };
    },
    'node.gossip': async ({ telling, whole }, { name: from }) => ({
      telling: members.exchange(from, telling, whole),
    }),
    'node.changed': async ({ seen }, { signal }) => {
      stops.keepLooking(ANSWER_WITHIN_MS + WATCH_GAP_MS);
      return { seen: await changes.after(seen, signal) };
    },
    'node.preflight': async ({ job: _, address, shared, machine, ...wanted }, caller) => {
      // It is the job's home that asks.
      const comesHome = caller.name === name;
      const refusal =
        jobRefusal(acceptance(), caller.name, wanted.user) ?? (await allocations.refusal(wanted));
      const room = await roomIn(wanted.allocation);
      const networkProblem = address ? await networks.problem() : null;
      const ofNode = await memory.room();
      const drained = rules.now.draining ? [asObstacle(nodeDraining(name))] : [];
      const arriving = { ...wanted, from: machine, comesHome, images: layout.state };
      return {
        direct: await mounts.direct(shared),
        obstacles: [
          ...drained,
          ...(await destinationPreflight(name, arriving, { criu, refusal, networkProblem, room, ofNode })),
        ],
        understood: UNDERSTOOD,
      };
    },
    ...gateAnswers({ ...parts, said: ownSaid }),
    'node.rules': ({ as, ...change }) => {
      const changes = Object.values(change).some((value) => value !== undefined);
      if (!changes) return rules.now;
      if (!isRoot(as)) throw rootOnly('what is decided of a node');
      return rules.set(change);
    },
  };
}
