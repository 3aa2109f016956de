/** What an image is to be: as a person writes it, each part within what it may be. */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { z } from 'zod';
import { readToken } from '../api/token';
import { wrongRequest } from './errors';

export const DEFAULT_SUITE = 'trixie';
const DEFAULT_ISO = 'godwit-live.iso';
/** A command line of the kernel's has 2,048 characters on x86, and the token is one of its words. */
const MOST_APPENDED = 1_000;
const MOST_PACKAGES = 500;

/** deb-control(5), Package. */
const PackageName = z.string().regex(/^[a-z0-9][a-z0-9+.-]{1,99}$/);
const Suite = z.string().regex(/^[a-z][a-z0-9-]{0,39}$/);
/** No quotes, and none of what a boot loader's configuration would take for more than a letter. */
const Words = z.string().regex(/^[\w.,:=/@%+-]+( [\w.,:=/@%+-]+)*$/);

export interface LiveRequest {
  /** Debian's packages besides, by their names. */
  packages: string[];
  /** The release of Debian. */
  suite: string;
  /** Words for the kernel's command line; empty for none. */
  append: string;
  /** A folder whose files are put over the system's own. */
  files: string | null;
  /** Packed in less time, into more bytes. */
  quick: boolean;
  /** Where the ISO is to be; kernel and initramfs are beside it. */
  iso: string;
}

export interface LiveOptions {
  packages?: string | undefined;
  suite?: string | undefined;
  append?: string | undefined;
  files?: string | undefined;
  quick?: true | undefined;
  output?: string | undefined;
}

/** @throws GodwitError `live-wrong-request` */
export async function liveRequest(options: LiveOptions): Promise<LiveRequest> {
  const { packages = '', suite = DEFAULT_SUITE, append = '', files, output = DEFAULT_ISO } = options;
  const names = [...new Set(packages.split(',').filter(Boolean))];
  const wrong = names.find((name) => !PackageName.safeParse(name).success);
  if (wrong !== undefined)
    throw wrongRequest(`"${wrong}"`, "can't be a package's name", 'name Debian packages, like r-base,octave');
  if (names.length > MOST_PACKAGES)
    throw wrongRequest(
      `${names.length} packages`,
      `are more than ${MOST_PACKAGES}`,
      'name those that need the others',
    );
  if (!Suite.safeParse(suite).success)
    throw wrongRequest(`"${suite}"`, "can't be a release of Debian", `say one like ${DEFAULT_SUITE}`);
  if (append && (append.length > MOST_APPENDED || !Words.safeParse(append).success))
    throw wrongRequest(
      `"${append}"`,
      "can't be on the kernel's command line",
      `separate words by one space, no quotes, ${MOST_APPENDED} characters at most`,
    );
  return {
    ...{ packages: names, suite, append },
    files: files === undefined ? null : await existingFolder(files),
    quick: options.quick === true,
    iso: resolve(output),
  };
}

/** @throws GodwitError `bad-token` */
export function tokenFor(text: string): string {
  readToken(text);
  return text.trim();
}

async function existingFolder(path: string): Promise<string> {
  const is = await stat(path).catch(() => null);
  if (!is?.isDirectory()) throw wrongRequest(path, 'is no folder', 'name one with files for the image');
  return resolve(path);
}

/** What is beside the ISO: for machines that boot from the network. */
export function besideIso(iso: string): { kernel: string; initramfs: string } {
  const base = iso.replace(/\.iso$/, '');
  return { kernel: `${base}.vmlinuz`, initramfs: `${base}.initramfs` };
}
