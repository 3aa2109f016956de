/**
 * Files that CRIU (4.2) takes for deleted ones with another name, because /proc says so (helper/deleted-names.c): it
 * makes a link of its own beside such a file, for the restore, and takes it away again when the job runs on after the
 * dump. So a restore would look for a link that is gone. Without it, it opens the file by its own name; whether that is
 * the file is seen before the commit (identity.ts). On a tmpfs of the job's own the links travel, and are needed.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { badMessage, isNodeError } from '../../api/errors';
import { imageWith, MAGIC_BYTES, messagesIn } from './image';
import { notedNames } from './noted';
import { cutShort, fieldsOf } from './protobuf';

const REMAPS = { file: 'remap-fpath.img', what: "CRIU's image of remapped files" };
const FILES = { file: 'files.img', what: "CRIU's image of open files" };
/** criu/images/remap-file-path.proto: remap_file_path_entry; remap_type. */
const ORIGINAL = 1;
const TYPE = 3;
const LINKED = 0;
/** criu/images/fdinfo.proto: file_entry.reg; regfile.proto: reg_file_entry. */
const REGULAR = 3;
const ID = 1;
const NAME = 6;

const fieldIn = (message: Buffer, wanted: number, what: string) =>
  fieldsOf(message, what).find(({ number }) => number === wanted)?.value;

function numberOf(message: Buffer, wanted: number, what: string, otherwise = Number.NaN): number {
  const value = fieldIn(message, wanted, what) ?? otherwise;
  if (typeof value !== 'number') throw badMessage(what, 'a number is none');
  return value;
}

/** The paths of regular files by their ids. @throws GodwitError `bad-message` */
export function pathsIn(files: Buffer): Map<number, string> {
  const paths = new Map<number, string>();
  for (const entry of messagesIn(files, FILES.what)) {
    const regular = fieldIn(entry, REGULAR, FILES.what);
    if (!Buffer.isBuffer(regular)) continue;
    const name = fieldIn(regular, NAME, FILES.what);
    if (Buffer.isBuffer(name)) paths.set(numberOf(regular, ID, FILES.what), name.toString());
  }
  return paths;
}

/** The image of remaps without the links for files that `isThere` under their ids. @throws GodwitError `bad-message` */
export function withoutLinks(remaps: Buffer, isThere: (id: number) => boolean): Buffer {
  const { what } = REMAPS;
  if (remaps.length < MAGIC_BYTES) throw cutShort(what);
  const kept = [...messagesIn(remaps, what)].filter(
    (entry) => numberOf(entry, TYPE, what, LINKED) !== LINKED || !isThere(numberOf(entry, ORIGINAL, what)),
  );
  return imageWith(remaps, kept);
}

/** In a folder of images in which the job's files are noted. CRIU writes no remaps where no file is deleted. */
export async function dropLinksIn(images: string): Promise<void> {
  const path = join(images, REMAPS.file);
  const remaps = await readFile(path).catch((error: Error) => {
    if (isNodeError(error) && error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (!remaps) return;
  const [files, names] = await Promise.all([readFile(join(images, FILES.file)), notedNames(images)]);
  const paths = pathsIn(files);
  await writeFile(
    path,
    withoutLinks(remaps, (id) => names.has(paths.get(id) ?? '')),
  );
}
