/** What agents ask of each other. Who may: callers.ts. */
import type { Duplex } from 'node:stream';
import type { Caller, Handlers } from '../../api/contract';
import { asGodwitError, type GodwitError, jobMoving } from '../../api/errors';
import { fitting } from '../../api/lists';
import type { Obstacle, User } from '../../api/model';
import { MOST_MEANT, type PeerContract } from '../../api/peer-contract';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import { findControllers, limitObstacles } from '../../machine/cgroup/limits';
import { pingObstacles } from '../../machine/network/ping';
import { pipeStreams } from '../../wire/streams';
import { ANSWER_WITHIN_MS } from '../cluster/changes';
import { capacity } from '../cluster/members';
import type { Host } from '../jobs/host';
import { signalNamed } from '../jobs/signals';
import { nodeObstacles, sourceObstacles, thisMachine } from '../preflight/machine';
import { jobObstacles } from '../preflight/preflight';
import { judged, type Standing } from './callers';
import { filesHere } from './files';
import type { NodeParts } from './node';
import { OwnJobs } from './own-jobs';
import { type Acceptance, jobRefusal, may, requestRefusal } from './rights';

/** Whoever waits for changes asks again at once; this is more than the way there and back. */
const WATCH_GAP_MS = 1_000;

/** Its own requests to itself are judged like those of others. */
export function peerHandlers(node: NodeParts): Handlers<PeerContract> {
  const refused = (from: string, method: string, { message }: Error) =>
    node.refusals.tell(`${from} may not say ${method}: ${message}`);
  return judged(answers(node), standing(node), refused);
}

const acceptance = ({ config, settings }: NodeParts): Acceptance => ({
  node: config.name,
  ...settings.now,
});

function standing(node: NodeParts): Standing {
  return {
    get acceptance() {
      return acceptance(node);
    },
    isMember: (name) => node.peers.names.includes(name),
    homeOf: (job) => node.moves.homeOf(job),
    ledger: (job) =>
      node.home.job(job).then(
        ({ ledger }) => ledger,
        (error) => {
          if (asGodwitError(error).code === 'no-such-job') return null;
          throw error;
        },
      ),
  };
}

