/**
 * Ends what outlives its allocation here: asked to by SIGTERM, then, after a grace, by SIGKILL. It is looked for from time
 * to time; root may say it sooner. Silence ends nothing.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { asGodwitError, GodwitError } from '../../api/errors';
import type { Log } from '../../log';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import type { Allocations } from '../allocations/allocations';
import type { Copies } from './copies';
import type { Copy } from './copy';
import type { Host } from './host';
import { signalProgram } from './signals';

/** For a while the nodes of an allocation that is over may be another's as well. */
const LOOK_EVERY_MS = 5_000;
const POLL_MS = 200;
/** One whose program is dead has ended by then, unless something of it does not. */
const KILL_REST_MS = 5_000;
/** A move whose nodes all answer is over by then. */
const LEAVING_MS = 120_000;

export interface OutlivingParts {
  allocations: Pick<Allocations, 'hasLeft'>;
  copies: Copies;
  host: Pick<Host, 'letGo'>;
  helper: string;
  graceMs: number;
  /** Longer than a move takes. */
  leavingMs?: number;
  log: Log;
}

export class Outliving {
  readonly #ending = new Map<string, Promise<string[]>>();
  #lastTold = '';

  constructor(private readonly parts: OutlivingParts) {}

  start(): void {
    const look = () => void this.#look().finally(() => setTimeout(look, LOOK_EVERY_MS).unref());
    look();
  }

  async #look(): Promise<void> {
    const { allocations, copies, log } = this.parts;
    const ids = new Set(copies.jobs.map((job) => copies.get(job)!.allocation));
    for (const id of ids) {
      if (id === null || this.#ending.has(id)) continue;
      try {
        if (await allocations.hasLeft(id))
          void this.end(id).catch((error: Error) => log.error(error.message));
        this.#lastTold = '';
      } catch (error) {
        const { message } = asGodwitError(error);
        if (message !== this.#lastTold) log.warn(`whether allocation ${id} is over is not known: ${message}`);
        this.#lastTold = message;
      }
    }
  }

  /** Returns when nothing runs here in it any more, and what was ended. */
  end(id: string): Promise<string[]> {
    const known = this.#ending.get(id);
    if (known) return known;
    const ending = this.#end(id).finally(() => this.#ending.delete(id));
    this.#ending.set(id, ending);
    return ending;
  }

  async #end(id: string): Promise<string[]> {
    const { copies, graceMs, leavingMs = LEAVING_MS, log } = this.parts;
    const kill = performance.now() + graceMs;
    const said = new Map<string, 'SIGTERM' | 'SIGKILL'>();
    for (;;) {
      const left = await this.#left(id);
      if (left.length === 0) return [...said.keys()];
      const now = performance.now();
      for (const copy of left) {
        // A move is over soon; then the copy is the job, or is none any more. Until then it is not this node's to end.
        if (copies.isLeaving(copy.job)) {
          if (now > kill + leavingMs) throw heldByMove(copy);
          continue;
        }
        const signal = now < kill ? 'SIGTERM' : 'SIGKILL';
        if (said.get(copy.job) !== signal) {
          said.set(copy.job, signal);
          log(`its allocation ${id} is over: ${signal}`, { job: copy.job, epoch: copy.epoch });
          await this.#tell(copy, signal);
        } else if (now > kill + KILL_REST_MS) await JobCgroup.at(copy.cgroup).kill();
      }
      await sleep(POLL_MS);
    }
  }

  async #left(id: string): Promise<Copy[]> {
    const { copies } = this.parts;
    const theirs = copies.jobs.map((job) => copies.get(job)!).filter((copy) => copy.allocation === id);
    const left = await Promise.all(
      // One whose home does not know yet of its end has no processes.
      theirs.map(async (copy) => ((await JobCgroup.at(copy.cgroup).pids()).length > 0 ? [copy] : [])),
    );
    return left.flat();
  }

  async #tell(copy: Copy, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const { helper, host, log } = this.parts;
    try {
      copy.outlived = true;
      await signalProgram(helper, copy, signal);
      if (copy.launchedStopped) await host.letGo(copy);
    } catch (error) {
      const { code, message } = asGodwitError(error);
      if (code !== 'job-ended') log(`it could not be told: ${message}`, { job: copy.job });
    }
  }
}

const heldByMove = ({ job, home, allocation }: Copy) =>
  new GodwitError({
    code: 'will-not-end',
    message: `a frozen copy of job ${job} outlives its allocation ${allocation}: its home ${home} does not say whether its move was committed`,
    fix: `it is ended when ${home} answers; if that is gone for good, \`godwit forget ${job}\` here`,
  });
