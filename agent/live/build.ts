/** An image that boots as a node of a cluster: an ISO, and the same as kernel and initramfs for the network. */
import { existsSync } from 'node:fs';
import { copyFile, lstat, mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { size } from '../api/figures';
import { carriedCriu } from '../joining/node-programs';
import { packFirst, packIso, packSystem, protect } from './images';
import { Modules } from './modules';
import { addNode, makeFirst, type NodeParts } from './node';
import { assertCanBuild } from './programs';
import { besideIso, type LiveRequest } from './request';
import { makeSystem } from './system';

/** Large files for an hour at most; /tmp is memory on many machines. */
const WORK_IN = '/var/tmp';
const WORK_NAME = 'godwit-live-';
/** Of every live node's kernel: what is printed is what went wrong; one that has stopped is started again. */
const WORDS = 'quiet panic=30';

export interface LiveImage {
  iso: string;
  kernel: string;
  initramfs: string;
  /** Of the ISO. */
  bytes: number;
}

export interface Builder extends Pick<NodeParts, 'programs' | 'scripts'> {
  /** What is built in; asked for when all else is done. Null: each machine is told at boot. */
  token: (() => Promise<string>) | null;
  /** Told of each thing that is done next; may throw, which leaves nothing. */
  step: (what: string) => void;
  /** Cuts off what takes long. */
  signal: AbortSignal;
}

/**
 * All three files are whole and new, or as they were before. What has a token in it is readable for its owner alone.
 * @throws GodwitError `not-root`, `other-machine`, `live-lacks-programs`, `live-failed`, `live-too-large`, `no-criu`, and
 *   what `step` and `token` throw
 */
export async function buildLive(request: LiveRequest, builder: Builder): Promise<LiveImage> {
  await assertCanBuild();
  const { signal } = builder;
  await clearLeft();
  const work = await mkdtemp(join(WORK_IN, `${WORK_NAME}${process.pid}-`));
  try {
    const { vmlinuz, initramfs } = await makeBootable(work, request, builder);
    const { iso } = request;
    const beside = besideIso(iso);
    builder.step('making the ISO');
    const made = join(work, 'made.iso');
    const words = [WORDS, request.append].filter(Boolean).join(' ');
    await packIso({ kernel: vmlinuz, initramfs, words }, { work, file: made, signal });
    const files: [string, string][] = [
      [made, iso],
      [vmlinuz, beside.kernel],
      [initramfs, beside.initramfs],
    ];
    await protect([made, initramfs], builder.token !== null);
    await putInPlace(files);
    return { iso, ...beside, bytes: (await stat(iso)).size };
  } finally {
    // What was mounted in it was so for the program alone that did it, and is gone with that.
    await rm(work, { recursive: true, force: true });
  }
}

/** What one that was killed has left: its name has the process. */
async function clearLeft(): Promise<void> {
  for (const name of await readdir(WORK_IN)) {
    const [, pid] = new RegExp(`^${WORK_NAME}(\\d+)-`).exec(name) ?? [];
    if (!pid || existsSync(`/proc/${pid}`)) continue;
    const path = join(WORK_IN, name);
    const { uid } = await lstat(path);
    // All may make folders there.
    if (uid === 0) await rm(path, { recursive: true, force: true });
  }
}

async function makeBootable(
  work: string,
  { suite, packages, files, quick }: LiveRequest,
  { programs, scripts, token, step, signal }: Builder,
): Promise<{ vmlinuz: string; initramfs: string }> {
  const besides = packages.length > 0 ? ` with ${packages.join(', ')}` : '';
  step(`getting Debian ${suite}${besides}, and its kernel`);
  const criu = await carriedCriu();
  const all = criu ? packages : [...packages, 'criu'];
  const system = await makeSystem({ suite, packages: all, work, signal });
  step('adding Godwit, its Node.js and CRIU');
  const modules = await Modules.of(system.modules);
  await addNode(system, modules, { programs, criu, scripts, files, signal });
  const first = join(work, 'first');
  await makeFirst(first, system, modules, { scripts, signal });
  step('packing the system');
  const packed = join(first, 'system.squashfs');
  await packSystem(system.root, packed, { quick, signal });
  step(`packed it: ${size((await stat(packed)).size)}, kernel ${modules.kernel}`);
  if (token) await writeFile(join(first, 'token'), `${await token()}\n`, { mode: 0o600 });
  const initramfs = join(work, 'initramfs');
  await packFirst(first, initramfs, signal);
  return { vmlinuz: system.vmlinuz, initramfs };
}

/** Copied beside first, for they may be on another disk; then all renamed, which is done in an instant. */
async function putInPlace(files: [from: string, to: string][]): Promise<void> {
  const news = files.map(([, to]) => join(dirname(to), `.${basename(to)}.new`));
  try {
    for (const [at, [from, to]] of files.entries()) {
      await mkdir(dirname(to), { recursive: true });
      await rm(news[at]!, { force: true });
      await copyFile(from, news[at]!);
    }
    for (const [at, [, to]] of files.entries()) await rename(news[at]!, to);
  } catch (error) {
    for (const file of news) await rm(file, { force: true });
    throw error;
  }
}
