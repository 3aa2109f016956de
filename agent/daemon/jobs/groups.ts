/**
 * Groups: jobs that have one end. The first of a group ends by itself or by a signal; when it is over, however that came,
 * the home of all of them ends the others. A home that restarts goes on with that.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { asGodwitError } from '../../api/errors';
import type { Log } from '../../log';
import type { Peers } from '../cluster/peers';
import type { HomedJob, Journal } from '../journal/journal';

/** What a program may need to put its things in order. */
const GRACE_MS = 5_000;
/** A job that moves is asked again where it has come to, and a node that is away when it answers. */
const POLL_MS = 500;
/** What is no failure: it has ended by itself, or will be asked again where it is. */
const ORDINARY: ReadonlySet<string> = new Set(['job-ended', 'job-moving', 'no-such-job']);

const lives = ({ state }: HomedJob) => state === 'starting' || state === 'running';
/** Not of one that has another home now: it may run on there, and what is left of its group here is for people to decide. */
const isOver = ({ state }: HomedJob) => state === 'ended' || state === 'lost';

export class Groups {
  /** Those whose end is being made. */
  readonly #ending = new Set<string>();
  /** Those whose first job lives, as far as is known here. */
  readonly #living = new Set<string>();

  constructor(
    private readonly options: {
      journal: Pick<Journal, 'jobs' | 'job'>;
      peers: Pick<Peers, 'call'>;
      log: Log;
    },
  ) {}

  /** What an earlier run of the agent has left, when hosts can be asked. */
  async takeUp(): Promise<void> {
    for (const { spec } of await this.options.journal.jobs({ ended: false }))
      if (spec.group) await this.review(spec.group.id);
  }

  /** A group begins. */
  begun(id: string): void {
    this.#living.add(id);
  }

  /** Is this job the first of one that is not known to have ended? */
  has(id: string): boolean {
    return this.#living.has(id);
  }

  /** Ends the others where the first is over. Never rejects. */
  async review(id: string): Promise<void> {
    try {
      const first = await this.options.journal.job(id).catch((error) => {
        // It was forgotten long ago.
        if (asGodwitError(error).code === 'no-such-job') return null;
        throw error;
      });
      if (first && !isOver(first)) return this.begun(id);
      this.#living.delete(id);
      if (this.#ending.has(id)) return;
      this.#ending.add(id);
      await this.#end(id).finally(() => this.#ending.delete(id));
    } catch (error) {
      this.options.log(`what is left of its group could not be ended: ${(error as Error).message}`, {
        job: id,
      });
    }
  }

  async #end(id: string): Promise<void> {
    const { journal, log } = this.options;
    const killed = performance.now() + GRACE_MS;
    const said = new Set<string>();
    for (;;) {
      const others = (await journal.jobs({ ended: false })).filter(
        (job) => job.spec.group?.id === id && job.id !== id && lives(job),
      );
      if (others.length === 0) return;
      if (said.size === 0) log(`its group ends: ${others.length} jobs are left of it`, { job: id });
      const signal = performance.now() < killed ? 'SIGTERM' : 'SIGKILL';
      for (const other of others) {
        const key = `${other.id} ${signal}`;
        // A program that takes its time is told once.
        if (signal === 'SIGTERM' && said.has(key)) continue;
        await this.#signal(other, signal).then(
          () => said.add(key),
          (error) => {
            const { code, message } = asGodwitError(error);
            if (!ORDINARY.has(code) && !said.has(message))
              log(`it is not ended yet: ${message}`, { job: other.id });
            said.add(message);
          },
        );
      }
      await sleep(POLL_MS);
    }
  }

  async #signal({ id, ledger }: HomedJob, signal: string): Promise<void> {
    await this.options.peers.call(ledger.host, 'host.kill', { job: id, signal });
  }
}
