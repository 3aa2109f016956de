/** The destination's hands: they take a job in, restore it held, and thaw it or clear it away as they are told. */
import { execFile } from 'node:child_process';
import { mkdir, rm, rmdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { promisify } from 'node:util';
import { GodwitError } from '../api/errors';
import type { DestinationFigures, FromDestination, Tickets, ToDestination } from '../api/move-contract';
import { pipeStreams } from '../api/streams';
import { PAGE_SERVER_LOG, pageServerArguments, RESTORE_LOG, restoreArguments } from '../checkpoint/arguments';
import { explainFile } from '../checkpoint/log';
import { verifyRestored } from '../checkpoint/verify';
import { JobCgroup } from '../freezer/cgroup';
import { type Copy, placeOf } from '../jobs/copy';
import { readSupervision } from '../jobs/host';
import type { Note } from '../journal/journal';
import { type Manifest, readManifest, receiveFolder } from './carriage';
import {
  type DestinationEffect,
  type DestinationInput,
  type DestinationState,
  destinationAtRest,
  stepDestination,
} from './destination';
import { CRIU_ENV, type Place } from './place';
import { Answers, Backoff, insist, Runner } from './runner';

/** Whatever the size, the pages are here already: this is for CRIU to map them. */
const RESTORE_LIMIT_MS = 600_000;
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
}

export class Arrival {
  readonly #runner: Runner<DestinationState, DestinationInput, DestinationEffect>;
  readonly #answers = new Answers<FromDestination>();
  readonly #backoff = new Backoff();
  #received: Received | null = null;
  #takenUp: Promise<void> = Promise.resolve();
  /** By epoch: being asked twice to kill a copy is one piece of work. */
  readonly #kills = new Map<number, Promise<void>>();

