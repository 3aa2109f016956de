/** Debian's part of an image: its programs in a folder, and a kernel with its modules. */
import { existsSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { stepFailed } from './errors';
import { apart, removeIn, runLong } from './running';

/** Where Debian's own mirrors are found; a proxy is taken from the environment, as apt does. */
const MIRROR = 'http://deb.debian.org/debian';
/** The kernel with drivers for real machines; of them the image has only some (modules.ts). */
const KERNEL = 'linux-image-amd64';
/** What a node needs. */
const OF_NODE = [
  ...['base-files', 'netbase', 'busybox-static', 'bash', 'dash', 'coreutils', 'util-linux', 'mount'],
  ...['kmod', 'iproute2', 'openssl', 'tar', 'gzip', 'gdb', 'gdbserver', 'procps', 'libstdc++6'],
];
/** What is for people to read, what only the making of it needs, and what was told it of this machine. */
const UNREAD = [
  ...['doc', 'man', 'info', 'lintian', 'bash-completion', 'bug'].map((name) => `usr/share/${name}`),
  ...['var/cache/apt', 'var/lib/apt', 'boot', 'etc/hostname', 'etc/resolv.conf'],
];
/** Came along with what a node needs, and none of that uses it; with packages that were asked for they may. */
const UNUSED = [
  ...['usr/share/locale', 'usr/share/zoneinfo', 'usr/share/perl*', 'usr/share/gcc', 'usr/lib/systemd'],
  ...['usr/lib/udev/hwdb.d', 'usr/bin/perl*', 'var/log', 'usr/lib/*/libdb-*', 'usr/lib/*/{gconv,perl*}'],
  'usr/lib/python3*/{pydoc_data,idlelib,ensurepip,lib2to3,unittest,test,tkinter,turtledemo}',
];

/** Run by mmdebstrap in the empty root: one folder of programs and one of libraries, as each Debian has them that is installed. */
const MERGE = `for name in bin sbin lib lib64; do
  mkdir -p "$1/usr/$name"; [ -e "$1/$name" ] || ln -s "usr/$name" "$1/$name"
done`;

/** Run by mmdebstrap when it knows the release's packages: the newest kernel of the name, in the folder. */
const GET_KERNEL = `export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
cd "$GODWIT_KERNEL"
package=$(apt-cache depends ${KERNEL} | sed -n 's/^ *Depends: *\\(linux-image-[0-9].*\\)/\\1/p' | head -n 1)
[ -n "$package" ] || { echo "E: this release has no ${KERNEL}" >&2; exit 1; }
apt-get -qq download "$package"`;

export interface System {
  /** The system's root. */
  root: string;
  vmlinuz: string;
  /** The folder with one for the kernel, in which its modules are. */
  modules: string;
}

export interface SystemRequest {
  suite: string;
  packages: string[];
  /** A folder to work in. */
  work: string;
  signal: AbortSignal;
}

/**
 * Without packages that were asked for, none of Debian's programs is run: what a node needs works as it is unpacked. With
 * them all are installed as Debian does it, in a root of their own.
 * @throws GodwitError `live-failed`
 */
export async function makeSystem({ suite, packages, work, signal }: SystemRequest): Promise<System> {
  const root = join(work, 'root');
  const kernel = join(work, 'kernel');
  await mkdir(kernel);
  const what = `getting Debian ${suite}`;
  const options = [
    ...['--mode=root', `--variant=${packages.length > 0 ? 'essential' : 'extract'}`],
    ...['--architectures=amd64', '--aptopt=APT::Sandbox::User "root"'],
    ...['--aptopt=Acquire::Retries "3"', '--dpkgopt=force-unsafe-io'],
    `--include=${[...OF_NODE, ...packages].join(',')}`,
    ...[`--setup-hook=${MERGE}`, `--extract-hook=${GET_KERNEL}`],
  ];
  const fix = 'is the mirror reached, and are the names those of packages of that release?';
  const env = { GODWIT_KERNEL: kernel, DEBIAN_FRONTEND: 'noninteractive', TMPDIR: work };
  await runLong(apart(['mmdebstrap', ...options, suite, root, MIRROR]), { what, env, fix, signal });
  const needless = packages.length > 0 ? UNREAD : [...UNREAD, ...UNUSED];
  await removeIn(root, needless, signal);
  return { root, ...(await unpackKernel(kernel, signal)) };
}

async function unpackKernel(folder: string, signal: AbortSignal): Promise<Omit<System, 'root'>> {
  const [deb] = (await readdir(folder)).filter((name) => name.endsWith('.deb'));
  const what = 'unpacking the kernel';
  if (!deb) throw stepFailed(what, 'none has been downloaded');
  const to = join(folder, 'root');
  await runLong(['dpkg-deb', '-x', join(folder, deb), to], { what, signal });
  const boot = await readdir(join(to, 'boot'));
  // In /lib in one release, in /usr/lib in another.
  const base = existsSync(join(to, 'usr/lib/modules')) ? join(to, 'usr') : to;
  const modules = join(base, 'lib/modules');
  const [version] = await readdir(modules);
  await runLong(['depmod', '-b', base, version!], { what, signal });
  return { vmlinuz: join(to, 'boot', boot.find((name) => name.startsWith('vmlinuz'))!), modules };
}
