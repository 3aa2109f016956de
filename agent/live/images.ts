/** Folders packed into what a machine boots. */
import { chmod, mkdir, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tooLarge } from './errors';
import { runLong } from './running';

/** cpio's `newc` has a file's length in 32 bits. */
const MOST_IN_INITRAMFS = 2 ** 32 - 1;
/** Of zstd's 22: the highest takes four times as long for three hundredths of the size. */
const COMPRESSION_LEVEL = '15';
/** A tenth of the time, and a sixth more. */
const QUICK_LEVEL = '3';
/** What GRUB needs to boot from an ISO, of its 300 modules. */
const GRUB_MODULES = 'linux normal iso9660 configfile search search_label echo test all_video gfxterm';

/** The system, packed: what is read of it is unpacked when it is read. */
export async function packSystem(
  root: string,
  file: string,
  { quick, signal }: { quick: boolean; signal: AbortSignal },
): Promise<void> {
  const level = quick ? QUICK_LEVEL : COMPRESSION_LEVEL;
  const how = [
    '-comp',
    'zstd',
    '-Xcompression-level',
    level,
    '-b',
    '256K',
    '-noappend',
    '-no-progress',
    '-quiet',
  ];
  await runLong(['mksquashfs', root, file, ...how], { what: 'packing the system', signal });
  const { size } = await stat(file);
  if (size > MOST_IN_INITRAMFS) throw tooLarge(size, MOST_IN_INITRAMFS);
}

/** Not compressed: what is large in it is already. */
export async function packFirst(folder: string, file: string, signal: AbortSignal): Promise<void> {
  const script = 'cd "$1"; umask 077; find . | cpio --quiet -o -H newc -R 0:0 >"$2"';
  await runLong(['sh', '-ec', script, 'sh', folder, file], { what: 'packing the first program', signal });
}

/** Boots by BIOS and by UEFI, from a disc and from a stick. @param words of the kernel's command line */
export async function packIso(
  { kernel, initramfs, words }: { kernel: string; initramfs: string; words: string },
  { work, file, signal }: { work: string; file: string; signal: AbortSignal },
): Promise<void> {
  const folder = join(work, 'iso');
  await mkdir(join(folder, 'boot/grub'), { recursive: true });
  await rename(initramfs, join(folder, 'boot/initramfs'));
  await rename(kernel, join(folder, 'boot/vmlinuz'));
  await writeFile(join(folder, 'boot/grub/grub.cfg'), grubConfig(words));
  const how = [`--install-modules=${GRUB_MODULES}`, '--compress=xz', '--fonts=', '--locales=', '--themes='];
  const what = 'making the ISO';
  await runLong(['grub-mkrescue', '-o', file, ...how, folder, '--', '-volid', 'GODWIT'], {
    what,
    env: { TMPDIR: work },
    signal,
  });
  await rename(join(folder, 'boot/initramfs'), initramfs);
  await rename(join(folder, 'boot/vmlinuz'), kernel);
}

export const grubConfig = (words: string): string => `set timeout=0
menuentry "Godwit" {
  linux /boot/vmlinuz ${words}
  initrd /boot/initramfs
}
`;

/** What has a secret in it is for its owner alone. */
export const protect = (files: string[], secret: boolean): Promise<unknown> =>
  Promise.all(files.map((file) => chmod(file, secret ? 0o600 : 0o644)));
