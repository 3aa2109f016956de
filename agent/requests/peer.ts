/** What agents ask of each other. */
import type { Caller, Handlers } from '../api/contract';
import { GodwitError, jobEnded, jobMoving } from '../api/errors';
import type { Obstacle, User } from '../api/model';
import { MOST_MEANT, type PeerContract } from '../api/peer-contract';
import { pipeStreams } from '../api/streams';
import { nodeObstacles, sourceObstacles, thisMachine } from '../checkpoint/machine';
import { jobObstacles } from '../checkpoint/preflight';
import { ANSWER_WITHIN_MS } from '../cluster/changes';
import { capacity } from '../cluster/members';
import { JobCgroup } from '../freezer/cgroup';
import { findControllers, limitObstacles } from '../freezer/limits';
import type { Host } from '../jobs/host';
import { signalNamed } from '../jobs/signals';
import { clientHandlers } from './client';
import { filesHere } from './files';
import type { NodeParts } from './node';
import { assertMay } from './rights';

/** Whoever waits for changes asks again at once; this is more than the way there and back. */
const WATCH_GAP_MS = 1_000;

export function peerHandlers(node: NodeParts): Handlers<PeerContract> {
  const { host, home, moves, config } = node;
  const clients = clientHandlers(node);
  return {
    ...clients,
    'jobs.kill': ({ as, ...params }, caller) => clients['jobs.kill'](params, asking(as, caller)),
    'jobs.pin': ({ as, ...params }, caller) => clients['jobs.pin'](params, asking(as, caller)),
    'jobs.type': ({ as, ...params }, caller) => clients['jobs.type'](params, asking(as, caller)),
    'jobs.migrate': ({ as, ...params }, caller) => clients['jobs.migrate'](params, asking(as, caller)),
    'jobs.console': ({ as, ...params }, caller) => clients['jobs.console'](params, asking(as, caller)),
    'node.status': async () => {
      const sights = await Promise.all(host.jobs.map((job) => host.sight(job, [])));
      const load = sights.reduce((sum, sight) => sum + (sight?.cpu ?? 0), 0);
      const address = config.members.find(({ name }) => name === config.name)!.address;
      const { name } = config;
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
    'home.history': ({ after, bytes }) => home.historyPage(undefined, after, bytes),
    'home.ended': async (end) => {
      const { job } = end;
      await home.ended(end);
      moves.forget(job);
      return {};
    },
    'home.outcome': async ({ job, epoch }, caller) => {
      // First the journal, then the state: an answer of "moving" may be followed by an abort, never the reverse.
      const outcome = await host.options.journal.outcome(job, epoch);
      if (moves.isMoving(job)) moves.conduct(job).asked(caller.name, epoch);
      return outcome;
    },
    'home.place': async ({ job, as, settled }) => {
      const homed = await home.job(job);
      assertMay(as ?? undefined, homed);
      const { state, ledger, pid } = homed;
      if (state === 'lost') throw jobEnded(job);
      if (state === 'ended') return { node: ledger.host, pid: pid ?? 0, over: true };
      if (settled && (moves.isMoving(job) || ledger.open)) throw jobMoving(job);
      return { node: ledger.host, pid: pid ?? 0, over: false };
    },
    'home.files': (asked, caller) => node.served.open({ ...asked, node: caller.name }),

    'host.launch': (order) => host.launch(order),
    'host.sight': async ({ jobs }) => {
      const stubs = await host.stubs().catch(() => []);
      const sights = await Promise.all(jobs.map((job) => host.sight(job, stubs)));
      return { sights: sights.filter((sight) => sight !== null) };
    },
    'host.kill': async ({ job, signal }) => {
      await host.kill(job, signalNamed(signal));
      return {};
    },
    'host.type': async ({ job, ...typed }, { signal }) => {
      await host.type(job, typed, signal);
      return {};
    },
    'host.debug': async ({ job, pid, session, fresh }) => {
      const { ticket } = await host.debug(job, pid, session, fresh);
      // The keeper's ticket is good at the keeper: the bytes pass through here.
      const relayed = node.tickets.issue(async (stream) => {
        await pipeStreams(stream, await host.options.keeper.openStream(ticket));
      });
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
          ...{ obstacles: [silent], bytes: 0, ports: [], files: [], mounts: [], shared: [] },
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
        ...{ obstacles, bytes: findings.bytes, ports: findings.ports },
        ...{ files: await filesHere(findings, copy), mounts: copy.mounts, shared: copy.shared },
        machine: await thisMachine(config.criu),
      };
    },
    'node.preflight': async ({ bytes, limits, machine, ports, address, shared }, caller) => ({
      direct: await host.direct(shared),
      obstacles: [
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
        ...limitObstacles(config.name, limits, await findControllers()),
      ],
    }),

    'move.toSource': ({ job, home: from, message }, caller) => {
      assertFrom(from, caller.name);
      return moves.departure(job, from).tell(message, caller.signal);
    },
    'move.toDestination': ({ job, home: from, terms, message }, caller) => {
      assertFrom(from, caller.name);
      return moves.arrival(job, from).hear(terms, message, caller.signal);
    },
  };
}

/** What a job with an address of its own misses here. */
async function networkObstacles({ networks }: Host): Promise<Obstacle[]> {
  const problem = await networks.problem();
  return problem ? [{ code: problem.code, what: problem.message, fix: problem.fix ?? '' }] : [];
}

const asking = (as: User | null, caller: Caller): Caller => ({ ...caller, user: as ?? undefined });

/** A node speaks for itself as home, never for another. */
function assertFrom(home: string, caller: string) {
  if (home === caller) return;
  throw new GodwitError({ code: 'not-home', message: `${caller} speaks as if it were ${home}` });
}
