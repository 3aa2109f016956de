/** What a job's home answers about its own jobs: to its own clients, and to nodes that pass on what theirs ask. */
import { stat } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientContract } from '../../api/client-contract';
import type { Caller, Handlers, Params, Result } from '../../api/contract';
import { alreadyThere, asGodwitError, GodwitError, jobEnded, jobMoving, noTerminal } from '../../api/errors';
import { PAGE_BYTES } from '../../api/lists';
import type { HistoryEvent, User } from '../../api/model';
import type { PeerContract } from '../../api/peer-contract';
import type { TicketOptions } from '../../wire/tickets';
import { readConsole } from '../jobs/console';
import { signalNamed } from '../jobs/signals';
import type { HomedJob } from '../journal/journal';
import { chooseNode } from './choice';
import type { NodeParts } from './node';
import { positionIn } from './pages';
import { assertMay, withoutReasons } from './rights';
import { why } from './why';

/** As long as a stub that has lost its line waits for it: beyond that nobody needs to be told. */
export const DEBUG_TIMEOUT_MS = 60_000;
/** A person notices nothing of it, and a move takes longer. */
const TYPE_PAUSE_MS = 50;
/** What a host says that no longer has the job, or can't be asked. */
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
  | 'jobs.type'
  | 'jobs.wait'
  | 'jobs.why'
  | 'jobs.migrate'
  | 'jobs.console';

/** Without the user, who is the caller's. */
type Asked<M extends 'home.debug' | 'home.debugGone'> = Omit<Params<PeerContract, M>, 'as'>;

/** @throws `job-ended` */
function alive(job: HomedJob): HomedJob {
  if (job.state === 'ended' || job.state === 'lost') throw jobEnded(job.id);
  return job;
}

export class OwnJobs {
  readonly handlers: Handlers<Pick<ClientContract, AboutOne>> = {
    'jobs.show': ({ job }) => this.node.home.show(job),
    'jobs.kill': async ({ job, signal }, caller) => {
      const { ledger } = alive(await this.#theirs(job, caller));
      await this.node.peers.call(ledger.host, 'host.kill', { job, signal: signalNamed(signal) });
      return { id: job };
    },
    'jobs.pin': async ({ job, pinned }, caller) => {
      alive(await this.#theirs(job, caller));
      await this.node.home.pin(job, pinned);
      return { id: job };
    },
    'jobs.type': async (params, caller) => {
      const { spec } = await this.#theirs(params.job, caller);
      if (!spec.tty) throw noTerminal(params.job);
      await this.#type(params, caller.signal);
      return {};
    },
    'jobs.wait': ({ job }, { signal }) => this.node.home.wait(job, signal),
    'jobs.why': async ({ job, node: wanted }, { user }) => {
      const living = alive(await this.node.home.job(job));
      return why(this.node, living, await chooseNode(this.node, wanted), user);
    },
    'jobs.migrate': (params, caller) => this.#migrate(params, caller),
    'jobs.console': async (params, caller) => {
      await this.#theirs(params.job, caller);
      return this.#console(params, { by: this.#opener(caller), owner: caller.user?.uid });
    },
  };

  constructor(private readonly node: NodeParts) {}

  /** A page, of one job or of all. @param mayLook whose reasons are told */
  async history(
    job: string | undefined,
    { after, bytes }: { after: number; bytes: number },
    mayLook: (job: HomedJob) => boolean,
  ): Promise<{ events: HistoryEvent[]; next: number | null }> {
    const { home } = this.node;
    const { events, next } = await home.historyPage(job, after, bytes);
    const told = new Map<string, boolean>();
    for (const { job: id } of events)
      if (!told.has(id)) told.set(id, await home.job(id).then(mayLook, () => false));
    return { events: withoutReasons(events, (id) => told.get(id) === true), next };
  }

  /** A page of one job's, as clients are told it. @throws `no-such-job`, `bad-message` */
  async historyOf(job: string, after: string | undefined, mayLook: (job: HomedJob) => boolean) {
    const position = { after: positionIn(after), bytes: PAGE_BYTES };
    await this.node.home.job(job);
    const { events, next } = await this.history(job, position, mayLook);
    return { events, next: next === null ? null : `${next}` };
  }

  /** The stream of a session with a stub is between the node of its client and the host. */
  async debug(
    { job: id, pid, session, fresh }: Asked<'home.debug'>,
    caller: Caller,
  ): Promise<Result<PeerContract, 'home.debug'>> {
    const job = await this.#theirs(id, caller);
    const { state, ledger } = job;
    // Of one that has ended, a debugger may still be owed the last words.
    const over = state === 'ended';
    if (state === 'lost' || (over && fresh)) throw jobEnded(id);
    // A stub that waits for its client would keep the job from leaving.
    if (fresh) this.#assertSettled(job);
    const target = { job: id, pid: pid ?? job.pid ?? 0, session };
    const asked = { ...target, fresh, by: this.#opener(caller) };
    const options = { timeoutMs: DEBUG_TIMEOUT_MS, signal: caller.signal };
    const { ticket } = await this.node.peers
      .call(ledger.host, 'host.debug', asked, options)
      .catch((error) => {
        throw over ? jobEnded(id) : error;
      });
    return { node: ledger.host, pid: target.pid, ticket };
  }

  async debugGone(target: Asked<'home.debugGone'>, caller: Caller): Promise<void> {
    const job = await this.#theirs(target.job, caller);
    if (job.state === 'lost') throw jobEnded(job.id);
    if (job.state !== 'ended') this.#assertSettled(job);
    const options = { timeoutMs: DEBUG_TIMEOUT_MS };
    await this.node.peers.call(job.ledger.host, 'host.debugGone', target, options);
  }

  /** @throws `job-moving` */
  #assertSettled({ id, ledger }: HomedJob): void {
    if (this.node.moves.isMoving(id) || ledger.open) throw jobMoving(id);
  }

  /** The node that opens the streams that come of what this caller asks. */
  #opener({ by }: Caller): string {
    return by ?? this.node.config.name;
  }

  /** The job `id`, for one who may do something to it. */
  async #theirs(id: string, { user }: { user?: User | undefined }): Promise<HomedJob> {
    const job = await this.node.home.job(id);
    assertMay(user, job);
    return job;
  }

