/** What a job's home answers about its own jobs: to its own clients, and to nodes that pass on what theirs ask. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientContract } from '../../api/client-contract';
import type { Caller, CallOptions, Handlers, Params } from '../../api/contract';
import {
  alreadyThere,
  asGodwitError,
  cannotMove,
  GodwitError,
  jobAdopted,
  jobEnded,
  jobQueued,
  noTerminal,
} from '../../api/errors';
import { fitting, PAGE_BYTES } from '../../api/lists';
import type { HistoryEvent, MoveReport } from '../../api/model';
import type { Narrowed } from '../../api/peer-contract';
import type { Allocations } from '../allocations/allocations';
import type { Peers } from '../cluster/peers';
import type { HomedJobs } from '../jobs/homed-jobs';
import { checkedSignal } from '../jobs/signals';
import type { HomedJob, JobRule } from '../journal/journal';
import type { Moves } from '../migration/moves';
import { why } from '../preflight/why';
import type { Balancer } from './balancer';
import { type Choosing, chooseNode } from './choice';
import { type ConsoleParts, openConsole } from './own-console';
import { positionIn } from './pages';
import type { Queue } from './queue';
import { may, theirJob, withoutReasons } from './rights';

/** A person notices nothing of it, and a move takes longer. */
const PAUSE_MS = 50;
/** Less than a client waits for an answer: it hears that the job is moving still. */
const MOVES_WITHIN_MS = 20_000;
/** What a host answers that no longer has the job, and has not done what was asked. */
const MOVING: ReadonlySet<string> = new Set(['job-moving']);
/** The same, or it can't be asked. */
const ELSEWHERE: ReadonlySet<string> = new Set([
  'job-moving',
  'node-unreachable',
  'connection-lost',
  'no-hello',
]);

/** What is passed on to a job's home, where `job` is its id. */
export type AboutOne =
  | 'jobs.show'
  | 'jobs.kill'
  | 'jobs.pin'
  | 'jobs.balance'
  | 'jobs.type'
  | 'jobs.wait'
  | 'jobs.why'
  | 'jobs.stacks'
  | 'jobs.placed'
  | 'jobs.migrate'
  | 'jobs.console';

export interface OwnJobsParts extends Omit<Choosing, 'balancer'>, ConsoleParts {
  balancer: Pick<Balancer, 'place' | 'why'>;
  peers: Peers;
  moves: Moves;
  lists: HomedJobs;
  queue: Pick<Queue, 'end' | 'of'>;
  allocations: Allocations;
}

/** @throws `job-ended` */
function alive(job: HomedJob): HomedJob {
  if (job.state === 'adopted') throw jobAdopted(job.id, job.ledger.host);
  if (job.state === 'ended' || job.state === 'lost') throw jobEnded(job.id);
  return job;
}

/** @throws `job-ended`, `job-queued` */
function begun(job: HomedJob): HomedJob {
  if (alive(job).queuedSince !== null) throw jobQueued(job.id);
  return job;
}

const whyQueued = ({ position, why: text }: { position: number; why: string }) => ({
  because: 'queued',
  text: `it is queued, number ${position}: ${text}`,
  lasting: false,
});

export class OwnJobs {
  readonly handlers: Handlers<Pick<ClientContract, AboutOne>> = {
    'jobs.show': ({ job }) => this.parts.lists.show(job),
    'jobs.kill': async ({ job, signal }, caller) => {
      alive(await this.#theirs(job, caller));
      if (await this.parts.queue.end(job, checkedSignal(signal))) return { id: job };
      await this.#whereverItIs(
        job,
        caller.signal,
        (host) => this.parts.peers.call(host, 'host.kill', { job, signal: checkedSignal(signal) }),
        { again: MOVING, withinMs: MOVES_WITHIN_MS },
      );
      return { id: job };
    },
    'jobs.pin': ({ job, pinned }, caller) => this.#rule(job, { pinned }, caller),
    'jobs.balance': ({ job, balanced }, caller) => this.#rule(job, { balanced }, caller),
    'jobs.type': async (params, caller) => {
      const { spec } = await this.#theirs(params.job, caller);
      if (!spec.tty) throw noTerminal(params.job);
      await this.#whereverItIs(params.job, caller.signal, (host, options) =>
        this.parts.peers.call(host, 'host.type', params, options),
      );
      return {};
    },
    'jobs.wait': ({ job }, { signal }) => this.parts.home.wait(job, signal),
    'jobs.why': async ({ job, node: wanted }, { user }) => {
      const living = begun(await this.parts.home.job(job));
      return why(this.#asking(), living, await this.#choose(living, wanted), may(user, living));
    },
    'jobs.placed': async ({ job }) => {
      const { ledger, queuedSince } = alive(await this.parts.home.job(job));
      const queued = queuedSince === null ? null : this.parts.queue.of(job);
      if (queued) return { id: job, node: ledger.host, ...whyQueued(queued) };
      return { id: job, node: ledger.host, ...(await this.parts.balancer.why(job)) };
    },
    'jobs.stacks': async ({ job }, caller) => {
      begun(await this.#theirs(job, caller));
      const stacks = await this.#whereverItIs(job, caller.signal, (host, options) =>
        this.parts.peers.call(host, 'host.stacks', { job }, options),
      );
      return { ...stacks, id: job };
    },
    'jobs.migrate': (params, caller) => this.#migrate(params, caller),
    'jobs.console': async (params, caller) => {
      await this.#theirs(params.job, caller);
      const by = caller.by ?? this.parts.node;
      return openConsole(this.parts, params, { by, owner: caller.user?.uid });
    },
  };

