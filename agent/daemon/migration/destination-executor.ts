/** Carries out the effects of a move's destination: receives and restores a job, and thaws it or clears it away as the home decides. */
import assert from 'node:assert';
import { jobMoving } from '../../api/errors';
import type { FromDestination, ToDestination } from '../../api/move-contract';
import type { Terms } from '../../api/peer-contract';
import { retryUntilDone } from '../../api/retry';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import { sockets } from '../../machine/network/sockets';
import { type Copy, locationOf, newCopy } from '../jobs/copy';
import { presenceOf } from '../jobs/presence';
import type { Note } from '../journal/journal';
import {
  type DestinationEffect,
  type DestinationInput,
  type DestinationState,
  destinationAtRest,
  stepDestination,
} from './destination';
import { Executor } from './executor';
import { readManifest } from './manifest';
import { type MoveContext, PAUSES, UNPARK_LIMIT_MS } from './move-context';
import { type Received, Receiving } from './receiving';
import { Restoring } from './restoring';
import { mayUnpark, SPOILED } from './unparking';

export class DestinationExecutor extends Executor<
  DestinationState,
  DestinationInput,
  DestinationEffect,
  ToDestination,
  FromDestination
> {
  readonly #receiving: Receiving;
  readonly #restoring: Restoring;
  #received: Received | null = null;
  /** Of the job that is on its way here. */
  #terms: Terms | null = null;
  /** By epoch: being asked twice to kill a copy is one piece of work. */
  readonly #kills = new Map<number, Promise<void>>();

  constructor(context: MoveContext, job: string, home: string) {
    super(context, job, home, { rest: destinationAtRest, step: stepDestination, role: 'destination' });
    this.#receiving = new Receiving(context, job, home);
    this.#restoring = new Restoring(context);
  }

  /** Does what the home's message about a job on these terms asks for, and answers when it is done. */
  handleOnTerms(terms: Terms, message: ToDestination, signal: AbortSignal): Promise<FromDestination> {
    // The terms of the message that brings the job here are the ones that were judged.
    if (message.type === 'prepare') this.#terms = terms;
    if (message.type === 'discard') this.#recall(message.epoch);
    return this.handle(message, signal);
  }

  /** A copy that is the job's by another way than a move of this node's, or before its agent was started, runs here. */
  #recall(epoch: number): void {
    const copy = this.context.copies.get(this.job);
    if (copy?.epoch !== epoch || this.busy) return;
    if (this.context.copies.isLeaving(this.job)) throw jobMoving(this.job);
    this.feed({ type: 'restarted', note: { state: 'hosting', epoch }, present: 'running' });
  }

  restart(note: Note, copy: Copy) {
    const { epoch } = note;
    if (note.state !== 'hosting') this.#received = this.#receiving.nothingYet(copy);
    this.takeUp(async () => {
      if (note.state === 'receiving') await this.#receiving.end(epoch);
      if (note.state === 'hosting') this.#clearReceived(epoch);
      return { note, present: await presenceOf(copy) };
    });
  }

  protected override perform(effect: DestinationEffect): Promise<void> | void {
    switch (effect.do) {
      case 'note':
        return this.#note(effect.note);
      case 'prepare':
        return this.#attempt(effect.order.epoch, async (epoch) => {
          const tickets = await this.#receiving.prepare(this.#expected(), effect.order.from);
          return { type: 'ready', epoch, ...tickets };
        });
      case 'restore':
        return this.#attempt(effect.epoch, (epoch, signal) => this.#restore(epoch, signal));
      case 'unpark-thaw':
        return this.#attempt(effect.epoch, (epoch) => this.#thaw(epoch));
      case 'kill-copy':
        void this.#kill(effect.epoch);
        return;
      default:
        return this.performAny(effect);
    }
  }

  #attempt(epoch: number, work: (epoch: number, signal: AbortSignal) => Promise<DestinationInput>): void {
    this.begin(
      (signal) => work(epoch, signal),
      (why) => ({ type: 'executor-failed', epoch, ...why }),
    );
  }

  async #note(note: Note): Promise<void> {
    const { host, journal, points } = this.context;
    const copy = this.#received?.copy ?? (await this.#newCopy(note.epoch));
    await journal.putNote({ job: this.job, note, detail: { copy } });
    // A `sending` note is the source's.
    if (note.state !== 'sending') await points.reach(`destination.${note.state}-noted`);
    if (note.state === 'hosting') {
      this.#received = null;
      host.lookAfter(copy);
      this.#clearReceived(note.epoch);
    }
    this.feed({ type: 'noted', note });
  }

  async #newCopy(epoch: number): Promise<Copy> {
    const { layout, node } = this.context;
    assert(this.#terms, `nothing is known of job ${this.job} before its terms`);
    const made = {
      cgroup: (await JobCgroup.of(this.context.cgroup, `${this.job}.${epoch}`, this.#terms.allocation)).path,
      report: layout.report(this.job, epoch),
      files: this.home === node ? null : epoch,
      launchedStopped: false,
    };
    const copy = newCopy({ job: this.job, epoch, home: this.home }, this.#terms, made);
    this.#received = this.#receiving.nothingYet(copy);
    return copy;
  }

  /** What a move has made here so far: of one that is under way. */
  #expected(): Received {
    assert(this.#received, `nothing of job ${this.job} is on its way here`);
    return this.#received;
  }

  async #restore(epoch: number, signal: AbortSignal): Promise<DestinationInput> {
    const received = this.#expected();
    const begun = performance.now();
    const manifest = await this.#receiving.complete(received);
    assert(this.#terms, `nothing is known of job ${this.job} before its terms`);
    await this.#restoring.restore(received, manifest, this.#terms, signal);
    return { type: 'restored', epoch, figures: { restore: performance.now() - begun } };
  }

  async #thaw(epoch: number): Promise<DestinationInput> {
    const { helper, keeper, networks, points } = this.context;
    const received = this.#expected();
    const { copy, images } = received;
    if (!['frozen', 'running'].includes(await presenceOf(copy))) {
      // A copy that went before anybody tried to thaw it has not run.
      if (!received.thawing) this.feed({ type: 'executor-failed', epoch, reason: 'the restored copy died' });
      return { type: 'copy-died' };
    }
    const { parked } = received.manifest ?? (await readManifest(images));
    const may = await mayUnpark(keeper, copy, images, parked.length);
    if (may === 'spoiled') {
      // Nothing of it has run: the source's copy is still the job.
      this.feed({ type: 'executor-failed', epoch, reason: SPOILED });
      return { type: 'copy-died' };
    }
    received.thawing = true;
    await networks.putUp(copy);
    await sockets(helper, 'release', JobCgroup.at(copy.cgroup).run);
    await keeper.call(
      'job.unpark',
      { location: locationOf(copy), parked: may === 'yes' ? parked : [], thaw: !copy.launchedStopped },
      { timeoutMs: UNPARK_LIMIT_MS },
    );
    await points.reach('destination.unparked');
    // The stub has the process in ptrace-stop: from now on its client says when it runs.
    if (parked.length > 0) {
      copy.launchedStopped = false;
      copy.debugged = true;
    }
    return { type: 'unparked', epoch };
  }

  /** The images are kept until it is written down that the job lives here: until then they may be read again. */
  #clearReceived(epoch: number): void {
    const failed = (error: unknown) => this.log(`not cleared: ${(error as Error).message}; trying again`);
    void retryUntilDone(() => this.#receiving.clear(epoch), failed, PAUSES);
  }

  async #kill(epoch: number): Promise<void> {
    const { clearing, copies, points } = this.context;
    const received = this.#received;
    const hosted = received ? undefined : copies.get(this.job);
    const kill = async () => {
      await this.giveUp(async () => {
        received?.stream?.destroy();
        await this.#receiving.end(epoch);
        // A restore ends with what it has restored.
        if (received) await clearing.end(received.copy);
      });
      // What the work made after it was interrupted.
      await this.#receiving.end(epoch);
      await points.reach('destination.killing');
      if (received) await clearing.clear(received.copy);
      if (hosted?.epoch === epoch) {
        this.log(`its home has another copy run: the one here, of epoch ${epoch}, is ended`);
        // Let go of first: its end is no longer the job's.
        if (copies.has(hosted)) copies.delete(this.job);
        await clearing.clear(hosted);
      }
      await this.#receiving.clear(epoch);
      await points.reach('destination.killed');
      if (this.#received === received) this.#received = null;
    };
    const work = this.#kills.get(epoch) ?? retryUntilDone(kill, this.logRetry, PAUSES);
    this.#kills.set(epoch, work);
    await work;
    this.#kills.delete(epoch);
    this.feed({ type: 'killed', epoch });
  }
}
