/** What the guests boot: Debian's programs with what is in dist, on a disk; and for each kernel what finds that disk. */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { findAgentNode } from '../../agent/command/runtime';
import { run } from '../support/processes';
import { inProject } from '../support/project';

/** As scripts/setup-machines.sh makes it. */
export const CACHE = '/var/lib/godwit/machines';
const SYSTEM = join(CACHE, 'system');
export const BUSYBOX = join(SYSTEM, 'bin/busybox');

export const KERNELS = ['6.1', '6.12'] as const;
export type Kernel = (typeof KERNELS)[number];

export interface Images {
  /** Not to be written to. */
  disk: string;
  kernel(name: Kernel): { vmlinuz: string; initramfs: string };
}

/** Of a machine with a disk: its own, and what is written into it in time. */
const DISK_MIB = 2048;
const LIB = 'usr/lib/godwit';
/** The jobs' folder, at their home. */
export const WORK = '/opt/work';
/** Where the guests have their programs to be moved, and where the same are here. */
export const PROGRAMS = '/opt/programs';
export const PROGRAMS_HERE = join(CACHE, 'images', 'programs');
const GUEST = inProject('test', 'machines', 'guest');

/** To reach the disk. */
const FIRST_MODULES = ['virtio_pci', 'virtio_blk'];
/** A network card, the line that tests speak on, chance; what a node and CRIU want. */
const MODULES = [
  ...['virtio_net', 'virtio_console', 'virtio-rng', 'fuse', 'overlay', 'tun', 'veth', 'bridge'],
  ...['inet_diag', 'tcp_diag', 'udp_diag', 'raw_diag', 'unix_diag', 'af_packet_diag', 'netlink_diag'],
  ...['nf_tables', 'nft_chain_nat', 'ip_tables', 'iptable_filter'],
];

/** Made anew when something in them is another, in the folder `work`. */
export async function images(work: string): Promise<Images> {
  const kernel = (name: Kernel) => ({
    vmlinuz: join(CACHE, 'kernels', name, 'vmlinuz'),
    initramfs: join(CACHE, 'images', `initramfs-${name}`),
  });
  const made = { disk: join(CACHE, 'images', 'disk'), kernel };
  const stamp = join(CACHE, 'images', 'made-of');
  const of = ingredients();
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === of) return made;
  rmSync(dirname(stamp), { recursive: true, force: true });
  mkdirSync(dirname(stamp), { recursive: true });
  for (const name of KERNELS) await makeInitramfs(name, work, kernel(name).initramfs);
  await makeDisk(work, made.disk);
  writeFileSync(stamp, of);
  return made;
}

const built = () =>
  readdirSync(inProject('dist'))
    .filter((name) => /^(godwit|agent|keeper)\.cjs$|^godwit-[a-z.-]*$/.test(name))
    .filter((name) => !/\.(new|made|vsix|gz)$/.test(name))
    .map((name) => inProject('dist', name));