  constructor(
    private readonly place: Place,
    private readonly job: string,
    private readonly home: string,
  ) {
    this.#runner = new Runner(
      destinationAtRest,
      stepDestination,
      (effect) => this.#perform(effect),
      (error) => this.#log(error.message),
    );
  }

  get busy(): boolean {
    return this.#runner.state.at !== 'idle';
  }

  async tell(message: ToDestination, signal: AbortSignal): Promise<FromDestination> {
    await this.#takenUp;
    const answer = this.#answers.next(message.epoch, signal);
    signal.addEventListener('abort', () => this.#runner.feed({ type: 'disconnected' }), { once: true });
    this.#runner.feed(message);
    return await answer;
  }

  copyDied() {
    this.#runner.feed({ type: 'copy-died' });
  }

  /** Takes up what an earlier life of the agent has left; the home's words wait until it has. */
  restart(note: Note, copy: Copy) {
    if (note.state !== 'hosting') {
      this.#received = {
        ...this.#paths(note.epoch),
        copy,
        bundle: Promise.resolve(),
        stream: null,
        manifest: null,
      };
    }
    this.#takenUp = insist(
      async () => {
        if (note.state === 'receiving') await this.#endReceiving(note.epoch);
        if (note.state === 'hosting') await this.#clearTaken(note.epoch);
        const present = await this.place.host.presence(copy);
        this.#runner.feed({ type: 'restarted', note, present: present === 'frozen' ? 'held' : present });
      },
      (line) => this.#log(line),
    );
  }

  async #perform(effect: DestinationEffect): Promise<void> {
    switch (effect.do) {
      case 'note':
        return this.#note(effect.note);
      case 'clear':
        await this.place.journal.clearNote(this.job);
        return this.#runner.feed({ type: 'cleared', epoch: effect.epoch });
      case 'prepare':
        return this.#attempt(effect.order.epoch, async (epoch) => {
          const tickets = await this.#prepare(epoch);
          return { type: 'ready', epoch, ...tickets };
        });
      case 'restore':
        return this.#attempt(effect.epoch, async (epoch) => ({
          type: 'restored',
          epoch,
          figures: await this.#restore(epoch),
        }));
      case 'unpark-thaw':
        return this.#attempt(effect.epoch, async (epoch) => {
          await this.#thaw();
          return { type: 'unparked', epoch };
        });
      case 'kill-copy':
        void this.#kill(effect.epoch);
        return;
      case 'say':
        this.#backoff.reset();
        return this.#answers.give(effect.message);
      case 'ask':
        void this.#ask(effect.epoch);
        return;
      case 'retry':
        return this.#backoff.again(() => this.#runner.feed({ type: 'retry' }));
      case 'stranded':
        return this.#log(`stays frozen until a person decides: ${effect.reason}`);
      case 'ignored':
        return this.#log(`${effect.input}: ${effect.reason}`);
    }
  }

  /** Long work: its outcome comes back as an input. */
  #attempt(epoch: number, work: (epoch: number) => Promise<DestinationInput>): void {
    work(epoch).then(
      (input) => this.#runner.feed(input),
      (error: Error) => {
        this.#log(error.message);
        this.#runner.feed({ type: 'hands-failed', epoch, reason: error.message });
      },
    );
  }

  async #note(note: Note): Promise<void> {
    const copy = this.#received?.copy ?? (await this.#newCopy(note.epoch));
    await this.place.journal.putNote({ job: this.job, note, detail: { copy } });
    if (note.state === 'hosting') {
      this.#received = null;
      this.place.host.adopt(copy);
      await this.#clearTaken(note.epoch);
    }
    this.#runner.feed({ type: 'noted', note });
  }

  async #newCopy(epoch: number): Promise<Copy> {
    const cgroup = await JobCgroup.of(this.place.cgroup, `${this.job}.${epoch}`);
    const copy = this.place.host.newCopy(this.job, epoch, this.home, false, cgroup);
    this.#received = { ...this.#paths(epoch), copy, bundle: Promise.resolve(), stream: null, manifest: null };
    return copy;
  }

  /** Makes all that can be made beforehand; says where pages and images may be sent. */
  async #prepare(epoch: number): Promise<Tickets> {
    const { keeper, tickets, criu } = this.place;
    const received = this.#received!;
    await mkdir(received.images, { recursive: true, mode: 0o700 });
    await mkdir(received.root, { recursive: true });
    await run('mount', ['--bind', '/', received.root]);
    await run('mount', ['--make-private', received.root]);
    await JobCgroup.at(received.copy.cgroup).create();
    const argv = [await criu(), ...pageServerArguments({ images: received.images })];
    const key = this.#pagesKey(epoch);
    await keeper.call('process.start', { key, argv, env: CRIU_ENV, wire: true });
    const pages = tickets.issue(async (stream) => {
      const { ticket } = await keeper.call('process.wire', { key });
      // The source sees no more than a cut stream; why it was cut is known here.
      await pipeStreams(stream, await keeper.openStream(ticket)).catch(async () => {
        throw await this.#whyNoPages(received.images);
      });
    });
    const images = await new Promise<string>((resolve) => {
      received.bundle = new Promise((arrived, missing) => {
        const late = () =>
          missing(new GodwitError({ code: 'nothing-came', message: 'the source sent no images' }));
        resolve(
          tickets.issue((stream) => {
            received.stream = stream;
            return receiveFolder(received.images, stream).then(arrived, missing);
          }, late),
        );
      });
      received.bundle.catch(() => {});
    });
    return { pages, images };
  }

  async #whyNoPages(images: string): Promise<Error> {
    const { bavail, bsize } = await statfs(images);
    // A full disk takes no log either.
    if (bavail * bsize < NO_ROOM_BYTES) return noRoom(this.place.node, images);
    return explainFile(TAKE_PAGES, join(images, PAGE_SERVER_LOG));
  }

  async #restore(epoch: number): Promise<DestinationFigures> {
    const { keeper, criu } = this.place;
    const received = this.#received!;
    const { copy, images, root } = received;
    const begun = performance.now();
    const server = await keeper.call(
      'process.wait',
      { key: this.#pagesKey(epoch) },
      { timeoutMs: PAGES_END_MS },
    );
    if (server.code !== 0) throw await this.#whyNoPages(images);
    await received.bundle;
    const manifest = await readManifest(images);
    received.manifest = manifest;
    copy.held = manifest.held;

    const cgroup = JobCgroup.at(copy.cgroup);
    const outside = ['--cgroup', cgroup.run, '--outside', cgroup.attach, '--report', copy.report];
    const orders = [...outside, '--pidfile', join(images, 'pidfile')];
    const argv = [
      this.place.helper,
      'restore',
      ...orders,
      '--',
      await criu(),
      ...restoreArguments({ images, root }),
    ];
    await keeper.call('process.start', { key: copy.supervisor, argv, env: CRIU_ENV, wire: false });
    const first = { key: copy.supervisor, index: 0 };
    const { line } = await keeper.call('process.line', first, { timeoutMs: RESTORE_LIMIT_MS });
    const said = line === null ? null : readSupervision(line);
    if (!said || !('restored' in said)) throw await explainFile('restore', join(images, RESTORE_LOG));
    copy.init = said.restored.init;
    await verifyRestored(cgroup, copy.init, manifest.processes);
    return { restore: performance.now() - begun };
  }

  async #thaw(): Promise<void> {
    const { copy, images } = this.#received!;
    const { parked } = this.#received!.manifest ?? (await readManifest(images));
    await this.place.keeper.call(
      'job.unpark',
      { place: placeOf(copy), parked, thaw: !copy.held },
      { timeoutMs: 120_000 },
    );
    // A debugger's stub takes a held job over: from now on the client holds it.
    if (parked.length > 0) copy.held = false;
  }

  /** What the job was restored from is kept until it is written down that it lives here: until then it may be read again. */
  async #clearTaken(epoch: number): Promise<void> {
    await this.#clearReceived(epoch).catch((error: Error) => this.#log(`not cleared: ${error.message}`));
  }

  async #kill(epoch: number): Promise<void> {
    const received = this.#received;
    const kill = async () => {
      received?.stream?.destroy();
      await this.#endReceiving(epoch);
      if (received) await this.place.host.clear(received.copy);
      await this.#clearReceived(epoch);
      if (this.#received === received) this.#received = null;
    };
    const work = this.#kills.get(epoch) ?? insist(kill, (line) => this.#log(line));
    this.#kills.set(epoch, work);
    await work;
    this.#kills.delete(epoch);
    this.#runner.feed({ type: 'killed', epoch });
  }

  /** The page server holds nothing but bytes: it may be ended at any time. */
  async #endReceiving(epoch: number): Promise<void> {
    const { keeper } = this.place;
    const key = this.#pagesKey(epoch);
    const known = (await keeper.call('process.list', {})).processes.some((process) => process.key === key);
    if (!known) return;
    await keeper.call('process.signal', { key, signal: 'SIGKILL' });
    await keeper.call('process.wait', { key });
  }

  async #clearReceived(epoch: number): Promise<void> {
    const { images, root } = this.#paths(epoch);
    await this.place.keeper.call('process.forget', { key: this.#pagesKey(epoch) });
    await run('umount', ['-l', root]).catch(() => {});
    // Never recursively: if the root could not be unmounted, the machine's own files lie below it.
    await rmdir(root).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    await rm(images, { recursive: true, force: true });
  }

  async #ask(epoch: number): Promise<void> {
    try {
      const { outcome } = await this.place.peers.call(this.home, 'home.outcome', { job: this.job, epoch });
      this.#runner.feed({ type: 'outcome', epoch, outcome });
    } catch (error) {
      this.#log(`its home ${this.home} does not answer: ${(error as Error).message}`);
    }
  }

  #paths(epoch: number) {
    return {
      images: this.place.layout.images(this.job, epoch),
      root: this.place.layout.root(this.job, epoch),
    };
  }

  #pagesKey(epoch: number) {
    return `pages:${this.job}:${epoch}`;
  }

  #log(line: string) {
    this.place.log(`${this.job} arrives: ${line}`);
  }
}
