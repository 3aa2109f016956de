/** Carries out the effects of a move's source: sends a job, and thaws it or kills it as the home decides. */
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FromSource, Send, ToSource } from '../../api/move-contract';
import { retryUntilDone } from '../../api/retry';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import { putQueues } from '../../machine/criu/queues';
import { sockets } from '../../machine/network/sockets';
import { type Copy, locationOf, renumber } from '../jobs/copy';
import { presenceOf } from '../jobs/presence';
import type { Note } from '../journal/journal';
import { Executor } from './executor';
import { readManifest } from './manifest';
import { type MoveContext, PAUSES, UNPARK_LIMIT_MS } from './move-context';
import { frozenJob, programEnded, Sending } from './sending';
import { type SourceEffect, type SourceInput, type SourceState, sourceAtRest, stepSource } from './source';
import { mayUnpark, SPOILED } from './unparking';

/** A supervisor reports an end within milliseconds, on a busy machine within a second; one that was killed never does. */
const REPORT_MS = 10_000;
const REPORT_POLL_MS = 20;

export class SourceExecutor extends Executor<SourceState, SourceInput, SourceEffect, ToSource, FromSource> {
  readonly #sending: Sending;

  constructor(context: MoveContext, job: string, home: string) {
    super(context, job, home, { rest: sourceAtRest, step: stepSource, role: 'source' });
    this.#sending = new Sending(context, job);
  }

  restart(note: Note, copy: Copy) {
    this.takeUp(async () => {
      if (note.state === 'sending') await this.#sending.end(note.epoch);
      return { note, present: await presenceOf(copy) };
    });
  }

  protected override perform(effect: SourceEffect): Promise<void> | void {
    switch (effect.do) {
      case 'note':
        return this.#noteOrFail(effect.note);
      case 'park-freeze-dump':
        return this.#send(effect.order);
      case 'thaw-unpark':
        void this.untilDone(() => this.#thaw(effect.epoch), { type: 'unparked', epoch: effect.epoch });
        return;
      case 'kill-copy':
        void this.untilDone(() => this.#kill(effect.epoch), { type: 'killed', epoch: effect.epoch });
        return;
      default:
        return this.performAny(effect);
    }
  }

  async #noteOrFail(note: Note): Promise<void> {
    if (note.state === 'hosting') return retryUntilDone(() => this.#note(note), this.logRetry, PAUSES);
    await this.#note(note).catch(({ message }: Error) =>
      this.feed({ type: 'not-noted', epoch: note.epoch, reason: message }),
    );
  }

  async #note(note: Note): Promise<void> {
    const { copies, journal, points } = this.context;
    const copy = copies.get(this.job);
    // Its home has been told of its end, or is being told.
    if (!copy) throw programEnded();
    if (note.state === 'hosting') renumber(copy, note.epoch);
    await journal.putNote({ job: this.job, note, detail: { copy } });
    if (note.state === 'sending') await points.reach('source.sending-noted');
    if (note.state === 'hosting') await points.reach('source.hosting-noted');
    this.feed({ type: 'noted', note });
  }

  #send(order: Send): void {
    const { epoch } = order;
    this.begin(
      async (signal): Promise<SourceInput> => {
        try {
          return { type: 'dumped', epoch, figures: await this.#sending.send(order, signal) };
        } catch (error) {
          throw (await this.#endedByItself()) ? programEnded(error) : error;
        } finally {
          // Of a transfer that has ended there is nothing left to cut.
          this.#sending.cutStreams();
        }
      },
      (why) => ({ type: 'dump-failed', epoch, ...why }),
    );
  }

  async #endedByItself(): Promise<boolean> {
    for (const until = performance.now() + REPORT_MS; ; await sleep(REPORT_POLL_MS)) {
      const copy = this.context.copies.get(this.job);
      if (!copy) return true;
      if (copy.injury !== null) return false;
      const presence = await presenceOf(copy);
      // No process of it is left: its supervisor may be about to report how it ended.
      if (presence !== 'none' || performance.now() > until) return presence === 'ended';
    }
  }

  async #thaw(epoch: number): Promise<void> {
    const { copies, helper, keeper, layout, networks, points } = this.context;
    const copy = copies.get(this.job);
    if (!copy) return this.feed({ type: 'copy-died', reason: 'its agent has no copy of it' });
    await this.giveUp(() => this.#sending.end(epoch));
    // What CRIU has broken is not the program's own end.
    if (copy.injury !== null && (await presenceOf(copy)) === 'ended')
      return this.feed({ type: 'copy-died', reason: copy.injury });
    await points.reach('source.thawing');
    const images = layout.imagesOf(this.job, epoch);
    // For a keeper that did not park them: one that did knows better.
    const manifest = await readManifest(images).catch(() => null);
    const parked = manifest?.parked ?? [];
    const may = await mayUnpark(keeper, copy, images, parked.length);
    if (may === 'spoiled') return this.#spoiled(copy);
    await networks.putUp(copy);
    await sockets(helper, 'release', JobCgroup.at(copy.cgroup).run);
    // The job goes on, also if what was typed is lost.
    await frozenJob(helper, copy, images)
      .then(putQueues)
      .catch((error: Error) => this.log(error.message));
    await keeper.call(
      'job.unpark',
      { location: locationOf(copy), parked: may === 'yes' ? parked : [], thaw: !copy.launchedStopped },
      { timeoutMs: UNPARK_LIMIT_MS },
    );
    if (parked.length > 0) copy.debugged = true;
    this.context.doors.open(copy);
    await points.reach('source.unparked');
    await this.#clearImages(epoch);
  }

  /** This was the only copy that could still have run. */
  async #spoiled(copy: Copy): Promise<void> {
    await JobCgroup.at(copy.cgroup).kill();
    this.feed({ type: 'copy-died', reason: SPOILED });
  }

  async #kill(epoch: number): Promise<void> {
    const { clearing, copies, points } = this.context;
    const copy = copies.get(this.job);
    await this.giveUp(() => this.#sending.end(epoch));
    await points.reach('source.killing');
    // Let go of first: its end is no longer the job's.
    copies.delete(this.job);
    if (copy) await clearing.clear(copy);
    await this.#clearImages(epoch);
    await points.reach('source.killed');
  }

  #clearImages(epoch: number) {
    return rm(this.context.layout.imagesOf(this.job, epoch), { recursive: true, force: true });
  }
}
