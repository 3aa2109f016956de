/** Godwit's part of an image: what runs on a node, and what makes the machine one when it boots. */
import { lstatSync } from 'node:fs';
import { chmod, constants, copyFile, mkdir, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type CarriedCriu, CRIU_FOLDER, nodePrograms } from '../joining/node-programs';
import { FIRST_MODULES, type Modules, NODE_MODULES } from './modules';
import { removeIn, runLong } from './running';
import type { System } from './system';

const LIB = 'usr/lib/godwit';
/** What runs when it boots, as it is told by `inittab`. */
const PROGRAMS = ['boot', 'lease', 'join', 'leave'];
/** What Debian's own scripts would make, where none of them has been run. */
const SETTINGS = ['passwd', 'group', 'hosts'];

export interface NodeParts {
  /** What is installed here. */
  programs: { node: string; agent: string };
  /** Null: the system has one of Debian's. */
  criu: CarriedCriu | null;
  /** The folder of what a live node boots with. */
  scripts: string;
  /** A person's own, put over the system's; null for none. */
  files: string | null;
  signal: AbortSignal;
}

/** @throws GodwitError `live-failed` */
export async function addNode(
  { root }: Pick<System, 'root'>,
  modules: Modules,
  { programs, criu, scripts, files, signal }: NodeParts,
): Promise<void> {
  await addPrograms(root, programs);
  if (criu) await addCriu(root, criu, signal);
  await addBoot(root, scripts, signal);
  await addModules(root, modules, signal);
  const what = 'adding the folder of files';
  if (files !== null)
    await runLong(['cp', '-a', '--no-preserve=ownership', `${files}/.`, root], { what, signal });
}

async function addPrograms(root: string, { node, agent }: NodeParts['programs']): Promise<void> {
  const lib = join(root, LIB);
  await mkdir(lib, { recursive: true });
  const folder = dirname(agent);
  for (const name of await nodePrograms(folder)) await copyFile(join(folder, name), join(lib, name));
  await copyProgram(node, join(lib, 'node'));
  await mkdir(join(root, 'usr/bin'), { recursive: true });
  await writeFile(join(root, 'usr/bin/godwit'), `#!/bin/sh\nexec /${LIB}/node /${LIB}/godwit.cjs "$@"\n`, {
    mode: 0o755,
  });
}

async function addCriu(root: string, { version, parts }: CarriedCriu, signal: AbortSignal): Promise<void> {
  const to = join(root, CRIU_FOLDER);
  await mkdir(to, { recursive: true });
  const what = `adding CRIU ${version}`;
  await runLong(['cp', '-a', '--parents', ...parts, to], { what, cwd: CRIU_FOLDER, signal });
  const unused = ['usr/share', 'usr/lib/*/gconv', 'usr/lib/*/libdb-*', 'usr/bin'];
  const roots = unused.flatMap((path) => [`root/${path}`, `versions/*/root/${path}`]);
  await removeIn(to, roots, signal);
}

/** Not every way by which they came here has kept their modes. */
async function copyProgram(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  await chmod(to, 0o755);
}

async function addBoot(root: string, scripts: string, signal: AbortSignal): Promise<void> {
  const to = join(root, LIB, 'live');
  await mkdir(to);
  for (const name of PROGRAMS) await copyProgram(join(scripts, name), join(to, name));
  await copyFile(join(scripts, 'inittab'), join(root, 'etc/inittab'));
  for (const folder of ['proc', 'sys', 'dev', 'run', 'root', 'tmp', 'var/tmp', 'var/log', 'etc/godwit'])
    await mkdir(join(root, folder), { recursive: true });
  for (const folder of ['tmp', 'var/tmp']) await chmod(join(root, folder), 0o1777);
  for (const name of SETTINGS)
    await copyFile(join(scripts, name), join(root, 'etc', name), constants.COPYFILE_EXCL).catch(unlessThere);
  await addBusybox(root, signal);
}

/** For what Debian has in packages that are not here; and the first program. */
async function addBusybox(root: string, signal: AbortSignal): Promise<void> {
  // In one release a package has it, in another its script makes it.
  await symlink('dash', join(root, 'usr/bin/sh')).catch(unlessThere);
  const what = 'asking busybox what it can do';
  const applets = (await runLong([join(root, 'usr/bin/busybox'), '--list'], { what, signal }))
    .trim()
    .split('\n');
  for (const name of applets)
    if (!['bin', 'sbin'].some((folder) => isThere(join(root, 'usr', folder, name))))
      await symlink('/bin/busybox', join(root, 'usr/bin', name));
  await symlink('/bin/busybox', join(root, 'usr/sbin/init')).catch(unlessThere);
}

/** Also a link that leads nowhere from here. */
const isThere = (path: string) => lstatSync(path, { throwIfNoEntry: false }) !== undefined;

function unlessThere(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}

/** Only what a live node may load, and what modprobe knows of it. */
async function addModules(root: string, modules: Modules, signal: AbortSignal): Promise<void> {
  const to = join(root, 'usr/lib/modules', modules.kernel);
  for (const path of modules.ofNode()) {
    await mkdir(dirname(join(to, path)), { recursive: true });
    await copyFile(join(modules.folder, path), join(to, path));
  }
  for (const name of ['modules.order', 'modules.builtin', 'modules.builtin.modinfo'])
    await copyFile(join(modules.folder, name), join(to, name));
  await runLong(['depmod', '-b', join(root, 'usr'), modules.kernel], { what: 'listing the modules', signal });
  await writeFile(join(root, LIB, 'live/modules'), `${[...FIRST_MODULES, ...NODE_MODULES].join('\n')}\n`);
}

/** The first program and what it needs, in a folder: an initramfs as it is to be packed, the system not yet in it. */
export async function makeFirst(
  folder: string,
  { root }: Pick<System, 'root'>,
  modules: Modules,
  { scripts, signal }: Pick<NodeParts, 'scripts' | 'signal'>,
): Promise<void> {
  for (const name of ['bin', 'modules', 'proc', 'dev', 'system', 'memory', 'root'])
    await mkdir(join(folder, name), { recursive: true });
  await copyFile(join(root, 'usr/bin/busybox'), join(folder, 'bin/busybox'));
  await copyProgram(join(scripts, 'init'), join(folder, 'init'));
  const order = modules.named(FIRST_MODULES);
  for (const path of order) {
    const to = join(folder, 'modules', basename(path));
    await copyFile(join(modules.folder, path), to);
    // Busybox loads none that is packed.
    if (path.endsWith('.xz')) await runLong(['xz', '-d', to], { what: 'unpacking modules', signal });
  }
  const names = order.map((path) => basename(path).replace(/\.xz$/, ''));
  await writeFile(join(folder, 'modules/order'), `${names.join('\n')}\n`);
}
