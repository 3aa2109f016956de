/** What clients ask. A request about a job is answered by its home; whoever else is asked passes it on. */

import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientContract } from '../api/client-contract';
import type { Caller, Handlers, Params, Result } from '../api/contract';
import { alreadyThere, asGodwitError, GodwitError, jobEnded, noSuchNode, noTerminal } from '../api/errors';
import { type Job, type Obstacle, type Preflight, ROOT } from '../api/model';
import { bestOf } from '../cluster/members';
import { readConsole } from '../jobs/console';
import { resolveJob } from '../jobs/home';
import { signalNamed } from '../jobs/signals';
import type { HomedJob } from '../journal/journal';
import { filesThere } from './files';
import type { NodeParts } from './node';
import { assertMay } from './rights';

/** A node that does not answer must not make everybody wait. */
const LIST_TIMEOUT_MS = 3_000;
/** As long as a stub that has lost its line waits for it: beyond that nobody needs to be told. */
const DEBUG_TIMEOUT_MS = 60_000;
/** A job that is moving can be told in a moment. */
const GONE_PAUSE_MS = 200;

/** A person notices nothing of it, and a move takes longer. */
const TYPE_PAUSE_MS = 50;
/** What a host says that no longer has the job, or can't be asked. */
const ELSEWHERE: ReadonlySet<string> = new Set([
  'job-moving',
  'node-unreachable',
  'connection-lost',
  'no-hello',
]);

type Forwarded = 'jobs.kill' | 'jobs.pin' | 'jobs.type' | 'jobs.wait' | 'jobs.why' | 'jobs.migrate';

/** @throws `job-ended` */
function alive(job: HomedJob): HomedJob {
  if (job.state === 'ended' || job.state === 'lost') throw jobEnded(job.id);
  return job;
}

