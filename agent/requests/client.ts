/** What clients ask. A request about a job is answered by its home; whoever else is asked passes it on. */

import { stat } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientContract } from '../api/client-contract';
import type { Caller, Handlers, Params, Result } from '../api/contract';
import { alreadyThere, asGodwitError, GodwitError, jobEnded, noSuchNode, noTerminal } from '../api/errors';
import { PAGE_BYTES } from '../api/lists';
import { type Obstacle, type Preflight, ROOT } from '../api/model';
import type { Owner } from '../api/tickets';
import { bestOf } from '../cluster/members';
import { readConsole } from '../jobs/console';
import { resolveJob } from '../jobs/reference';
import { signalNamed } from '../jobs/signals';
import type { HomedJob } from '../journal/journal';
import { filesThere } from './files';
import { withinOwnLimits } from './launcher';
import type { NodeParts } from './node';
import { type Page, pageOfAll, placeIn } from './pages';
import { assertMay } from './rights';

/** A node that does not answer must not make everybody wait. */
const SOON = { timeoutMs: 3_000 };
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

type Forwarded =
  | 'jobs.show'
  | 'jobs.kill'
  | 'jobs.pin'
  | 'jobs.type'
  | 'jobs.wait'
  | 'jobs.why'
  | 'jobs.migrate';

/** @throws `job-ended` */
function alive(job: HomedJob): HomedJob {
  if (job.state === 'ended' || job.state === 'lost') throw jobEnded(job.id);
  return job;
}

export function clientHandlers(node: NodeParts): Handlers<ClientContract> {
  const own = node.config.name;

  /** A page of what the homes have; one that does not answer has nothing. */
  function listed<T>(
    cursor: string | undefined,
    ask: (home: string, place: { after: number; bytes: number }) => Promise<Page<T, number>>,
  ) {
    return pageOfAll(node.peers.names, cursor, (home, after, bytes) =>
      ask(home, { after, bytes }).catch((error: Error) => {
        if (home === own) throw error;
        return { items: [], next: null };
      }),
    );
  }

  /** Its home knows a job by its id without asking around. */
  async function find(reference: string): Promise<{ id: string; home: string }> {
    const homed = await node.home.job(reference).catch(() => null);
    if (homed) return { id: homed.id, home: own };
    const asked = node.peers.names.map((home) =>
      node.peers.call(home, 'home.find', { job: reference }, SOON).catch((error: Error) => {
        if (home === own) throw error;
        return { jobs: [] };
      }),
    );
    return resolveJob(
      reference,
      (await Promise.all(asked)).flatMap(({ jobs }) => jobs),
    );
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
    if (node.members.state(to) === 'draining') {
      obstacles.push({
        code: 'draining',
        what: `${to} is being drained`,
        fix: 'choose another node, or `godwit undrain` it',
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

  async function console(id: string, offset: number, follow: boolean, owner: Owner) {
    const tty = (await node.home.job(id)).spec.tty !== undefined;
    let over = await node.home.isOver(id);
    node.home.onEnd(id, () => {
      over = true;
    });
    const path = node.layout.console(id);
    const from = await node.home.consoles.keptFrom(id);
    const { size } = await stat(path);
    const reading = {
      path,
      offset: Math.max(offset, from),
      over: follow ? () => over : undefined,
      keptFrom: node.home.consoles.keptNow(id, from),
    };
    const read = async (stream: Duplex) => {
      stream.resume();
      await pipeline(readConsole(reading), stream);
    };
    return { ticket: node.tickets.issue(read, undefined, owner), id, from, size, tty };
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
    'cluster.watch': (_params, { connection, user }) => {
      if (connection) node.watch.add(connection, user?.uid);
      return {};
    },
    'nodes.list': async () => ({ nodes: await node.members.list() }),
    'jobs.list': async ({ ended, after }) => {
      const { items: jobs, next } = await listed(after, async (home, place) => {
        const { jobs: items, next } = await node.peers.call(home, 'home.jobs', { ended, ...place }, SOON);
        return { items, next };
      });
      return { jobs, next };
    },
    'jobs.show': (params, caller) => atHome('jobs.show', params, caller, (id) => node.home.show(id)),
    'jobs.run': async (request, caller) => {
      const within = await withinOwnLimits(request, caller, node.host.options.helper);
      return node.home.run(within, caller.user ?? ROOT, await choose(request.node, own));
    },
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
    'jobs.history': async ({ job, after }, caller) => {
      if (job !== undefined) return historyOf(job, after, caller);
      const { items: events, next } = await listed(after, async (home, place) => {
        const { events: items, next } = await node.peers.call(home, 'home.history', place, SOON);
        return { items, next };
      });
      return { events, next };
    },
    'jobs.console': async ({ job, offset, follow }, caller) => {
      const owner = caller.user?.uid;
      node.tickets.assertRoom(owner);
      const { id, home } = await find(job);
      if (home === own) {
        await theirs(id, caller);
        return console(id, offset, follow, owner);
      }
      const wanted = { job: id, offset, follow, as: caller.user ?? null };
      const { ticket, ...what } = await node.peers.call(home, 'jobs.console', wanted);
      return { ...what, ticket: node.peers.relay(home, ticket, node.tickets, owner) };
    },
    'debug.open': async ({ job, pid, session, fresh }, { user }) => {
      node.tickets.assertRoom(user?.uid);
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
        ticket: node.peers.relay(place.node, ticket, node.tickets, user?.uid),
      };
    },
    'debug.stay': async (target, { signal }) => {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      void sayGone(target);
      return {};
    },
  };

  async function historyOf(job: string, after: string | undefined, { signal }: Caller) {
    const { id, home } = await find(job);
    if (home !== own) return node.peers.call(home, 'jobs.history', { job: id, after }, { signal });
    const { events, next } = await node.home.historyPage(id, placeIn(after), PAGE_BYTES);
    return { events, next: next === null ? null : `${next}` };
  }

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
          return node.log(`${target.job}: its debugger's client has gone: ${error}`);
        await sleep(GONE_PAUSE_MS);
      }
    }
  }
}

const transferUnavailable = (transfer: string) =>
  new GodwitError({
    code: 'transfer-unavailable',
    message: `${transfer} is not in this version`,
    fix: 'use --transfer stop, or leave it out',
  });
