/** A source's work of a move: a job is parked, frozen, dumped and sent. */
import assert from 'node:assert';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { asGodwitError, GodwitError } from '../../api/errors';
import type { Send, SourceFigures } from '../../api/move-contract';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import { DUMP_LOG, dumpArguments } from '../../machine/criu/arguments';
import { asUser, seeingLimits, together } from '../../machine/criu/criu';
import { noteEvents } from '../../machine/criu/events';
import { noteFifos } from '../../machine/criu/fifos';
import type { Frozen } from '../../machine/criu/frozen';
import { noteReferences } from '../../machine/criu/identity';
import { explainFile } from '../../machine/criu/log';
import { notedDescriptors } from '../../machine/criu/noted';
import { watchingLinks } from '../../machine/criu/preloaded';
import { takeQueues } from '../../machine/criu/queues';
import { dropLinksIn } from '../../machine/criu/remaps';
import { readDumpStats } from '../../machine/criu/stats';
import { mendThreadsIn, seeingFirstThreads } from '../../machine/criu/thread-timers';
import { mendTimersIn } from '../../machine/criu/timerfds';
import { syncShared } from '../../machine/homefs/control';
import { settleConnections, sockets } from '../../machine/network/sockets';
import { cpuTimeOf, signalPid } from '../../machine/proc/identity';
import { jobProcesses, processesNaming } from '../../machine/proc/processes';
import { pipeStreams } from '../../wire/streams';
import { type Copy, locationOf, mountOf } from '../jobs/copy';
import { refuseMessages } from '../preflight/messages';
import { refuseUnread } from '../preflight/watches';
import { sendFolder } from './image-transfer';
import { InheritedSocket } from './inherited-socket';
import { type Manifest, writeManifest } from './manifest';
import { PROGRAM_ENDED } from './messages';
import { CRIU_ENV, type MoveContext } from './move-context';
import { allOver } from './runner';
import { whileItMoves } from './stall';

/** The longest that a dump may take: some hundred GB over a slow network. */
const DUMP_LIMIT_MS = 3_600_000;
/** How long a dump whose streams are cut may need to let go of the job. */
const DUMP_END_MS = 60_000;
/** The destination's reason for not taking pages comes about when the dump notices that it does not. */
const CUT_MS = 500;
/** The keeper has its own bounds for each step of a park. */
const PARK_LIMIT_MS = 60_000;
const PAGE_BYTES = 4096;
const ORPHAN_POLL_MS = 20;

const stillDumped = (job: string) =>
  new GodwitError({
    code: 'still-dumped',
    message: `a CRIU that an earlier keeper started has not let go of job ${job} after ${DUMP_END_MS} ms`,
  });

export const programEnded = (cause?: unknown) =>
  new GodwitError({ code: 'job-ended', message: PROGRAM_ENDED }, { cause });

/** The frozen job's processes. `images`: the folder of its images. */
export async function frozenJob(helper: string, { cgroup }: Copy, images: string): Promise<Frozen> {
  const group = JobCgroup.at(cgroup);
  return { helper, processes: await jobProcesses(group), run: group.run, images };
}

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

export class Sending {
  /** The streams of the dump under way; cutting them makes CRIU give the job back by itself. */
  readonly #streams: Duplex[] = [];

  constructor(
    private readonly context: MoveContext,
    private readonly job: string,
  ) {}

