/** Carries out the effects of a move's destination: receives a job, restores it frozen, and thaws it or clears it away as the home decides. */
import { execFile } from 'node:child_process';
import { mkdir, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { promisify } from 'node:util';
import { GodwitError } from '../../api/errors';
import type { DestinationFigures, FromDestination, Tickets, ToDestination } from '../../api/move-contract';
import type { Terms } from '../../api/peer-contract';
import { readSupervision } from '../../keeper/supervision';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import { JobAccount } from '../../machine/cgroup/limits';
import {
  PAGE_SERVER_LOG,
  pageServerArguments,
  RESTORE_LOG,
  restoreArguments,
} from '../../machine/criu/arguments';
import { addMountsIn, mountImagesIn } from '../../machine/criu/coming-home';
import { asUser, together } from '../../machine/criu/criu';
import { tellOfLostEvents } from '../../machine/criu/events';
import { recogniseFifos, withFifos } from '../../machine/criu/fifos';
import { recogniseHeld } from '../../machine/criu/identity';
import { explainFile } from '../../machine/criu/log';
import { putQueues } from '../../machine/criu/queues';
import { verifyPages, verifyRestored } from '../../machine/criu/verify';
import { removeMountPoint } from '../../machine/homefs/mount-point';
import { jobMountsHere } from '../../machine/homefs/mounts';
import { sockets } from '../../machine/network/sockets';
import { killEach, processesNaming } from '../../machine/proc/processes';
import { pipeStreams } from '../../wire/streams';
import { type Copy, mountOf, placeOf } from '../jobs/copy';
import type { Note } from '../journal/journal';
import {
  type DestinationEffect,
  type DestinationInput,
  type DestinationState,
  destinationAtRest,
  stepDestination,
} from './destination';
import { Executor } from './executor';
import { receiveFolder } from './image-transfer';
import { InheritedSocket } from './inherited-socket';
import { type Manifest, readManifest } from './manifest';
import { CRIU_ENV, type MoveContext, UNPARK_LIMIT_MS } from './move-context';
import { insist } from './runner';
import { mayUnpark, SPOILED } from './unparking';

/** Whatever the size, the pages are here already: this is for CRIU to map them. */
const RESTORE_LIMIT_MS = 600_000;
/** A machine on which a mount goes in each second of a few is not one on which a job can be restored. */
const MOUNTS_TRIES = 5;
/** After the source said that all is sent, this is for the page server to notice. */
const PAGES_END_MS = 60_000;

/** What fails with less room than this left fails for want of it. */
const NO_ROOM_BYTES = 64 * 1024;
const TAKE_PAGES = 'transfer of its memory';

const run = promisify(execFile);

const noRoom = (node: string, folder: string) =>
  new GodwitError({
    code: 'disk-full',
    message: `no room left on ${node} for the job's image`,
    fix: `free space for ${folder}`,
  });

/** What a move has made here so far. */
interface Received {
  copy: Copy;
  images: string;
  root: string;
  /** Settles when the small images are all here, or will not come. */
  bundle: Promise<void>;
  /** By which they come. */
  stream: Duplex | null;
  manifest: Manifest | null;
  /** In this life of the agent, a thaw has been tried. */
  thawing: boolean;
}

export class DestinationExecutor extends Executor<
  DestinationState,
  DestinationInput,
  DestinationEffect,
  ToDestination,
  FromDestination
> {
  #received: Received | null = null;
  /** Of the job that is on its way here. */
  #terms: Terms | null = null;
  /** By epoch: being asked twice to kill a copy is one piece of work. */
  readonly #kills = new Map<number, Promise<void>>();

  constructor(context: MoveContext, job: string, home: string) {
    super(context, job, home, {
      rest: destinationAtRest,
      step: stepDestination,
      role: 'destination',
      verb: 'arrives',
    });
  }

  /** A message of the home about a job on these terms. */
  handleOnTerms(terms: Terms, message: ToDestination, signal: AbortSignal): Promise<FromDestination> {
    // The terms of the message that brings the job here are the ones that were judged.
    if (message.type === 'prepare') this.#terms = terms;
    return this.handle(message, signal);
  }

  restart(note: Note, copy: Copy) {
    const { epoch } = note;
    if (note.state !== 'hosting') this.#received = this.#nothingYet(copy);
    this.takeUp(async () => {
      if (note.state === 'receiving') await this.#endReceiving(epoch);
      if (note.state === 'hosting') this.#clearTaken(epoch);
      const present = await this.context.host.presence(copy);
      return { note, present };
    });
  }

  protected override perform(effect: DestinationEffect): Promise<void> | void {
    switch (effect.do) {
      case 'note':
        return this.#note(effect.note);
      case 'prepare':
        return this.#attempt(effect.order.epoch, async (epoch) => {
          const tickets = await this.#prepare(epoch, effect.order.from);
          return { type: 'ready', epoch, ...tickets };
        });
      case 'restore':
        return this.#attempt(effect.epoch, async (epoch, signal) => ({
          type: 'restored',
          epoch,
          figures: await this.#restore(epoch, signal),
        }));
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
      (reason) => ({ type: 'executor-failed', epoch, reason }),
    );
  }

  async #note(note: Note): Promise<void> {
    const copy = this.#received?.copy ?? (await this.#newCopy(note.epoch));
    await this.context.journal.putNote({ job: this.job, note, detail: { copy } });
    // A `sending` note is the source's.
    if (note.state !== 'sending') await this.context.points.reach(`destination.${note.state}-noted`);
    if (note.state === 'hosting') {
      this.#received = null;
      this.context.host.adopt(copy);
      this.#clearTaken(note.epoch);
    }
    this.feed({ type: 'noted', note });
  }

  async #newCopy(epoch: number): Promise<Copy> {
    const cgroup = await JobCgroup.of(this.context.cgroup, `${this.job}.${epoch}`);
    const copy = this.context.host.newCopy(
      { job: this.job, epoch, home: this.home },
      this.#terms!,
      false,
      cgroup,
    );
    this.#received = this.#nothingYet(copy);
    return copy;
  }

  #nothingYet(copy: Copy): Received {
    const nothing = { bundle: Promise.resolve(), stream: null, manifest: null, thawing: false };
    return { ...this.#paths(copy.epoch), copy, ...nothing };
  }

  /** Makes all that can be made beforehand; says where the source `from` may send pages and images. */
  async #prepare(epoch: number, from: string): Promise<Tickets> {
    const { keeper, tickets, criu, helper } = this.context;
    const received = this.#received!;
    await mkdir(received.images, { recursive: true, mode: 0o700 });
    await this.#makeRoot(received);
    await JobCgroup.at(received.copy.cgroup).create();
    await this.context.host.networks.make(received.copy);
    const account = await JobAccount.of(received.copy.cgroup);
    await account.create(this.context.node, received.copy.limits);
    const argv = [await criu(), ...pageServerArguments({ images: received.images })];
    const key = this.#pagesKey(epoch);
    const inherited = await InheritedSocket.in(received.images);
    await keeper.call('process.start', { key, argv: inherited.command(helper, argv), env: CRIU_ENV });
    const wire = await inherited.connection();
    const pages = tickets.issue(
      // The source sees no more than a cut stream; why it was cut is known here.
      (stream) => pipeStreams(stream, wire, () => this.#whyNoPages(received.images)),
      { by: from, onUnused: () => wire.destroy() },
    );
    const images = await new Promise<string>((resolve) => {
      received.bundle = new Promise((arrived, missing) => {
        const late = () =>
          missing(new GodwitError({ code: 'nothing-came', message: 'the source sent no images' }));
        resolve(
          tickets.issue(
            (stream) => {
              received.stream = stream;
              return receiveFolder(received.images, stream).then(arrived, missing);
            },
            { by: from, onUnused: late },
          ),
        );
      });
      received.bundle.catch(() => {});
    });
    await this.context.points.reach('destination.prepared');
    return { pages, images };
  }

  /** What CRIU takes for the job's `/`: the home's own, here or from there. */
  async #makeRoot({ copy, root }: Received): Promise<void> {
    const files = mountOf(copy);
    if (files) await this.context.mounted.mount(files);
    else {
      await mkdir(root, { recursive: true });
      await run('mount', ['--bind', '/', root]);
    }
    await run('mount', ['--make-private', root]);
  }

  async #whyNoPages(images: string): Promise<Error> {
    const { bavail, bsize } = await statfs(images);
    // A full disk takes no log either.
    if (bavail * bsize < NO_ROOM_BYTES) return noRoom(this.context.node, images);
    return explainFile(TAKE_PAGES, join(images, PAGE_SERVER_LOG));
  }

  async #restore(epoch: number, signal: AbortSignal): Promise<DestinationFigures> {
    const received = this.#received!;
    const { copy } = received;
    const begun = performance.now();
    const manifest = await this.#whatCame(epoch, received);
    const account = await JobAccount.of(copy.cgroup);
    const attempt = async () => {
      const argv = await this.#restoreCommand(received, account);
      signal.throwIfAborted();
      return this.#runCriu(received, argv);
    };
    copy.init =
      copy.files === null ? await this.#amongMounts(received, manifest, attempt, signal) : await attempt();
    await this.context.points.reach('destination.restored');
    await this.#makeWhole(received, manifest);
    // Only now: until here CRIU was among them.
    await account.set(copy.limits);
    return { restore: performance.now() - begun };
  }

  /** Everything that the source has sent, looked at: what CRIU is to restore. */
  async #whatCame(epoch: number, received: Received): Promise<Manifest> {
    const { copy, images } = received;
    const { keeper, host, points } = this.context;
    const key = this.#pagesKey(epoch);
    const server = await keeper.call('process.wait', { key }, { timeoutMs: PAGES_END_MS });
    if (server.code !== 0) throw await this.#whyNoPages(images);
    await received.bundle;
    const manifest = await readManifest(images);
    received.manifest = manifest;
    copy.launchedStopped = manifest.launchedStopped;
    await host.setMounts(copy, manifest);
    await points.reach('destination.pages-here');
    await verifyPages(images);
    return manifest;
  }

  /**
   * At home a job gets all of the home's mounts, and somebody may take one away at any time: a container ends. CRIU fails
   * then, before it has made any of the job's files; it is started again with those that are there now.
   */
  async #amongMounts(
    { copy, images }: Received,
    { mounts }: Manifest,
    restore: () => Promise<number>,
    signal: AbortSignal,
  ): Promise<number> {
    const sent = await mountImagesIn(images);
    for (let left = MOUNTS_TRIES; ; left--) {
      const own = await jobMountsHere(this.context.layout.state);
      const added = own.filter((at) => !mounts.includes(at));
      await addMountsIn(images, sent, added, own);
      copy.mounts = [...mounts, ...added].sort();
      await this.context.points.reach('destination.mounts-known');
      try {
        return await restore();
      } catch (error) {
        if (signal.aborted) throw error;
        const now = await jobMountsHere(this.context.layout.state);
        if (left === 1 || added.every((at) => now.includes(at))) throw error;
        await this.context.host.clearRestore(copy);
      }
    }
  }

  async #restoreCommand({ copy, images, root }: Received, account: JobAccount): Promise<string[]> {
    const { helper, criu, host } = this.context;
    const { run: inside, attach } = JobCgroup.at(copy.cgroup);
    const network = host.networks.namespaceOf(copy);
    const files = copy.files === null ? '/' : root;
    return [
      ...[helper, 'restore', '--cgroup', inside, '--outside', attach, '--report', copy.report],
      ...account.joined(copy.limits).flatMap((group) => ['--join', group]),
      ...['--pidfile', join(images, 'pidfile')],
      ...(network === null ? [] : ['--network', network]),
      ...['--', await criu()],
      ...restoreArguments({ images, root, files, mounts: copy.mounts, direct: copy.direct }),
    ];
  }

  /** The job's PID 1, as this node numbers it. */
  async #runCriu({ copy, images }: Received, argv: string[]): Promise<number> {
    const { keeper, points } = this.context;
    const key = copy.supervisor;
    const env = together(CRIU_ENV, asUser(copy.user, images), withFifos(images));
    await keeper.call('process.start', { key, argv, env });
    await points.reach('destination.restore-started');
    const { line } = await this.#whileHomeAnswers(copy, () =>
      keeper.call('process.line', { key, index: 0 }, { timeoutMs: RESTORE_LIMIT_MS }),
    );
    const said = line === null ? null : readSupervision(line);
    if (!said || !('restored' in said)) throw await explainFile('restore', join(images, RESTORE_LOG));
    return said.restored.init;
  }

  /** Is it what was dumped? What CRIU does not bring back is made again. */
  async #makeWhole(received: Received, { processes: expected }: Manifest): Promise<void> {
    const { copy, images } = received;
    const { helper, host } = this.context;
    const cgroup = JobCgroup.at(copy.cgroup);
    const processes = await verifyRestored(cgroup, copy.init!, expected);
    await this.#whileHomeAnswers(copy, async () => {
      await this.#recognise(
        received,
        processes.map(({ pid }) => pid),
      );
      await host.trimMounts(copy);
    });
    const frozen = { helper, processes, run: cgroup.run, images };
    await recogniseFifos(frozen);
    await putQueues(frozen);
    await tellOfLostEvents(frozen);
  }

  #recognise({ copy, images, root }: Received, pids: number[]): Promise<void> {
    const { helper, host } = this.context;
    const { mounts } = copy;
    const network = host.networks.namespaceOf(copy);
    const abroad = copy.files !== null;
    const cgroup = JobCgroup.at(copy.cgroup);
    const job = { pids, cgroup, abroad, terms: this.#terms!, root, mounts, network };
    return recogniseHeld({ helper, images, ...job });
  }

  /** CRIU would wait for files that do not come; it is ended with what it has restored. */
  async #whileHomeAnswers<T>(copy: Copy, work: () => Promise<T>): Promise<T> {
    const files = mountOf(copy);
    if (!files) return work();
    const over = new AbortController();
    const silence = this.context.mounted.watch(files, over.signal).then(() => new Promise<never>(() => {}));
    try {
      return await Promise.race([work(), silence]);
    } finally {
      over.abort();
      silence.catch(() => {});
    }
  }

  async #thaw(epoch: number): Promise<DestinationInput> {
    const received = this.#received!;
    const { copy, images } = received;
    if (!['frozen', 'running'].includes(await this.context.host.presence(copy))) {
      // A copy that went before anybody tried to thaw it has not run.
      if (!received.thawing) this.feed({ type: 'executor-failed', epoch, reason: 'the restored copy died' });
      return { type: 'copy-died' };
    }
    const { parked } = received.manifest ?? (await readManifest(images));
    const may = await mayUnpark(this.context, copy, images, parked.length);
    if (may === 'spoiled') {
      // Nothing of it has run: the source's copy is still the job.
      this.feed({ type: 'executor-failed', epoch, reason: SPOILED });
      return { type: 'copy-died' };
    }
    received.thawing = true;
    await this.context.host.networks.putUp(copy);
    await sockets(this.context.helper, 'release', JobCgroup.at(copy.cgroup).run);
    await this.context.keeper.call(
      'job.unpark',
      { place: placeOf(copy), parked: may === 'yes' ? parked : [], thaw: !copy.launchedStopped },
      { timeoutMs: UNPARK_LIMIT_MS },
    );
    await this.context.points.reach('destination.unparked');
    // The stub has the process in ptrace-stop: from now on its client says when it runs.
    if (parked.length > 0) {
      copy.launchedStopped = false;
      copy.debugged = true;
    }
    return { type: 'unparked', epoch };
  }

  /** What the job was restored from is kept until it is written down that it lives here: until then it may be read again. */
  #clearTaken(epoch: number): void {
    void insist(
      () => this.#clearReceived(epoch),
      (line) => this.log(`not cleared: ${line}`),
    );
  }

  async #kill(epoch: number): Promise<void> {
    const received = this.#received;
    const kill = async () => {
      await this.giveUp(async () => {
        received?.stream?.destroy();
        await this.#endReceiving(epoch);
        // A restore ends with what it has restored.
        if (received) await this.context.host.end(received.copy);
      });
      // What the work made after it was interrupted.
      await this.#endReceiving(epoch);
      await this.context.points.reach('destination.killing');
      if (received) await this.context.host.clear(received.copy);
      await this.#clearReceived(epoch);
      await this.context.points.reach('destination.killed');
      if (this.#received === received) this.#received = null;
    };
    const work = this.#kills.get(epoch) ?? insist(kill, (line) => this.log(line));
    this.#kills.set(epoch, work);
    await work;
    this.#kills.delete(epoch);
    this.feed({ type: 'killed', epoch });
  }

  /** The page server holds nothing but bytes: it may be ended at any time. */
  async #endReceiving(epoch: number): Promise<void> {
    const { keeper } = this.context;
    const key = this.#pagesKey(epoch);
    const known = (await keeper.call('process.list', {})).processes.some((process) => process.key === key);
    // What an earlier keeper held is nobody's now.
    if (!known) return killEach(await processesNaming(this.#paths(epoch).images));
    await keeper.call('process.signal', { key, signal: 'SIGKILL' });
    await keeper.call('process.wait', { key });
  }

  async #clearReceived(epoch: number): Promise<void> {
    const { images, root } = this.#paths(epoch);
    await this.context.keeper.call('process.forget', { key: this.#pagesKey(epoch) });
    if (this.home === this.context.node) await this.#endRoot(root);
    await rm(images, { recursive: true, force: true });
  }

  /** At home, where it is needed for the restore alone; elsewhere the mount ends with the copy. */
  async #endRoot(root: string): Promise<void> {
    await run('umount', ['-l', root]).catch(() => {});
    await removeMountPoint(root);
  }

  #paths(epoch: number) {
    return {
      images: this.context.layout.imagesOf(this.job, epoch),
      root: this.context.layout.root(this.job, epoch),
    };
  }

  #pagesKey(epoch: number) {
    return `pages:${this.job}:${epoch}`;
  }
}
