/** What clients ask. A request about a job is answered by its home; whoever else is asked passes it on. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientContract } from '../../api/client-contract';
import type { Caller, Handlers, Params, Result } from '../../api/contract';
import { asGodwitError } from '../../api/errors';
import { ROOT, type User } from '../../api/model';
import { resolveJob } from '../jobs/reference';
import { chooseNode } from './choice';
import { withinOwnLimits } from './launcher';
import type { NodeParts } from './node';
import { type AboutOne, DEBUG_TIMEOUT_MS, OwnJobs } from './own-jobs';
import { type Page, pageOfAll } from './pages';
import { may } from './rights';

/** A node that does not answer must not make everybody wait. */
const SOON = { timeoutMs: 3_000 };
/** A job that is moving can be told in a moment. */
const GONE_PAUSE_MS = 200;

export function clientHandlers(node: NodeParts): Handlers<ClientContract> {
  const own = node.config.name;
  const here = new OwnJobs(node);

  /** A page of what the homes have; one that does not answer has nothing. */
  function listed<T>(
    cursor: string | undefined,
    ask: (home: string, position: { after: number; bytes: number }) => Promise<Page<T, number>>,
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

  /** At the job's home the answer; elsewhere what the home answers. */
  async function atHome<M extends AboutOne>(
    method: M,
    params: Params<ClientContract, M>,
    caller: Caller,
  ): Promise<{ home: string; answer: Result<ClientContract, M> }> {
    const { id, home } = await find(params.job);
    const asked = { ...params, job: id };
    if (home === own) {
      const answer = await here.handlers[method](asked as never, caller);
      return { home, answer: answer as Result<ClientContract, M> };
    }
    const options = { signal: caller.signal, timeoutMs: Number.POSITIVE_INFINITY };
    const passed = { ...asked, as: caller.user ?? null };
    const answer = await node.peers.call(home, method, passed as never, options);
    return { home, answer: answer as Result<ClientContract, M> };
  }

  async function answered<M extends AboutOne>(
    method: M,
    params: Params<ClientContract, M>,
    caller: Caller,
  ): Promise<Result<ClientContract, M>> {
    return (await atHome(method, params, caller)).answer;
  }

  return {
    'cluster.watch': (_params, { connection, user }) => {
      if (connection) node.watch.add(connection, user?.uid);
      return {};
    },
    'nodes.list': async () => ({ nodes: await node.members.list() }),
    'jobs.list': async ({ ended, after }) => {
      const { items: jobs, next } = await listed(after, async (home, position) => {
        const { jobs: items, next } = await node.peers.call(home, 'home.jobs', { ended, ...position }, SOON);
        return { items, next };
      });
      return { jobs, next };
    },
    'jobs.show': (params, caller) => answered('jobs.show', params, caller),
    'jobs.run': async (request, caller) => {
      const within = await withinOwnLimits(request, caller, node.host.options.helper);
      return node.home.run(within, caller.user ?? ROOT, await chooseNode(node, request.node));
    },
    'jobs.kill': (params, caller) => answered('jobs.kill', params, caller),
    'jobs.pin': (params, caller) => answered('jobs.pin', params, caller),
    'jobs.type': (params, caller) => answered('jobs.type', params, caller),
    'jobs.wait': (params, caller) => answered('jobs.wait', params, caller),
    'jobs.why': (params, caller) => answered('jobs.why', params, caller),
    'jobs.migrate': (params, caller) => answered('jobs.migrate', params, caller),
    'jobs.history': async ({ job, after }, caller) => {
      if (job !== undefined) return historyOf(job, after, caller);
      const as = caller.user ?? null;
      const { items: events, next } = await listed(after, async (home, position) => {
        const { events: items, next } = await node.peers.call(
          home,
          'home.history',
          { as, ...position },
          SOON,
        );
        return { items, next };
      });
      return { events, next };
    },
    'jobs.console': async (params, caller) => {
      const owner = caller.user?.uid;
      node.tickets.assertRoom(owner);
      const { home, answer } = await atHome('jobs.console', params, caller);
      return { ...answer, ticket: node.peers.relay(home, answer.ticket, node.tickets, owner) };
    },
    'debug.open': async ({ job, ...wanted }, caller) => {
      const owner = caller.user?.uid;
      node.tickets.assertRoom(owner);
      const { id, home } = await find(job);
      const asked = { ...wanted, job: id, as: caller.user ?? null };
      const options = { timeoutMs: DEBUG_TIMEOUT_MS, signal: caller.signal };
      const { ticket, node: host, pid } = await node.peers.call(home, 'home.debug', asked, options);
      return { id, node: host, home, pid, ticket: node.peers.relay(host, ticket, node.tickets, owner) };
    },
    'debug.stay': async (target, { signal, user }) => {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      void sayGone(target, user ?? null);
      return {};
    },
  };

  async function historyOf(job: string, after: string | undefined, { user, signal }: Caller) {
    const { id, home } = await find(job);
    if (home !== own)
      return node.peers.call(home, 'jobs.history', { job: id, after, as: user ?? null }, { signal });
    return here.historyOf(id, after, (one) => may(user, one));
  }

  /** Failing this, the stub's own time of grace runs out. */
  async function sayGone(target: Params<ClientContract, 'debug.stay'>, as: User | null): Promise<void> {
    const until = performance.now() + DEBUG_TIMEOUT_MS;
    for (;;) {
      try {
        const { home } = await find(target.job);
        await node.peers.call(home, 'home.debugGone', { ...target, as }, { timeoutMs: DEBUG_TIMEOUT_MS });
        return;
      } catch (error) {
        if (SAID.has(asGodwitError(error).code)) return;
        if (performance.now() > until)
          return node.log(`its debugger's client has gone: ${error}`, { job: target.job });
        await sleep(GONE_PAUSE_MS);
      }
    }
  }
}

/** There is nobody who could be told, or whoever asked had no right to say it. */
const SAID: ReadonlySet<string> = new Set(['job-ended', 'no-such-job', 'not-yours']);
