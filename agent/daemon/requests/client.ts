/** What clients ask. A request about a job is answered by its home; any other node passes it on. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientContract } from '../../api/client-contract';
import type { Caller, Handlers, Params, Result } from '../../api/contract';
import { asGodwitError } from '../../api/errors';
import { fitting } from '../../api/lists';
import type { Log } from '../../log';
import type { Tickets } from '../../wire/tickets';
import type { Members } from '../cluster/members';
import type { Peers } from '../cluster/peers';
import type { ClusterWatch } from '../cluster/watch/watch';
import type { Home } from '../jobs/home';
import type { allocationAnswers } from './allocation-answers';
import type { Choosing } from './choice';
import type { clusterAnswers } from './cluster-answers';
import { Dispatch, SOON } from './dispatch';
import { type LaunchParts, launchAnswers } from './launch-answers';
import type { Leftovers } from './leftovers';
import { DEBUG_TIMEOUT_MS } from './own-debuggers';
import type { AboutOne, OwnJobs } from './own-jobs';
import { Remembered } from './remembered';
import { may } from './rights';
import { ruleAnswers } from './rule-answers';

/** A job that is moving can be asked again in a moment. */
const GONE_PAUSE_MS = 200;
/** Answers after which no stub is left that has to learn that a debugger's client has gone. */
const NO_STUB_LEFT: ReadonlySet<string> = new Set(['job-ended', 'no-such-job', 'not-yours']);

export interface ClientParts extends Choosing, LaunchParts {
  home: Pick<Home, 'job'>;
  members: Members;
  peers: Peers;
  tickets: Tickets;
  watch: ClusterWatch;
  ownJobs: OwnJobs;
  leftovers: Leftovers;
  clusterAnswers: ReturnType<typeof clusterAnswers>;
  allocationAnswers: ReturnType<typeof allocationAnswers>;
  log: Log;
}

