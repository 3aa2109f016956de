/** What agents ask of each other. Who may: callers.ts. */
import type { FixedConfig } from '../../api/config';
import type { Caller, Handlers } from '../../api/contract';
import { asGodwitError } from '../../api/errors';
import type { User } from '../../api/model';
import type { PeerContract } from '../../api/peer-contract';
import type { Refusals } from '../cluster/membership';
import type { Peers } from '../cluster/peers';
import type { Settings } from '../cluster/settings';
import { judged, type Standing } from './callers';
import type { clusterAnswers } from './cluster-answers';
import { type HomeAnswersParts, homeAnswers } from './home-answers';
import { type HostAnswersParts, hostAnswers } from './host-answers';
import { type NodeAnswersParts, nodeAnswers } from './node-answers';
import type { OwnDebuggers } from './own-debuggers';
import type { OwnJobs } from './own-jobs';
import { type Acceptance, may } from './rights';

export interface PeerParts extends NodeAnswersParts, HomeAnswersParts, HostAnswersParts {
  config: FixedConfig;
  settings: Settings;
  refusals: Refusals;
  peers: Pick<Peers, 'names'>;
  ownDebuggers: OwnDebuggers;
  clusterAnswers: ReturnType<typeof clusterAnswers>;
}

/** This node's requests to itself are judged like those of others. */
export function peerHandlers(parts: PeerParts): Handlers<PeerContract> {
  const { config, settings, refusals, ownJobs, ownDebuggers } = parts;
  const acceptance = () => ({ node: config.name, ...settings.now });
  const handlers = {
    ...passedOn(ownJobs, ownDebuggers),
    ...nodeAnswers(parts, acceptance),
    ...homeAnswers(parts, acceptance),
    ...hostAnswers(parts),
    ...parts.clusterAnswers.peer,
  };
  return judged(handlers, standing(parts, acceptance), (from, method, { message }) =>
    refusals.report(`${from} may not ask ${method}: ${message}`),
  );
}

function standing({ allocations, home, moves, peers }: PeerParts, acceptance: () => Acceptance): Standing {
  const known = (job: string) =>
    home.job(job).catch((error) => {
      if (asGodwitError(error).code === 'no-such-job') return null;
      throw error;
    });
  return {
    get acceptance() {
      return acceptance();
    },
    allocations,
    isMember: (name) => peers.names.includes(name),
    homeOf: (job) => moves.homeOf(job),
    ledger: async (job) => (await known(job))?.ledger ?? null,
    owner: async (job) => (await known(job))?.spec.user ?? null,
  };
}

type PassedOn = Exclude<
  keyof PeerContract,
  | `cluster.${string}`
  | `node.${string}`
  | `balance.${string}`
  | `host.${string}`
  | `move.${string}`
  | keyof ReturnType<typeof homeAnswers>
>;

/** What a client of another node has asked there. */
function passedOn(own: OwnJobs, debuggers: OwnDebuggers): Pick<Handlers<PeerContract>, PassedOn> {
  const { handlers } = own;
  return {
    'jobs.kill': ({ as, ...params }, caller) => handlers['jobs.kill'](params, onBehalfOf(as, caller)),
    'jobs.pin': ({ as, ...params }, caller) => handlers['jobs.pin'](params, onBehalfOf(as, caller)),
    'jobs.balance': ({ as, ...params }, caller) => handlers['jobs.balance'](params, onBehalfOf(as, caller)),
    'jobs.type': ({ as, ...params }, caller) => handlers['jobs.type'](params, onBehalfOf(as, caller)),
    'jobs.wait': ({ as, ...params }, caller) => handlers['jobs.wait'](params, onBehalfOf(as, caller)),
    'jobs.why': ({ as, ...params }, caller) => handlers['jobs.why'](params, onBehalfOf(as, caller)),
    'jobs.placed': ({ as, ...params }, caller) => handlers['jobs.placed'](params, onBehalfOf(as, caller)),
    'jobs.stacks': ({ as, ...params }, caller) => handlers['jobs.stacks'](params, onBehalfOf(as, caller)),
    'jobs.migrate': ({ as, ...params }, caller) => handlers['jobs.migrate'](params, onBehalfOf(as, caller)),
    'jobs.console': ({ as, ...params }, caller) => handlers['jobs.console'](params, onBehalfOf(as, caller)),
    'jobs.show': ({ as, ...params }, caller) => handlers['jobs.show'](params, onBehalfOf(as, caller)),
    'jobs.history': ({ as, job, after }) => own.historyOf(job, after, (one) => may(as ?? undefined, one)),
    'home.debug': ({ as, ...params }, caller) => debuggers.open(params, onBehalfOf(as, caller)),
    'home.debugGone': async ({ as, ...params }, caller) => {
      await debuggers.clientGone(params, onBehalfOf(as, caller));
      return {};
    },
  };
}

const onBehalfOf = (as: User | null, caller: Caller): Caller => ({
  ...caller,
  user: as ?? undefined,
  by: caller.name,
});
