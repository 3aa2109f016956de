/** What clients ask. A request about a job is answered by its home; whoever else is asked passes it on. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientContract } from '../api/client-contract';
import type { Caller, Handlers, Params, Result } from '../api/contract';
import { asGodwitError } from '../api/errors';
import { type Job, ROOT, type User } from '../api/model';
import { resolveJob } from '../jobs/home';
import { chooseNode } from './choice';
import { type AboutOne, DEBUG_TIMEOUT_MS, OwnJobs } from './home';
import type { NodeParts } from './node';
import { may } from './rights';

/** A node that does not answer must not make everybody wait. */
const LIST_TIMEOUT_MS = 3_000;
/** A job that is moving can be told in a moment. */
const GONE_PAUSE_MS = 200;

export function clientHandlers(node: NodeParts): Handlers<ClientContract> {
  const own = node.config.name;
  const here = new OwnJobs(node);

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

  /** Every node's part of the history, in the order of time. */
  async function everywhere(user: User | undefined) {
    const as = user ?? null;
    const asked = node.peers.names
      .filter((name) => name !== own)
      .map((name) =>
        node.peers
          .call(name, 'home.history', { as }, { timeoutMs: LIST_TIMEOUT_MS })
          .then(({ events }) => events)
          .catch(() => []),
      );
    const events = (await Promise.all([here.history(undefined, (job) => may(user, job)), ...asked])).flat();
    return events.sort((a, b) => a.time.localeCompare(b.time));
  }

  return {
    'cluster.watch': (_params, { connection }) => {
      if (connection) node.watch.add(connection);
      return {};
    },
    'nodes.list': async () => ({ nodes: await node.members.list() }),
    'jobs.list': async ({ ended }) => ({ jobs: await allJobs(ended) }),
    'jobs.run': async (request, { user = ROOT }) =>
      node.home.run(request, user, await chooseNode(node, request.node)),
    'jobs.kill': (params, caller) => answered('jobs.kill', params, caller),
    'jobs.pin': (params, caller) => answered('jobs.pin', params, caller),
    'jobs.type': (params, caller) => answered('jobs.type', params, caller),
    'jobs.wait': (params, caller) => answered('jobs.wait', params, caller),
    'jobs.why': (params, caller) => answered('jobs.why', params, caller),
    'jobs.migrate': (params, caller) => answered('jobs.migrate', params, caller),
    'jobs.history': async ({ job }, { user, signal }) => {
      if (job === undefined) return { events: await everywhere(user) };
      const { id, home } = await find(job);
      if (home === own) return { events: await here.history(id, (one) => may(user, one)) };
      return node.peers.call(home, 'jobs.history', { job: id, as: user ?? null }, { signal });
    },
    'jobs.console': async (params, caller) => {
      const { home, answer } = await atHome('jobs.console', params, caller);
      return { ...answer, ticket: node.peers.relay(home, answer.ticket, node.tickets) };
    },
    'debug.open': async ({ job, ...wanted }, caller) => {
      const { id, home } = await find(job);
      const asked = { ...wanted, job: id, as: caller.user ?? null };
      const options = { timeoutMs: DEBUG_TIMEOUT_MS, signal: caller.signal };
      const { ticket, node: host, pid } = await node.peers.call(home, 'home.debug', asked, options);
      return { id, node: host, home, pid, ticket: node.peers.relay(host, ticket, node.tickets) };
    },
    'debug.stay': async (target, { signal, user }) => {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      void sayGone(target, user ?? null);
      return {};
    },
  };

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
          return node.log(`${target.job}: its debugger's client has gone: ${error}`);
        await sleep(GONE_PAUSE_MS);
      }
    }
  }
}

/** There is nobody who could be told, or whoever asked had no right to say it. */
const SAID: ReadonlySet<string> = new Set(['job-ended', 'no-such-job', 'not-yours']);
