/** What the making of an image needs of this machine: all of it is in packages of Debian's. */
import { access } from 'node:fs/promises';
import { arch } from 'node:os';
import { inPath } from '../machine/criu/criu';
import { lacksPrograms, liveNeedsRoot, otherMachine } from './errors';

/** By the package that has it. What begins with a slash is a file, not a program of PATH's. */
const NEEDED: Readonly<Record<string, string>> = {
  mmdebstrap: 'mmdebstrap',
  '/usr/share/keyrings/debian-archive-keyring.gpg': 'debian-archive-keyring',
  depmod: 'kmod',
  xz: 'xz-utils',
  mksquashfs: 'squashfs-tools',
  cpio: 'cpio',
  'grub-mkrescue': 'grub-common',
  '/usr/lib/grub/i386-pc': 'grub-pc-bin',
  '/usr/lib/grub/x86_64-efi': 'grub-efi-amd64-bin',
  mformat: 'mtools',
  xorriso: 'xorriso',
};

/** @throws GodwitError `not-root`, `other-machine`, `live-lacks-programs` */
export async function assertCanBuild(): Promise<void> {
  if (arch() !== 'x64') throw otherMachine(arch());
  if (process.getuid?.() !== 0) throw liveNeedsRoot();
  const missing = await missingOf(Object.keys(NEEDED));
  if (missing.length > 0)
    throw lacksPrograms(
      missing,
      missing.map((what) => NEEDED[what]!),
    );
}

async function missingOf(all: string[]): Promise<string[]> {
  const there = await Promise.all(
    all.map((what) =>
      what.startsWith('/')
        ? access(what).then(
            () => true,
            () => false,
          )
        : inPath(what),
    ),
  );
  return all.filter((_, at) => !there[at]);
}