export function clientHandlers(node: NodeParts): Handlers<ClientContract> {
  const own = node.config.name;

  async function allJobs(ended: boolean): Promise<Job[]> {
    const asked = node.peers.names.map((name) =>
      node.peers.call(name, 'home.jobs', { ended }, { timeoutMs: LIST_TIMEOUT_MS }).catch((error: Error) => {
        if (name === own) throw error;
        return { jobs: [] };
      }),
    );
    return (await Promise.all(asked))
      .flatMap(({ jobs }) => jobs)
      .sort((a, b) => a.started.localeCompare(b.started));
  }

  /** Its home knows a job by its id without asking around. */
  async function find(reference: string): Promise<{ id: string; home: string }> {
    const homed = await node.home.job(reference).catch(() => null);
    if (homed) return { id: homed.id, home: own };
    return resolveJob(reference, await allJobs(true));
  }

  /** At the job's home: `answer`; elsewhere: the home's answer. */
  async function atHome<M extends Forwarded>(
    method: M,
    params: Params<ClientContract, M> & { job: string },
    caller: Caller,
    answer: (id: string) => Promise<Result<ClientContract, M>>,
  ): Promise<Result<ClientContract, M>> {
    const { id, home } = await find(params.job);
    if (home === own) return answer(id);
    const options = { signal: caller.signal, timeoutMs: Number.POSITIVE_INFINITY };
    const passed = { ...params, job: id, as: caller.user ?? null };
    return (await node.peers.call(home, method, passed as never, options)) as Result<ClientContract, M>;
  }

  async function choose(wanted: string, home: string): Promise<string> {
    if (wanted === 'home') return home;
    if (wanted === 'best') return bestOf(await node.members.list())?.name ?? home;
    if (!node.peers.names.includes(wanted)) throw noSuchNode(wanted, node.peers.names);
    return wanted;
  }

  /** The job `id`, for one who may do something to it. */
  async function theirs(id: string, { user }: Pick<Caller, 'user'>) {
    const job = await node.home.job(id);
    assertMay(user, job);
    return job;
  }

  async function living(id: string) {
    return alive(await node.home.job(id));
  }

  async function why(id: string, to: string): Promise<Preflight> {
    const job = await living(id);
    const from = job.ledger.host;
    const source = await node.peers.call(from, 'host.preflight', { job: id });
    const { bytes, machine, ports, shared, mounts } = source;
    // What the home shares is its own there.
    let direct = to === own ? shared.map(({ at }) => at) : [];
    const obstacles: Obstacle[] = [...source.obstacles];
    if (job.pinned) {
      obstacles.push({
        code: 'pinned',
        what: `it is pinned to ${from}`,
        fix: `\`godwit unpin ${id}\` first`,
      });
    }
    try {
      const there = await node.peers.call(to, 'node.preflight', {
        ...{ job: id, bytes, machine, ports, shared },
        limits: job.spec.limits,
        address: job.spec.address !== null,
      });
      obstacles.push(...there.obstacles);
      if (to !== own) direct = there.direct;
    } catch (error) {
      const { message, fix } = asGodwitError(error);
      obstacles.push({
        code: 'node-unreachable',
        what: `${to} can't be reached: ${message}`,
        fix: fix ?? 'is its agent running?',
      });
    }
    const { obstacles: locks, ...files } = filesThere(source.files, { node: to, home: own, mounts, direct });
    obstacles.push(...locks);
    const estimateMs = node.moves.pace.estimate(bytes);
    return { can: obstacles.length === 0, obstacles, bytes, estimateMs, home: own, ...files };
  }

  async function migrate(id: string, params: Params<ClientContract, 'jobs.migrate'>, caller: Caller) {
    const job = alive(await theirs(id, caller));
    const to = await choose(params.node, own);
    if (to === job.ledger.host) throw alreadyThere(id, to);
    if (params.transfer !== 'auto' && params.transfer !== 'stop') throw transferUnavailable(params.transfer);
    const { obstacles } = await why(id, to);
    const [first] = obstacles;
    if (first)
      throw new GodwitError({
        code: first.code,
        message: `job ${id} can't move to ${to}: ${first.what}`,
        fix: first.fix,
      });
    const { ledger } = await living(id);
    const report = await node.moves.conduct(id).migrate(ledger, to, 'stop', caller.signal);
    node.moves.pace.learn(report);
    return report;
  }

  async function console(id: string, offset: number, follow: boolean) {
    const tty = (await node.home.job(id)).spec.tty !== undefined;
    let over = await node.home.isOver(id);
    node.home.onEnd(id, () => {
      over = true;
    });
    const path = node.layout.console(id);
    const { size } = await stat(path);
    const ticket = node.tickets.issue(async (stream) => {
      stream.resume();
      await pipeline(readConsole(path, offset, follow ? () => over : undefined), stream);
    });
    return { ticket, id, size, tty };
  }

  /** On whichever node it is: what is on its way is asked again where it comes to. */
  async function type(
    id: string,
    { job: _, ...typed }: Params<ClientContract, 'jobs.type'>,
    signal: AbortSignal,
  ) {
    for (;;) {
      const { ledger } = await living(id);
      try {
        const options = { signal, timeoutMs: Number.POSITIVE_INFINITY };
        await node.peers.call(ledger.host, 'host.type', { job: id, ...typed }, options);
        return;
      } catch (error) {
        if (signal.aborted || !ELSEWHERE.has(asGodwitError(error).code)) throw error;
        await sleep(TYPE_PAUSE_MS);
      }
    }
  }

  return {
    'cluster.watch': (_params, { connection }) => {
      if (connection) node.watch.add(connection);
      return {};
    },
    'nodes.list': async () => ({ nodes: await node.members.list() }),
    'jobs.list': async ({ ended }) => ({ jobs: await allJobs(ended) }),
    'jobs.run': async (request, { user = ROOT }) =>
      node.home.run(request, user, await choose(request.node, own)),
    'jobs.kill': (params, caller) =>
      atHome('jobs.kill', params, caller, async (id) => {
        const { ledger } = alive(await theirs(id, caller));
        await node.peers.call(ledger.host, 'host.kill', { job: id, signal: signalNamed(params.signal) });
        return { id };
      }),
    'jobs.pin': (params, caller) =>
      atHome('jobs.pin', params, caller, async (id) => {
        alive(await theirs(id, caller));
        await node.home.pin(id, params.pinned);
        return { id };
      }),
    'jobs.type': (params, caller) =>
      atHome('jobs.type', params, caller, async (id) => {
        const { spec } = await theirs(id, caller);
        if (!spec.tty) throw noTerminal(id);
        await type(id, params, caller.signal);
        return {};
      }),
    'jobs.wait': (params, caller) =>
      atHome('jobs.wait', params, caller, (id) => node.home.wait(id, caller.signal)),
    'jobs.why': (params, caller) =>
      atHome('jobs.why', params, caller, async (id) => why(id, await choose(params.node, own))),
    'jobs.migrate': (params, caller) =>
      atHome('jobs.migrate', params, caller, (id) => migrate(id, params, caller)),
    'jobs.history': async ({ job }, caller) => {
      if (job === undefined) return { events: await everywhere(node) };
      const { id, home } = await find(job);
      if (home === own) return { events: await node.home.history(id) };
      return node.peers.call(home, 'jobs.history', { job: id }, { signal: caller.signal });
    },
    'jobs.console': async ({ job, offset, follow }, caller) => {
      const { id, home } = await find(job);
      if (home === own) {
        await theirs(id, caller);
        return console(id, offset, follow);
      }
      const wanted = { job: id, offset, follow, as: caller.user ?? null };
      const { ticket, size, tty } = await node.peers.call(home, 'jobs.console', wanted);
      return { id, size, tty, ticket: node.peers.relay(home, ticket, node.tickets) };
    },
    'debug.open': async ({ job, pid, session, fresh }, { user }) => {
      const { id, home } = await find(job);
      // A stub that waits for its client would keep the job from leaving.
      const asked = { job: id, as: user ?? null, settled: fresh };
      const place = await node.peers.call(home, 'home.place', asked);
      if (place.over && fresh) throw jobEnded(id);
      const target = { job: id, pid: pid ?? place.pid, session };
      const options = { timeoutMs: DEBUG_TIMEOUT_MS };
      const { ticket } = await node.peers
        .call(place.node, 'host.debug', { ...target, fresh }, options)
        .catch((error) => {
          throw place.over ? jobEnded(id) : error;
        });
      return {
        id,
        node: place.node,
        home,
        pid: target.pid,
        ticket: node.peers.relay(place.node, ticket, node.tickets),
      };
    },
    'debug.stay': async (target, { signal }) => {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      void sayGone(target);
      return {};
    },
  };

  /** Failing this, the stub's own time of grace runs out. */
  async function sayGone(target: Params<ClientContract, 'debug.stay'>): Promise<void> {
    const until = performance.now() + DEBUG_TIMEOUT_MS;
    for (;;) {
      try {
        const { home } = await find(target.job);
        const { node: host } = await node.peers.call(home, 'home.place', { job: target.job, as: null });
        await node.peers.call(host, 'host.debugGone', target, { timeoutMs: DEBUG_TIMEOUT_MS });
        return;
      } catch (error) {
        if (['job-ended', 'no-such-job'].includes(asGodwitError(error).code)) return;
        if (performance.now() > until)
          return node.log(`its debugger's client has gone: ${error}`, { job: target.job });
        await sleep(GONE_PAUSE_MS);
      }
    }
  }
}

/** Every node's part of the history, in the order of time. */
async function everywhere({ peers, config, home }: NodeParts) {
  const others = peers.names.filter((name) => name !== config.name);
  const asked = others.map((name) =>
    peers
      .call(name, 'home.history', {}, { timeoutMs: LIST_TIMEOUT_MS })
      .then(({ events }) => events)
      .catch(() => []),
  );
  const events = (await Promise.all([home.history(undefined), ...asked])).flat();
  return events.sort((a, b) => a.time.localeCompare(b.time));
}

const transferUnavailable = (transfer: string) =>
  new GodwitError({
    code: 'transfer-unavailable',
    message: `${transfer} is not in this version`,
    fix: 'use --transfer stop, or leave it out',
  });