function ingredients(): string {
  const guest = readdirSync(GUEST).map((name) => join(GUEST, name));
  const files = [...built(), ...guest, findAgentNode(), join(CACHE, '.made'), __filename];
  const hash = createHash('sha256');
  for (const file of files) {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${file} ${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex');
}

async function makeInitramfs(kernel: Kernel, work: string, file: string): Promise<void> {
  const root = join(work, `first-${kernel}`);
  mkdirSync(join(root, 'bin'), { recursive: true });
  mkdirSync(join(root, 'modules'));
  cpSync(BUSYBOX, join(root, 'bin/busybox'));
  cpSync(join(GUEST, 'first.sh'), join(root, 'init'));
  chmodSync(join(root, 'init'), 0o755);
  const modules = modulesOf(kernel);
  const wanted = modules.closure(FIRST_MODULES);
  for (const path of wanted) cpSync(join(modules.folder, path), join(root, 'modules', basename(path)));
  writeFileSync(join(root, 'modules/order'), `${wanted.map((path) => basename(path)).join('\n')}\n`);
  await succeed(['sh', '-ec', 'cd "$1"; find . | cpio --quiet -o -H newc >"$2"', 'sh', root, file]);
}

async function makeDisk(work: string, file: string): Promise<void> {
  const root = join(work, 'root');
  await succeed(['cp', '-a', '--link', SYSTEM, root]);
  for (const folder of [
    'proc',
    'sys',
    'dev',
    'run',
    'tmp',
    'root',
    'var/tmp',
    'var/log',
    'etc/godwit',
    WORK,
    LIB,
  ])
    mkdirSync(join(root, folder), { recursive: true });
  chmodSync(join(root, 'tmp'), 0o1777);
  await addBusybox(root);
  addGodwit(root);
  addSettings(root);
  await addPrograms(root);
  for (const kernel of KERNELS) await addModules(kernel, root);
  const made = `${file}.new`;
  await succeed(['mke2fs', '-q', '-t', 'ext4', '-L', 'root', '-d', root, made, `${DISK_MIB}M`]);
  renameSync(made, file);
  rmSync(root, { recursive: true });
}

/** For what Debian has in packages that are not here. */
async function addBusybox(root: string): Promise<void> {
  const applets = (await succeed([BUSYBOX, '--list'])).trim().split('\n');
  for (const name of applets)
    if (!['bin', 'sbin'].some((folder) => isThere(join(root, 'usr', folder, name))))
      symlinkSync('/bin/busybox', join(root, 'usr/bin', name));
}

function addGodwit(root: string): void {
  for (const file of built()) cpSync(file, join(root, LIB, basename(file)));
  cpSync(findAgentNode(), join(root, LIB, 'node'));
  writeFileSync(join(root, 'usr/bin/godwit'), `#!/bin/sh\nexec /${LIB}/node /${LIB}/godwit.cjs "$@"\n`, {
    mode: 0o755,
  });
}

function addSettings(root: string): void {
  const etc = (name: string) => join(root, 'etc', name);
  for (const name of ['boot.sh', 'control.sh', 'lease.sh', 'inittab']) {
    cpSync(join(GUEST, name), etc(name));
    chmodSync(etc(name), 0o755);
  }
  rmSync(join(root, 'usr/sbin/init'), { force: true });
  symlinkSync('/bin/busybox', join(root, 'usr/sbin/init'));
  writeFileSync(etc('passwd'), 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n');
  writeFileSync(etc('group'), 'root:x:0:\nnogroup:x:65534:\n');
  writeFileSync(etc('hosts'), '127.0.0.1 localhost\n');
  writeFileSync(etc('modules'), `${MODULES.join('\n')}\n`);
}

/** What a job runs is static: nothing but it has to be known to a debugger elsewhere. */
async function addPrograms(root: string): Promise<void> {
  mkdirSync(PROGRAMS_HERE, { recursive: true });
  const flags = '-D_GNU_SOURCE -static -g -O0 -Wall -Wextra -o'.split(' ');
  for (const source of readdirSync(GUEST).filter((name) => name.endsWith('.c')))
    await succeed(['gcc', ...flags, join(PROGRAMS_HERE, basename(source, '.c')), join(GUEST, source)]);
  cpSync(PROGRAMS_HERE, join(root, PROGRAMS), { recursive: true });
}

async function addModules(kernel: Kernel, root: string): Promise<void> {
  const modules = modulesOf(kernel);
  const folder = join(root, 'usr/lib/modules', basename(modules.folder));
  for (const path of modules.closure(MODULES))
    cpSync(join(modules.folder, path), join(folder, path), { recursive: true });
  for (const name of ['modules.order', 'modules.builtin', 'modules.builtin.modinfo'])
    cpSync(join(modules.folder, name), join(folder, name));
  await succeed(['depmod', '-b', join(root, 'usr'), basename(modules.folder)]);
}

/** The modules of a kernel, and which needs which. */
function modulesOf(kernel: Kernel) {
  const all = join(CACHE, 'kernels', kernel, 'lib/modules');
  const folder = join(all, readdirSync(all)[0]!);
  const needs = new Map(
    readFileSync(join(folder, 'modules.dep'), 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split(':') as [string, string])
      .map(([path, others]) => [path, others.split(' ').filter(Boolean)]),
  );
  const builtIn = readFileSync(join(folder, 'modules.builtin'), 'utf8').split('\n');
  const among = (paths: Iterable<string>, name: string) =>
    [...paths].find((path) => basename(path, '.ko').replaceAll('-', '_') === name.replaceAll('-', '_'));
  return {
    folder,
    /** Their paths with all that they need, which come first. */
    closure(names: string[]): string[] {
      const found = names.map((name) => {
        const path = among(needs.keys(), name);
        if (!path && !among(builtIn, name)) throw new Error(`the kernel ${kernel} has no module ${name}`);
        return path;
      });
      const modules = found.filter((path) => path !== undefined);
      return [...new Set(modules.flatMap((path) => [...needs.get(path)!.toReversed(), path]))];
    },
  };
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

async function succeed(argv: string[]): Promise<string> {
  const { status, stdout, stderr } = await run(argv);
  if (status !== 0) throw new Error(`\`${argv.join(' ')}\` exited with ${status}: ${stderr}`);
  return stdout;
}
