/** Debuggers of a job, at its home: it says who may debug it, and asks the host for a stub. */
import type { Caller, Params, Result } from '../../api/contract';
import { jobEnded, jobMoving, jobQueued } from '../../api/errors';
import type { PeerContract } from '../../api/peer-contract';
import type { Peers } from '../cluster/peers';
import type { Home } from '../jobs/home';
import type { HomedJob } from '../journal/journal';
import type { MovesUnderWay } from '../migration/under-way';
import { theirJob } from './rights';

/** As long as a stub that has lost its line waits for it: later the stub has left by itself. */
export const DEBUG_TIMEOUT_MS = 60_000;

/** Without the user, who is the caller's. */
type Asked<M extends 'home.debug' | 'home.debugGone'> = Omit<Params<PeerContract, M>, 'as'>;

export class OwnDebuggers {
  constructor(
    private readonly parts: {
      node: string;
      home: Pick<Home, 'job'>;
      moves: Pick<MovesUnderWay, 'isMoving'>;
      peers: Pick<Peers, 'call'>;
    },
  ) {}

  /** The stream of a session with a stub is between the node of its client and the host. */
  async open(
    { job: id, pid, session, fresh }: Asked<'home.debug'>,
    caller: Caller,
  ): Promise<Result<PeerContract, 'home.debug'>> {
    const { home, node, peers } = this.parts;
    const job = await theirJob(home, id, caller);
    const { state, ledger } = job;
    // A debugger may still have to learn how one has ended.
    const over = state === 'ended';
    if (job.queuedSince !== null) throw jobQueued(id);
    if (state === 'lost' || state === 'adopted' || (over && fresh)) throw jobEnded(id);
    // A stub that waits for its client would keep the job from leaving.
    if (fresh) this.#assertSettled(job);
    const target = { job: id, pid: pid ?? job.pid ?? 0, session };
    const asked = { ...target, fresh, by: caller.by ?? node };
    const options = { timeoutMs: DEBUG_TIMEOUT_MS, signal: caller.signal };
    const { ticket } = await peers.call(ledger.host, 'host.debug', asked, options).catch((error) => {
      throw over ? jobEnded(id) : error;
    });
    return { node: ledger.host, pid: target.pid, ticket };
  }

  /** The session's client has gone for good. */
  async clientGone(target: Asked<'home.debugGone'>, caller: Caller): Promise<void> {
    const { home, peers } = this.parts;
    const job = await theirJob(home, target.job, caller);
    if (job.state === 'lost' || job.state === 'adopted') throw jobEnded(job.id);
    if (job.state !== 'ended') this.#assertSettled(job);
    await peers.call(job.ledger.host, 'host.debugGone', target, { timeoutMs: DEBUG_TIMEOUT_MS });
  }

  /** @throws `job-moving` */
  #assertSettled({ id, ledger }: HomedJob): void {
    if (this.parts.moves.isMoving(id) || ledger.open) throw jobMoving(id);
  }
}