  constructor(private readonly parts: OwnJobsParts) {}

  /** A page, of one job or of all. @param mayLook whose reasons are reported @param narrowed of which jobs alone it is told */
  async history(
    job: string | undefined,
    { after, bytes }: { after: number; bytes: number },
    mayLook: (job: HomedJob) => boolean,
    narrowed?: Narrowed,
  ): Promise<{ events: HistoryEvent[]; next: number | null }> {
    const { home, lists } = this.parts;
    const { events, next } = await lists.historyPage(job, after, bytes);
    const known = new Map<string, HomedJob | null>();
    for (const { job: id } of events) if (!known.has(id)) known.set(id, await home.job(id).catch(() => null));
    const told = events.filter(({ job: id }) => !narrowed || isWithin(known.get(id) ?? null, narrowed));
    const mayLookInto = (id: string) => {
      const one = known.get(id);
      return !!one && mayLook(one);
    };
    return { events: withoutReasons(told, mayLookInto), next };
  }

  /** A page of one job's, as clients get it. @throws `no-such-job`, `bad-message` */
  async historyOf(job: string, after: string | undefined, mayLook: (job: HomedJob) => boolean) {
    const position = { after: positionIn(after), bytes: PAGE_BYTES };
    await this.parts.home.job(job);
    const { events, next } = await this.history(job, position, mayLook);
    return { events, next: next === null ? null : `${next}` };
  }

  async #rule(job: string, rule: JobRule, caller: Caller): Promise<{ id: string }> {
    alive(await this.#theirs(job, caller));
    await this.parts.home.rule(job, rule);
    return { id: job };
  }

  #theirs(id: string, caller: Caller): Promise<HomedJob> {
    return theirJob(this.parts.home, id, caller);
  }

  #asking() {
    const { node, peers, moves } = this.parts;
    const estimate = (bytes: number) => moves.estimator.estimate(bytes);
    const outside = ({ spec }: HomedJob, to: string) => this.parts.allocations.outside(spec.allocation, to);
    return { node, peers, estimate, outside };
  }

  /** `best` is one of the nodes on which the job may be; one that is named and is none of them has an obstacle. */
  async #choose({ spec: { user, allocation, nodes } }: HomedJob, wanted: string): Promise<string> {
    const { allocations } = this.parts;
    const isWithin = wanted === 'best' && allocation !== null && allocations.inForce;
    const placement = isWithin ? await allocations.placement(user, allocation) : null;
    return chooseNode(this.parts, wanted, { only: nodes ?? null, allocation: placement });
  }

  async #migrate(params: Params<ClientContract, 'jobs.migrate'>, caller: Caller) {
    const { job: id, transfer } = params;
    const job = begun(await this.#theirs(id, caller));
    const to = await this.#choose(job, params.node);
    if (transfer !== 'auto' && transfer !== 'stop') throw transferUnavailable(transfer);
    return this.move(id, to, caller.signal);
  }

  /** @param reason why, where no person asked for it @throws GodwitError what stops it */
  async move(id: string, to: string, signal: AbortSignal, reason?: string): Promise<MoveReport> {
    const { home, moves } = this.parts;
    const job = begun(await home.job(id));
    if (to === job.ledger.host) throw alreadyThere(id, to);
    const { obstacles } = await why(this.#asking(), job, to, true);
    if (obstacles.length > 0) throw cannotMove(id, to, fitting(obstacles));
    const { ledger } = alive(await home.job(id));
    const report = await moves.coordinator(id).migrate(ledger, to, 'stop', signal, reason);
    moves.estimator.learn(report);
    return report;
  }

  /** Asks the node that has the job; one that is on its way is asked again where it comes to. */
  async #whereverItIs<T>(
    id: string,
    signal: AbortSignal,
    askHost: (host: string, options: CallOptions) => Promise<T>,
    { again = ELSEWHERE, withinMs = Number.POSITIVE_INFINITY } = {},
  ): Promise<T> {
    for (const until = performance.now() + withinMs; ; await sleep(PAUSE_MS)) {
      const { ledger } = alive(await this.parts.home.job(id));
      try {
        return await askHost(ledger.host, { signal, timeoutMs: Number.POSITIVE_INFINITY });
      } catch (error) {
        const isOver = signal.aborted || performance.now() > until;
        if (isOver || !again.has(asGodwitError(error).code)) throw error;
      }
    }
  }
}

/** One that is not known any more is in none. */
const isWithin = (job: HomedJob | null, { allocation, uid }: Narrowed): boolean =>
  job !== null &&
  (allocation === null || job.spec.allocation === allocation) &&
  (uid === null || job.spec.user.uid === uid);

const transferUnavailable = (transfer: string) =>
  new GodwitError({
    code: 'transfer-unavailable',
    message: `${transfer} is not in this version`,
    fix: 'use --transfer stop, or leave it out',
  });