function answers(node: NodeParts): Handlers<PeerContract> {
  const { host, home, moves, config } = node;
  const own = new OwnJobs(node);
  const { handlers } = own;
  return {
    'jobs.kill': ({ as, ...params }, caller) => handlers['jobs.kill'](params, asking(as, caller)),
    'jobs.pin': ({ as, ...params }, caller) => handlers['jobs.pin'](params, asking(as, caller)),
    'jobs.type': ({ as, ...params }, caller) => handlers['jobs.type'](params, asking(as, caller)),
    'jobs.wait': ({ as, ...params }, caller) => handlers['jobs.wait'](params, asking(as, caller)),
    'jobs.why': ({ as, ...params }, caller) => handlers['jobs.why'](params, asking(as, caller)),
    'jobs.migrate': ({ as, ...params }, caller) => handlers['jobs.migrate'](params, asking(as, caller)),
    'jobs.console': ({ as, ...params }, caller) => handlers['jobs.console'](params, asking(as, caller)),
    'jobs.show': ({ as, ...params }, caller) => handlers['jobs.show'](params, asking(as, caller)),
    'jobs.history': ({ as, job, after }) => own.historyOf(job, after, (one) => may(as ?? undefined, one)),
    'home.debug': ({ as, ...params }, caller) => own.debug(params, asking(as, caller)),
    'home.debugGone': async ({ as, ...params }, caller) => {
      await own.debugGone(params, asking(as, caller));
      return {};
    },
    'node.status': async () => {
      const statuses = await Promise.all(host.jobs.map((job) => host.status(job, [])));
      const load = statuses.reduce((sum, status) => sum + (status?.cpu ?? 0), 0);
      const { name } = config;
      const address = node.settings.now.members.find((member) => member.name === name)!.address;
      return {
        name,
        address,
        state: 'up',
        speed: node.speed,
        load,
        jobs: host.jobs.length,
        ...capacity(config),
      };
    },

    'node.changed': async ({ seen }, { signal }) => {
      node.stops.keepLooking(ANSWER_WITHIN_MS + WATCH_GAP_MS);
      return { seen: await node.changes.after(seen, signal) };
    },
    'home.view': () => node.view.read(),
    'home.jobs': ({ ended, after, bytes }) => home.page(ended, after, bytes),
    'home.find': async ({ job }) => ({ jobs: await home.find(job, MOST_MEANT) }),
    'home.history': ({ as, after, bytes }, caller) => {
      const counts = requestRefusal(acceptance(node), caller.name, as) === null;
      return own.history(undefined, { after, bytes }, (job) => counts && may(as ?? undefined, job));
    },
    'home.ended': async (end) => {
      const { job } = end;
      await home.ended(end);
      moves.forget(job);
      return {};
    },
    'home.outcome': async ({ job, epoch }, caller) => {
      // First the journal, then the state: an answer of "moving" may be followed by an abort, never the reverse.
      const outcome = await host.options.journal.outcome(job, epoch);
      if (moves.isMoving(job)) moves.coordinator(job).asked(caller.name, epoch);
      return outcome;
    },
    'home.files': (asked, caller) => node.served.open({ ...asked, node: caller.name }),

    'host.launch': (order) => host.launch(order),
    'host.jobStatus': async ({ jobs }, caller) => {
      const stubs = await host.stubs().catch(() => []);
      const theirs = jobs.filter((job) => host.homeOf(job) === caller.name);
      const statuses = await Promise.all(theirs.map((job) => host.status(job, stubs)));
      return { statuses: statuses.filter((status) => status !== null) };
    },
    'host.kill': async ({ job, signal }) => {
      await host.kill(job, signalNamed(signal));
      return {};
    },
    'host.type': async ({ job, ...typed }, { signal }) => {
      await host.type(job, typed, signal);
      return {};
    },
    'host.debug': async ({ job, pid, session, fresh, by }) => {
      const { ticket } = await host.debug(job, pid, session, fresh);
      // The keeper's ticket is good at the keeper: the bytes pass through here.
      const join = async (stream: Duplex) =>
        pipeStreams(stream, await host.options.keeper.openStream(ticket));
      const relayed = node.tickets.issue(join, { by });
      return { ticket: relayed };
    },
    'host.debugGone': async (target) => {
      await host.options.keeper.call('stub.gone', target, { timeoutMs: 60_000 });
      return {};
    },
    'host.preflight': async ({ job }) => {
      const copy = host.copy(job);
      if (!copy) throw jobMoving(job);
      const silent = await host.filesObstacle(copy);
      if (silent)
        return {
          ...{ obstacles: [silent], bytes: 0, ports: [], pings: false, files: [], mounts: [], shared: [] },
          machine: await thisMachine(config.criu),
        };
      const stubs = await host.stubs().catch(() => []);
      const debugged = new Set(stubs.filter((stub) => stub.job === job).map(({ pid }) => pid));
      const findings = await jobObstacles(JobCgroup.at(copy.cgroup), {
        helper: host.options.helper,
        debugged,
        address: copy.address !== null,
      });
      const obstacles = [...(await sourceObstacles(config.name, config.criu)), ...findings.obstacles];
      return {
        ...{ obstacles: fitting(obstacles), bytes: findings.bytes, ports: fitting(findings.ports) },
        pings: findings.pings,
        ...{ files: await filesHere(findings, copy), mounts: copy.mounts, shared: copy.shared },
        machine: await thisMachine(config.criu),
      };
    },
    'node.preflight': async ({ user, bytes, limits, machine, ports, pings, address, shared }, caller) => ({
      direct: await host.direct(shared),
      obstacles: [
        ...asObstacles(jobRefusal(acceptance(node), caller.name, user)),
        ...(await nodeObstacles(
          config.name,
          {
            ...{ bytes, from: machine, ports, images: node.layout.state },
            // It is the job's home that asks.
            comesHome: caller.name === config.name,
          },
          config.criu,
        )),
        ...(address ? await networkObstacles(host) : []),
        ...(pings ? await pingObstacles(config.name, user, machine.criu) : []),
        ...limitObstacles(config.name, limits, await findControllers()),
      ],
    }),

    'move.toSource': ({ job, home: from, message }, { signal }) =>
      moves.source(job, from).handle(message, signal),
    'move.toDestination': ({ job, home: from, terms, message }, { signal }) =>
      moves.destination(job, from).handleOnTerms(terms, message, signal),
  };
}

/** What a job with an address of its own misses here. */
async function networkObstacles({ networks }: Host): Promise<Obstacle[]> {
  const problem = await networks.problem();
  return asObstacles(problem);
}

const asObstacles = (problem: GodwitError | null): Obstacle[] =>
  problem ? [{ code: problem.code, what: problem.message, fix: problem.fix ?? '' }] : [];

const asking = (as: User | null, caller: Caller): Caller => ({
  ...caller,
  user: as ?? undefined,
  by: caller.name,
});