export function clientHandlers(parts: ClientParts): Handlers<ClientContract> {
  const { node, leftovers, members, peers, scopes, tickets, watch, ownJobs } = parts;
  const dispatch = new Dispatch(parts);
  const remembered = new Remembered(members);

  async function answered<M extends AboutOne>(
    method: M,
    params: Params<ClientContract, M>,
    caller: Caller,
  ): Promise<Result<ClientContract, M>> {
    return (await dispatch.ask(method, params, caller)).answer;
  }

  return {
    ...parts.clusterAnswers.client,
    ...parts.allocationAnswers,
    'jobs.show': (params, caller) =>
      answered('jobs.show', params, caller).catch(async (error) => {
        // Its home is away: who has it tells of it.
        const seen = await dispatch.seen(params.job, caller).catch(() => null);
        if (seen?.homeSilentMs === undefined) throw error;
        return seen;
      }),
    'jobs.kill': (params, caller) => answered('jobs.kill', params, caller),
    'jobs.pin': (params, caller) => answered('jobs.pin', params, caller),
    'jobs.balance': (params, caller) => answered('jobs.balance', params, caller),
    'jobs.type': (params, caller) => answered('jobs.type', params, caller),
    'jobs.wait': (params, caller) => answered('jobs.wait', params, caller),
    'jobs.why': (params, caller) => answered('jobs.why', params, caller),
    'jobs.placed': (params, caller) => answered('jobs.placed', params, caller),
    'jobs.stacks': (params, caller) => answered('jobs.stacks', params, caller),
    'jobs.migrate': (params, caller) => answered('jobs.migrate', params, caller),
    'jobs.adopt': (params, caller) => leftovers.decide('adopt', params, caller, dispatch),
    'jobs.forget': (params, caller) => leftovers.decide('forget', params, caller, dispatch),
    'cluster.watch': async (_params, caller) => {
      const { connection, user } = caller;
      const scope = scopes.of(caller);
      const seesNode = await scopes.nodes(caller);
      if (connection) watch.add(connection, user?.uid, (whole) => scope.snapshot(whole, seesNode));
      return {};
    },
    ...ruleAnswers(parts),
    'nodes.list': async (_params, caller) => {
      const seesNode = await scopes.nodes(caller);
      return { nodes: (await members.list()).filter(({ name }) => seesNode(name)) };
    },
    'jobs.list': async ({ ended, after }, caller) => {
      const scope = scopes.of(caller);
      const ask = async (name: string, position: { after: number; bytes: number }) => {
        const page = await peers.call(name, 'home.jobs', { ended, ...position }, SOON);
        if (position.after === 0) remembered.take(name, page.jobs);
        return { items: page.jobs, next: page.next };
      };
      const { items, next } = await dispatch.list(after, ask, (name) => remembered.of(name));
      return { jobs: items.filter((job) => scope.sees(job)), next };
    },
    ...launchAnswers(parts),
    'jobs.array': async ({ job }, caller) => ({ array: await dispatch.array(job, caller) }),
    'jobs.history': async ({ job, after }, caller) => {
      const { user, signal } = caller;
      const as = user ?? null;
      if (job !== undefined) {
        const { id, home: where } = await dispatch.find(job, caller);
        const asked = (name: string) =>
          name === node
            ? ownJobs.historyOf(id, after, (one) => may(user, one))
            : peers.call(name, 'jobs.history', { job: id, after, as }, { signal });
        const page = await asked(where);
        const adopted = after === undefined && page.events.some(({ event }) => event === 'adopted');
        if (!adopted) return page;
        // What was before is in the journal of the home that it had.
        const others = peers.names.filter((name) => name !== where);
        const before = await Promise.all(others.map((name) => asked(name).catch(() => ({ events: [] }))));
        return { ...page, events: fitting([...page.events, ...before.flatMap(({ events }) => events)]) };
      }
      const { narrowed } = scopes.of(caller);
      const { items, next } = await dispatch.list(after, async (name, position) => {
        const page = await peers.call(name, 'home.history', { as, narrowed, ...position }, SOON);
        return { items: page.events, next: page.next };
      });
      return { events: items, next };
    },
    'jobs.console': async (params, caller) => {
      const owner = caller.user?.uid;
      tickets.assertRoom(owner);
      const { home: where, answer } = await dispatch.ask('jobs.console', params, caller);
      return { ...answer, ticket: peers.relay(where, answer.ticket, tickets, owner) };
    },
    'debug.open': async ({ job, ...wanted }, caller) => {
      const owner = caller.user?.uid;
      tickets.assertRoom(owner);
      const { id, home: where } = await dispatch.find(job, caller);
      const asked = { ...wanted, job: id, as: caller.user ?? null };
      const options = { timeoutMs: DEBUG_TIMEOUT_MS, signal: caller.signal };
      const { ticket, node: host, pid } = await peers.call(where, 'home.debug', asked, options);
      return { id, node: host, home: where, pid, ticket: peers.relay(host, ticket, tickets, owner) };
    },
    'debug.stay': async (target, caller) => {
      const { signal } = caller;
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      void reportGone({ ...parts, dispatch }, target, caller);
      return {};
    },
  };
}

/** Reports to the job's home that a debugger's client has gone. Failing this, the stub's own time of grace runs out. */
async function reportGone(
  { dispatch, peers, log }: { dispatch: Dispatch; peers: Peers; log: Log },
  target: Params<ClientContract, 'debug.stay'>,
  caller: Caller,
): Promise<void> {
  const as = caller.user ?? null;
  const until = performance.now() + DEBUG_TIMEOUT_MS;
  for (;;) {
    try {
      const { home } = await dispatch.find(target.job, caller);
      await peers.call(home, 'home.debugGone', { ...target, as }, { timeoutMs: DEBUG_TIMEOUT_MS });
      return;
    } catch (error) {
      if (NO_STUB_LEFT.has(asGodwitError(error).code)) return;
      if (performance.now() > until)
        return log(`its host was not told that a debugger's client has gone: ${error}`, { job: target.job });
      await sleep(GONE_PAUSE_MS);
    }
  }
}
