/** The source's hands: they park, freeze, dump and carry a job away, and give it back or let it go as they are told. */
import { once } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { asGodwitError, GodwitError } from '../../api/errors';
import type { FromSource, Send, SourceFigures, ToSource } from '../../api/move-contract';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import { DUMP_LOG, dumpArguments } from '../../machine/criu/arguments';
import { asUser, seeingLimits, together } from '../../machine/criu/criu';
import { noteEvents } from '../../machine/criu/events';
import { noteFifos } from '../../machine/criu/fifos';
import type { Frozen } from '../../machine/criu/frozen';
import { noteHeld } from '../../machine/criu/identity';
import { explainFile } from '../../machine/criu/log';
import { notedDescriptors } from '../../machine/criu/noted';
import { putQueues, takeQueues } from '../../machine/criu/queues';
import { dropLinksIn } from '../../machine/criu/remaps';
import { readDumpStats } from '../../machine/criu/stats';
import { mendThreadsIn, seeingFirstThreads } from '../../machine/criu/thread-timers';
import { mendTimersIn } from '../../machine/criu/timerfds';
import { syncShared } from '../../machine/homefs/control';
import { settleConnections, sockets } from '../../machine/network/sockets';
import { cpuTimeOf, signalPid } from '../../machine/proc/identity';
import { jobProcesses, processesNaming } from '../../machine/proc/processes';
import { pipeStreams } from '../../wire/streams';
import { type Copy, mountOf, placeOf } from '../jobs/copy';
import type { Note } from '../journal/journal';
import { refuseMessages } from '../preflight/messages';
import { sendFolder } from './carriage';
import { type Manifest, readManifest, writeManifest } from './manifest';
import { PROGRAM_ENDED } from './messages';
import { CRIU_ENV, type Place, UNPARK_LIMIT_MS } from './place';
import { Plug } from './plug';
import { Role } from './role';
import { allOver, insist } from './runner';
import { type SourceEffect, type SourceInput, type SourceState, sourceAtRest, stepSource } from './source';
import { whileItMoves } from './stall';
import { mayUnpark, SPOILED } from './unparking';

/** The longest that a dump may take: some hundred GB over a slow network. */
const DUMP_LIMIT_MS = 3_600_000;
/** How long a dump whose pages nobody takes any more may need to let go of the job. */
const DUMP_END_MS = 60_000;
/** The destination's reason for not taking pages comes about when the dump notices that it does not. */
const CUT_MS = 500;
const PAGE_BYTES = 4096;
const ORPHAN_POLL_MS = 20;
/** A supervisor reports an end within milliseconds, on a busy machine within a second; one that was killed never does. */
const REPORT_MS = 10_000;
const REPORT_POLL_MS = 20;

const stillDumped = (job: string) =>
  new GodwitError({
    code: 'still-dumped',
    message: `a CRIU that nobody holds any more has not let go of job ${job} after ${DUMP_END_MS} ms`,
  });

const programEnded = (cause?: unknown) =>
  new GodwitError({ code: 'job-ended', message: PROGRAM_ENDED }, { cause });

interface Dump {
  criu: string;
  copy: Copy;
  epoch: number;
  images: string;
  /** Where they go. */
  pages: Duplex;
  /** The destination. */
  to: string;
}

export class Departure extends Role<SourceState, SourceInput, SourceEffect, ToSource, FromSource> {
  /** The streams of the dump under way; cutting them makes CRIU give the job back by itself. */
  readonly #streams: Duplex[] = [];

  constructor(place: Place, job: string, home: string) {
    super(place, job, home, { rest: sourceAtRest, step: stepSource, role: 'source', verb: 'leaves' });
  }

  restart(note: Note, copy: Copy) {
    this.takeUp(async () => {
      if (note.state === 'sending') await this.#endDump(note.epoch);
      return { note, present: await this.place.host.presence(copy) };
    });
  }