  /** Opens the streams while the job still runs; then park, freeze, dump, transfer. */
  async send({ epoch, to, ...tickets }: Send, signal: AbortSignal): Promise<SourceFigures> {
    const { copies, helper, keeper, layout, points } = this.context;
    const begun = performance.now();
    const copy = copies.get(this.job);
    assert(copy, `job ${this.job} is not here`);
    const images = layout.imagesOf(this.job, epoch);
    await mkdir(images, { recursive: true, mode: 0o700 });
    const criu = await this.context.criu();
    const pages = await this.#open(to, tickets.pages);
    const bundle = await this.#open(to, tickets.images);
    await points.reach('source.streams-open');

    await settleConnections(helper, JobCgroup.at(copy.cgroup).run);
    signal.throwIfAborted();
    const parking = performance.now();
    const { parked, parkMs, frozenMs } = await keeper
      .call('job.park', { location: locationOf(copy) }, { timeoutMs: PARK_LIMIT_MS })
      // Who waits for a file can't be frozen.
      .catch(async (error: Error) => {
        throw (await this.#whyHomeIsSilent(copy)) ?? error;
      });
    const frozenAfter = performance.now() - begun - frozenMs;
    // None comes in any more: what could ask stands still.
    await this.context.doors.close(this.job);
    const frozen = await frozenJob(helper, copy, images);
    await this.#readyForDump(copy, frozen, parked);
    const dumping = performance.now();
    await points.reach('source.parked');
    await allOver([this.#saveWhatWaits(frozen), this.#homeAnswers(copy)]);
    signal.throwIfAborted();
    await this.#dump({ criu, copy, epoch, images, pages, to });
    await points.reach('source.dumped');
    await Promise.all([mendTimersIn(images), mendThreadsIn(images, frozen.processes)]);
    // It reads the image of files, which the first of these may write anew.
    await dropLinksIn(images);
    const sending = performance.now();
    const small = await sendFolder(images, bundle);
    await points.reach('source.images-sent');
    const { pagesWritten } = await readDumpStats(images);
    return {
      park: Math.max(parkMs, dumping - parking),
      frozenAfter,
      dump: sending - dumping,
      transfer: performance.now() - sending,
      bytes: small + pagesWritten * PAGE_BYTES,
    };
  }

  cutStreams() {
    for (const stream of this.#streams.splice(0)) stream.destroy();
  }

  /** A dump is never killed while it is inside the job: without its streams it fails by itself and leaves the job whole. */
  async end(epoch: number): Promise<void> {
    const { keeper } = this.context;
    this.cutStreams();
    const key = this.#dumpKey(epoch);
    try {
      // One that was stopped can't let go.
      await keeper.call('process.signal', { key, signal: 'SIGCONT' });
      // What an earlier run of the agent began has lost its other end with it.
      await keeper.call('process.wait', { key }, { timeoutMs: DUMP_END_MS });
    } catch (error) {
      if (asGodwitError(error).code !== 'no-such-process') throw error;
      await this.#orphanEnds(epoch);
    }
    await keeper.call('process.forget', { key });
  }

  /**
   * A dump that an earlier keeper started has lost its stream with it: it lets go of the job by itself. Of one that was
   * killed a child may be left that it had stopped.
   */
  async #orphanEnds(epoch: number): Promise<void> {
    const images = this.context.layout.imagesOf(this.job, epoch);
    const until = performance.now() + DUMP_END_MS;
    for (let left = await processesNaming(images); left.length > 0; left = await processesNaming(images)) {
      for (const pid of left) signalPid(pid, 'SIGCONT');
      if (performance.now() > until) throw stillDumped(this.job);
      await sleep(ORPHAN_POLL_MS);
    }
  }

  async #open(to: string, ticket: string): Promise<Duplex> {
    const stream = await this.context.peers.openStream(to, ticket, this.context.tickets);
    this.#streams.push(stream);
    return stream;
  }

  /** Three things that have nothing to do with each other, and would each add to the time that the job is frozen. */
  async #readyForDump(copy: Copy, frozen: Frozen, parked: Manifest['parked']): Promise<void> {
    const { mounts } = this.context;
    await allOver([
      this.#syncFiles(copy),
      this.#stopNetwork(copy),
      mounts.trim(copy).then(() => this.#noteWhatTravels(copy, frozen, parked)),
    ]);
  }

  /** What CRIU would lose of what waits to be read within the job; it is noted what that holds. */
  async #saveWhatWaits(frozen: Frozen): Promise<void> {
    const noted = await notedDescriptors(frozen.images);
    await refuseMessages(frozen, noted);
    await refuseUnread(frozen, noted);
    await allOver([takeQueues(frozen, noted), noteFifos(frozen, noted), noteEvents(frozen, noted)]);
  }

  async #syncFiles(copy: Copy): Promise<void> {
    const files = mountOf(copy);
    if (files) await this.context.mounted.sync(files);
    await syncShared(copy.direct);
  }