  async #migrate(params: Params<ClientContract, 'jobs.migrate'>, caller: Caller) {
    const { home, moves } = this.node;
    const { job: id, transfer } = params;
    const job = alive(await this.#theirs(id, caller));
    const to = await chooseNode(this.node, params.node);
    if (to === job.ledger.host) throw alreadyThere(id, to);
    if (transfer !== 'auto' && transfer !== 'stop') throw transferUnavailable(transfer);
    const [obstacle] = (await why(this.node, job, to, caller.user)).obstacles;
    if (obstacle) {
      throw new GodwitError({
        code: obstacle.code,
        message: `job ${id} can't move to ${to}: ${obstacle.what}`,
        fix: obstacle.fix,
      });
    }
    const { ledger } = alive(await home.job(id));
    const report = await moves.coordinator(id).migrate(ledger, to, 'stop', caller.signal);
    moves.pace.learn(report);
    return report;
  }

  /** @param whose the node that opens the stream, and the user on whose account it is */
  async #console({ job: id, offset, follow }: Params<ClientContract, 'jobs.console'>, whose: TicketOptions) {
    const { home, layout, tickets } = this.node;
    const tty = (await home.job(id)).spec.tty !== undefined;
    let over = await home.isOver(id);
    home.onEnd(id, () => {
      over = true;
    });
    const path = layout.console(id);
    const from = await home.consoles.keptFrom(id);
    const { size } = await stat(path);
    const reading = {
      path,
      offset: Math.max(offset, from),
      over: follow ? () => over : undefined,
      keptFrom: home.consoles.keptNow(id, from),
    };
    const read = async (stream: Duplex) => {
      stream.resume();
      await pipeline(readConsole(reading), stream);
    };
    return { ticket: tickets.issue(read, whose), id, from, size, tty };
  }

  /** On whichever node it is: what is on its way is asked again where it comes to. */
  async #type(typed: Params<ClientContract, 'jobs.type'>, signal: AbortSignal) {
    const { home, peers } = this.node;
    for (;;) {
      const { ledger } = alive(await home.job(typed.job));
      try {
        const options = { signal, timeoutMs: Number.POSITIVE_INFINITY };
        await peers.call(ledger.host, 'host.type', typed, options);
        return;
      } catch (error) {
        if (signal.aborted || !ELSEWHERE.has(asGodwitError(error).code)) throw error;
        await sleep(TYPE_PAUSE_MS);
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