  protected override perform(effect: SourceEffect): Promise<void> | void {
    switch (effect.do) {
      case 'note':
        return this.#noteOrFail(effect.note);
      case 'park-freeze-dump':
        return this.#send(effect.order);
      case 'thaw-unpark':
        void this.insist(() => this.#thaw(effect.epoch), { type: 'unparked', epoch: effect.epoch });
        return;
      case 'kill-copy':
        void this.insist(() => this.#kill(effect.epoch), { type: 'killed', epoch: effect.epoch });
        return;
      default:
        return this.performAny(effect);
    }
  }

  async #noteOrFail(note: Note): Promise<void> {
    if (note.state === 'hosting') {
      await insist(
        () => this.#note(note),
        (line) => this.log(line),
      );
      return;
    }
    await this.#note(note).catch(({ message }: Error) =>
      this.feed({ type: 'not-noted', epoch: note.epoch, reason: message }),
    );
  }

  async #note(note: Note): Promise<void> {
    const { host, journal } = this.place;
    const copy = host.copy(this.job);
    // Its home has been told of its end, or is being told.
    if (!copy) throw programEnded();
    if (note.state === 'hosting') copy.epoch = note.epoch;
    await journal.putNote({ job: this.job, note, detail: { copy } });
    if (note.state === 'sending') await this.place.points.reach('source.sending-noted');
    if (note.state === 'hosting') await this.place.points.reach('source.hosting-noted');
    this.feed({ type: 'noted', note });
  }

  #send(order: Send): void {
    const { epoch } = order;
    this.begin(
      async (signal): Promise<SourceInput> => {
        try {
          return { type: 'dumped', epoch, figures: await this.#carry(order, signal) };
        } catch (error) {
          throw (await this.#endedByItself()) ? programEnded(error) : error;
        } finally {
          // Of a carriage that has ended there is nothing left to cut.
          this.#cutStreams();
        }
      },
      (reason) => ({ type: 'dump-failed', epoch, reason }),
    );
  }

  async #endedByItself(): Promise<boolean> {
    for (const until = performance.now() + REPORT_MS; ; await sleep(REPORT_POLL_MS)) {
      const copy = this.place.host.copy(this.job);
      if (!copy) return true;
      if (copy.injury !== null) return false;
      const presence = await this.place.host.presence(copy);
      // Nothing of it lives: its supervisor may be about to say how it ended.
      if (presence !== 'none' || performance.now() > until) return presence === 'ended';
    }
  }

  /** Opens the streams while the job still runs; then park, freeze, dump, carry. */
  async #carry({ epoch, to, ...tickets }: Send, signal: AbortSignal): Promise<SourceFigures> {
    const { keeper, peers, layout, host, points } = this.place;
    const begun = performance.now();
    const copy = host.copy(this.job)!;
    const images = layout.imagesOf(this.job, epoch);
    await mkdir(images, { recursive: true, mode: 0o700 });
    const criu = await this.place.criu();
    const pages = await peers.openStream(to, tickets.pages, this.place.tickets);
    this.#streams.push(pages);
    const bundle = await peers.openStream(to, tickets.images, this.place.tickets);
    this.#streams.push(bundle);
    await points.reach('source.streams-open');

    await settleConnections(this.place.helper, JobCgroup.at(copy.cgroup).run);
    signal.throwIfAborted();
    const parking = performance.now();
    const { parked, parkMs, frozenMs } = await keeper
      .call('job.park', { place: placeOf(copy) }, { timeoutMs: 60_000 })
      // Who waits for a file can't be frozen.
      .catch(async (error: Error) => {
        throw (await this.#silence(copy)) ?? error;
      });
    const frozenAfter = performance.now() - begun - frozenMs;
    const frozen = await this.#frozen(copy, images);
    await this.#readyForDump(copy, frozen, parked);
    const dumping = performance.now();
    await points.reach('source.parked');
    await this.#carryWhatWaits(frozen);
    signal.throwIfAborted();
    await this.#dump({ criu, copy, epoch, images, pages, to });
    await points.reach('source.dumped');
    await Promise.all([mendTimersIn(images), mendThreadsIn(images, frozen.processes), dropLinksIn(images)]);
    const carrying = performance.now();
    const small = await sendFolder(images, bundle);
    await points.reach('source.images-sent');
    const { pagesWritten } = await readDumpStats(images);
    return {
      park: Math.max(parkMs, dumping - parking),
      frozenAfter,
      dump: carrying - dumping,
      transfer: performance.now() - carrying,
      bytes: small + pagesWritten * PAGE_BYTES,
    };
  }

  /** Three things that have nothing to do with each other, and would each add to the time that the job is frozen. */
  async #readyForDump(copy: Copy, frozen: Frozen, parked: Manifest['parked']): Promise<void> {
    await allOver([
      this.#syncFiles(copy),
      this.#holdNetwork(copy),
      this.place.host.trimMounts(copy).then(() => this.#noteWhatTravels(copy, frozen, parked)),
    ]);
  }

  /** What CRIU would lose of what is on its way within the job; it is noted what that holds. */
  async #carryWhatWaits(frozen: Frozen): Promise<void> {
    const noted = await notedDescriptors(frozen.images);
    await refuseMessages(frozen, noted);
    await allOver([takeQueues(frozen, noted), noteFifos(frozen, noted), noteEvents(frozen, noted)]);
  }

  async #syncFiles(copy: Copy): Promise<void> {
    const files = mountOf(copy);
    if (files) await this.place.mounted.sync(files);
    await syncShared(copy.direct);
  }

  async #holdNetwork(copy: Copy): Promise<void> {
    await this.place.host.networks.takeDown(copy);
    await sockets(this.place.helper, 'hold', JobCgroup.at(copy.cgroup).run);
  }

  /** Said of the frozen job itself: what CRIU reads later, it finds by paths that others may change. */
  async #noteWhatTravels(copy: Copy, frozen: Frozen, parked: Manifest['parked']): Promise<void> {
    const { held, mounts, shared } = copy;
    const { helper, images, processes } = frozen;
    const pids = processes.map(({ pid }) => pid);
    const manifest = { processes: processes.map(({ inner }) => inner), parked, held, mounts, shared };
    await Promise.all([
      writeManifest(images, manifest),
      noteHeld({ helper, pids, images, abroad: copy.files !== null }),
    ]);
  }

  async #dump({ criu, copy, epoch, images, pages, to }: Dump): Promise<void> {
    const { keeper, helper } = this.place;
    const run = JobCgroup.at(copy.cgroup).run;
    const network = await this.place.host.networks.inodeOf(copy);
    const argv = [
      criu,
      ...dumpArguments({ init: copy.init!, images, run, mounts: copy.mounts, network, stream: true }),
    ];
    const key = this.#dumpKey(epoch);
    const env = together(CRIU_ENV, await seeingLimits(), asUser(copy.user, images), seeingFirstThreads());
    const plug = await Plug.in(images);
    const { pid } = await keeper.call('process.start', { key, argv: plug.command(helper, argv), env });
    const wire = await plug.connection();
    this.#streams.push(wire);
    await this.place.points.reach('source.dump-started');
    const piped = pipeStreams(wire, pages).catch((error: Error) => error);
    const { code, signal } = await whileItMoves(
      `the transfer of its memory to ${to}`,
      async () => `${wire.bytesRead} ${await cpuTimeOf(pid)}`,
      keeper.call('process.wait', { key }, { timeoutMs: DUMP_LIMIT_MS }),
    );
    if (signal !== null) throw this.#injured(copy, signal);
    if (code !== 0) throw await this.#whyNoDump(copy, images, pages);
    wire.end();
    await piped;
  }

  /** CRIU had the job's processes in its hands: what becomes of them now is not their doing. */
  #injured(copy: Copy, signal: string): GodwitError {
    copy.injury = `CRIU was ended by ${signal} while it was inside the job's processes on ${this.place.node}`;
    return new GodwitError({ code: 'dump-failed', message: copy.injury });
  }

  /** A destination that takes no pages makes the dump fail too, and says why as it cuts the stream. */
  async #whyNoDump(copy: Copy, images: string, pages: Duplex): Promise<Error> {
    const silence = await this.#silence(copy);
    if (silence) return silence;
    const failure = await explainFile('dump', join(images, DUMP_LOG));
    if (failure.code !== 'dump-failed') return failure;
    if (!pages.closed) await once(pages, 'close', { signal: AbortSignal.timeout(CUT_MS) }).catch(() => {});
    return pages.errored ?? failure;
  }

  /** Of a home that does not answer for the job's files: the cause of whatever else went wrong. */
  async #silence(copy: Copy): Promise<Error | null> {
    const files = mountOf(copy);
    if (!files) return null;
    return this.place.mounted.answers(files, []).then(
      () => null,
      (error: Error) => error,
    );
  }

  #cutStreams() {
    for (const stream of this.#streams.splice(0)) stream.destroy();
  }

  /** A dump is never killed while it is inside the job: without its streams it fails by itself and leaves the job whole. */
  async #endDump(epoch: number): Promise<void> {
    const { keeper } = this.place;
    this.#cutStreams();
    const key = this.#dumpKey(epoch);
    try {
      // One that was stopped can't let go.
      await keeper.call('process.signal', { key, signal: 'SIGCONT' });
      // What an earlier life of the agent began has lost its other end with it.
      await keeper.call('process.wait', { key }, { timeoutMs: DUMP_END_MS });
    } catch (error) {
      if (asGodwitError(error).code !== 'no-such-process') throw error;
      await this.#orphanEnds(epoch);
    }
    await keeper.call('process.forget', { key });
  }

  /**
   * A dump that an earlier keeper held has lost its stream with it: it lets go of the job by itself. Of one that was
   * killed a child may be left that it had stopped.
   */
  async #orphanEnds(epoch: number): Promise<void> {
    const images = this.place.layout.imagesOf(this.job, epoch);
    const until = performance.now() + DUMP_END_MS;
    for (let left = await processesNaming(images); left.length > 0; left = await processesNaming(images)) {
      for (const pid of left) signalPid(pid, 'SIGCONT');
      if (performance.now() > until) throw stillDumped(this.job);
      await sleep(ORPHAN_POLL_MS);
    }
  }

  async #thaw(epoch: number): Promise<void> {
    const { host, keeper, layout, points } = this.place;
    const copy = host.copy(this.job);
    if (!copy) return this.feed({ type: 'copy-died', reason: 'its agent knows of none' });
    await this.giveUp(() => this.#endDump(epoch));
    // What CRIU has broken is not the program's own end.
    if (copy.injury !== null && (await host.presence(copy)) === 'ended')
      return this.feed({ type: 'copy-died', reason: copy.injury });
    await points.reach('source.thawing');
    const images = layout.imagesOf(this.job, epoch);
    // For a keeper that did not park them: one that did knows better.
    const manifest = await readManifest(images).catch(() => null);
    const parked = manifest?.parked ?? [];
    const may = await mayUnpark(this.place, copy, images, parked.length);
    if (may === 'spoiled') return this.#spoiled(copy);
    await this.place.host.networks.putUp(copy);
    await sockets(this.place.helper, 'release', JobCgroup.at(copy.cgroup).run);
    // The job goes on, whatever becomes of what was typed.
    await this.#frozen(copy, images)
      .then(putQueues)
      .catch((error: Error) => this.log(error.message));
    await keeper.call(
      'job.unpark',
      { place: placeOf(copy), parked: may === 'yes' ? parked : [], thaw: !copy.held },
      { timeoutMs: UNPARK_LIMIT_MS },
    );
    if (parked.length > 0) copy.debugged = true;
    await this.place.points.reach('source.unparked');
    await this.#clearImages(epoch);
  }

  /** This was the only copy that could still have run. */
  async #spoiled(copy: Copy): Promise<void> {
    await JobCgroup.at(copy.cgroup).kill();
    this.feed({ type: 'copy-died', reason: SPOILED });
  }

  async #kill(epoch: number): Promise<void> {
    const { host } = this.place;
    const copy = host.copy(this.job);
    await this.giveUp(() => this.#endDump(epoch));
    await this.place.points.reach('source.killing');
    // Let go of first: its end is no longer the job's.
    host.release(this.job);
    if (copy) await host.clear(copy);
    await this.#clearImages(epoch);
    await this.place.points.reach('source.killed');
  }

  #clearImages(epoch: number) {
    return rm(this.place.layout.imagesOf(this.job, epoch), { recursive: true, force: true });
  }

  async #frozen({ cgroup }: Copy, images: string): Promise<Frozen> {
    const group = JobCgroup.at(cgroup);
    const processes = await jobProcesses(group);
    return { helper: this.place.helper, processes, run: group.run, images };
  }

  #dumpKey(epoch: number) {
    return `dump:${this.job}:${epoch}`;
  }
}