  async #stopNetwork(copy: Copy): Promise<void> {
    await this.context.networks.takeDown(copy);
    await sockets(this.context.helper, 'hold', JobCgroup.at(copy.cgroup).run);
  }

  /** Noted from the frozen job itself: what CRIU reads later, it finds by paths that others may change. */
  async #noteWhatTravels(copy: Copy, frozen: Frozen, parked: Manifest['parked']): Promise<void> {
    const { launchedStopped, mounts, shared } = copy;
    const { helper, images, processes } = frozen;
    const pids = processes.map(({ pid }) => pid);
    const inner = processes.map((process) => process.inner);
    await Promise.all([
      writeManifest(images, { processes: inner, parked, launchedStopped, mounts, shared }),
      noteReferences({ helper, pids, images, abroad: copy.files !== null }),
    ]);
  }

  async #dump({ criu, copy, epoch, images, pages, to }: Dump): Promise<void> {
    const { keeper, helper, networks, points } = this.context;
    const { init, mounts } = copy;
    assert(init !== null, `the copy of job ${this.job} has no PID 1 yet`);
    const { run } = JobCgroup.at(copy.cgroup);
    const network = await networks.inodeOf(copy);
    const argv = [criu, ...dumpArguments({ init, images, run, mounts, network, stream: true })];
    const key = this.#dumpKey(epoch);
    const env = together(
      CRIU_ENV,
      await seeingLimits(),
      asUser(copy.user, images),
      seeingFirstThreads(),
      watchingLinks(),
    );
    const inherited = await InheritedSocket.in(images);
    const { pid } = await keeper.call('process.start', { key, argv: inherited.command(helper, argv), env });
    const socket = await inherited.connection();
    this.#streams.push(socket);
    await points.reach('source.dump-started');
    const piped = pipeStreams(socket, pages).catch((error: Error) => error);
    const { code, signal } = await whileItMoves(
      `the transfer of its memory to ${to}`,
      async () => `${socket.bytesRead} ${await cpuTimeOf(pid)}`,
      keeper.call('process.wait', { key }, { timeoutMs: DUMP_LIMIT_MS }),
    );
    if (signal !== null) throw this.#injured(copy, signal);
    if (code !== 0) throw await this.#whyNoDump(copy, images, pages);
    socket.end();
    await piped;
  }

  /** CRIU was at work inside the job's processes: what becomes of them now is not their doing. */
  #injured(copy: Copy, signal: string): GodwitError {
    copy.injury = `CRIU was ended by ${signal} while it was inside the job's processes on ${this.context.node}`;
    return new GodwitError({ code: 'dump-failed', message: copy.injury });
  }

  /** A destination that takes no pages makes the dump fail too, and says why as it cuts the stream. */
  async #whyNoDump(copy: Copy, images: string, pages: Duplex): Promise<Error> {
    const unreachable = await this.#whyHomeIsSilent(copy);
    if (unreachable) return unreachable;
    const failure = await explainFile('dump', join(images, DUMP_LOG));
    if (failure.code !== 'dump-failed') return failure;
    if (!pages.closed) await once(pages, 'close', { signal: AbortSignal.timeout(CUT_MS) }).catch(() => {});
    return pages.errored ?? failure;
  }

  /** CRIU would wait for it from inside the job, where it must not be ended, however long that takes. */
  async #homeAnswers(copy: Copy): Promise<void> {
    const files = mountOf(copy);
    if (files) await this.context.mounted.answers(files, []);
  }

  /** The error of a home that does not answer for the job's files: the cause of all later errors. */
  #whyHomeIsSilent(copy: Copy): Promise<Error | null> {
    return this.#homeAnswers(copy).then(
      () => null,
      (error: Error) => error,
    );
  }

  #dumpKey(epoch: number) {
    return `dump:${this.job}:${epoch}`;
  }
}
