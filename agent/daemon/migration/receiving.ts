/** A destination's first work of a move: room is made for a job, and its pages and images are received. */
import { mkdir, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { GodwitError } from '../../api/errors';
import type { Tickets } from '../../api/move-contract';
import { JobCgroup } from '../../machine/cgroup/cgroup';
import { JobAccount } from '../../machine/cgroup/limits';
import { PAGE_SERVER_LOG, pageServerArguments } from '../../machine/criu/arguments';
import { explainFile } from '../../machine/criu/log';
import { verifyPages } from '../../machine/criu/verify';
import { execute } from '../../machine/execution';
import { removeMountPoint } from '../../machine/homefs/mount-point';
import { killEach, processesNaming } from '../../machine/proc/processes';
import { pipeStreams } from '../../wire/streams';
import { type Copy, mountOf } from '../jobs/copy';
import { receiveFolder } from './image-transfer';
import { InheritedSocket } from './inherited-socket';
import { type Manifest, readManifest } from './manifest';
import { CRIU_ENV, type MoveContext } from './move-context';

/** After the source said that all is sent, this is for the page server to notice. */
const PAGES_END_MS = 60_000;
/** What fails with less room than this left fails for want of it. */
const NO_ROOM_BYTES = 64 * 1024;
const TAKE_PAGES = 'transfer of its memory';

const noRoom = (node: string, folder: string) =>
  new GodwitError({
    code: 'disk-full',
    message: `no room left on ${node} for the job's image`,
    fix: `free space for ${folder}`,
  });

/** What a move has made here so far. */
export interface Received {
  copy: Copy;
  images: string;
  root: string;
  /** Settles when the small images are all here, or will not come. */
  bundle: Promise<void>;
  /** By which they come. */
  stream: Duplex | null;
  manifest: Manifest | null;
  /** In this run of the agent, a thaw has been tried. */
  thawing: boolean;
}

export class Receiving {
  constructor(
    private readonly context: MoveContext,
    private readonly job: string,
    private readonly home: string,
  ) {}

  /** Of a copy of which nothing is here yet. */
  nothingYet(copy: Copy): Received {
    const nothing = { bundle: Promise.resolve(), stream: null, manifest: null, thawing: false };
    return { ...this.#paths(copy.epoch), copy, ...nothing };
  }

  /** Makes all that can be made beforehand; says where the source `from` may send pages and images. */
  async prepare(received: Received, from: string): Promise<Tickets> {
    const { allocations, networks, node, points } = this.context;
    const { copy, images } = received;
    await mkdir(images, { recursive: true, mode: 0o700 });
    await this.#makeRoot(received);
    await JobCgroup.at(copy.cgroup).create();
    await networks.make(copy);
    const account = await JobAccount.of(copy.cgroup);
    await account.create(node, copy.limits, await allocations.share(copy.allocation));
    const tickets = {
      pages: await this.#pagesTicket(received, from),
      images: this.#imagesTicket(received, from),
    };
    await points.reach('destination.prepared');
    return tickets;
  }

  /** Everything that the source has sent, looked at: what CRIU is to restore. */
  async complete(received: Received): Promise<Manifest> {
    const { copy, images } = received;
    const { keeper, mounts, points } = this.context;
    const key = this.#pagesKey(copy.epoch);
    const server = await keeper.call('process.wait', { key }, { timeoutMs: PAGES_END_MS });
    if (server.code !== 0) throw await this.#whyNoPages(images);
    await received.bundle;
    const manifest = await readManifest(images);
    received.manifest = manifest;
    copy.launchedStopped = manifest.launchedStopped;
    await mounts.set(copy, manifest);
    await points.reach('destination.pages-here');
    await verifyPages(images);
    return manifest;
  }

  /** The page server holds nothing but bytes: it may be ended at any time. */
  async end(epoch: number): Promise<void> {
    const { keeper } = this.context;
    const key = this.#pagesKey(epoch);
    const known = (await keeper.call('process.list', {})).processes.some((process) => process.key === key);
    // One that an earlier keeper started may still be there.
    if (!known) return killEach(await processesNaming(this.#paths(epoch).images));
    await keeper.call('process.signal', { key, signal: 'SIGKILL' });
    await keeper.call('process.wait', { key });
  }

  /** What was received, and at home the root that is needed for the restore alone; elsewhere that ends with the copy. */
  async clear(epoch: number): Promise<void> {
    const { images, root } = this.#paths(epoch);
    await this.context.keeper.call('process.forget', { key: this.#pagesKey(epoch) });
    if (this.home === this.context.node) {
      await execute('umount', ['-l', root]).catch(() => {});
      await removeMountPoint(root);
    }
    await rm(images, { recursive: true, force: true });
  }

  /** What CRIU takes for the job's `/`: the home's own, here or from there. */
  async #makeRoot({ copy, root }: Received): Promise<void> {
    const files = mountOf(copy);
    if (files) await this.context.mounted.mount(files);
    else {
      await mkdir(root, { recursive: true });
      await execute('mount', ['--bind', '/', root]);
    }
    await execute('mount', ['--make-private', root]);
  }

  async #pagesTicket({ copy, images }: Received, from: string): Promise<string> {
    const { keeper, tickets, criu, helper } = this.context;
    const argv = [await criu(), ...pageServerArguments({ images })];
    const key = this.#pagesKey(copy.epoch);
    const inherited = await InheritedSocket.in(images);
    await keeper.call('process.start', { key, argv: inherited.command(helper, argv), env: CRIU_ENV });
    const socket = await inherited.connection();
    return tickets.issue(
      // The source sees no more than a cut stream; why it was cut is known here.
      (stream) => pipeStreams(stream, socket, () => this.#whyNoPages(images)),
      { by: from, onUnused: () => socket.destroy() },
    );
  }

  #imagesTicket(received: Received, from: string): string {
    let settle: { came: () => void; missing: (error: Error) => void };
    received.bundle = new Promise((came, missing) => {
      settle = { came, missing };
    });
    // It may fail before anybody waits for it.
    received.bundle.catch(() => {});
    const receive = (stream: Duplex) => {
      received.stream = stream;
      return receiveFolder(received.images, stream).then(settle.came, settle.missing);
    };
    const onUnused = () =>
      settle.missing(new GodwitError({ code: 'nothing-came', message: 'the source sent no images' }));
    return this.context.tickets.issue(receive, { by: from, onUnused });
  }

  async #whyNoPages(images: string): Promise<Error> {
    const { bavail, bsize } = await statfs(images);
    // A full disk takes no log either.
    if (bavail * bsize < NO_ROOM_BYTES) return noRoom(this.context.node, images);
    return explainFile(TAKE_PAGES, join(images, PAGE_SERVER_LOG));
  }

  #paths(epoch: number) {
    const { layout } = this.context;
    return { images: layout.imagesOf(this.job, epoch), root: layout.root(this.job, epoch) };
  }

  #pagesKey(epoch: number) {
    return `pages:${this.job}:${epoch}`;
  }
}
