/**
 * Files that CRIU (4.2) takes for deleted ones with another name, because /proc says so (helper/deleted-names.c): it
 * makes a link of its own beside such a file, for the restore, and takes it away again when the job runs on after the
 * dump. So a restore would look for a link that is gone. Without it, it opens the file by its own name; whether that is
 * the file is seen before the commit (identity.ts).
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { badMessage, isNodeError } from '../../api/errors';
import { cutShort, fieldsOf } from './protobuf';

const IMAGE = "CRIU's image of remapped files";
const FILE = 'remap-fpath.img';
/** Two magic numbers. */
const HEAD_BYTES = 8;
const SIZE_BYTES = 4;
/** criu/images/remap-file-path.proto: remap_file_path_entry.remap_type; remap_type. */
const TYPE = 3;
const LINKED = 0;

/** The image without the links. @throws GodwitError `bad-message` */
export function withoutLinks(image: Buffer): Buffer {
  if (image.length < HEAD_BYTES) throw cutShort(IMAGE);
  const kept = [image.subarray(0, HEAD_BYTES)];
  for (let at = HEAD_BYTES; at < image.length; ) {
    if (at + SIZE_BYTES > image.length) throw cutShort(IMAGE);
    const end = at + SIZE_BYTES + image.readUInt32LE(at);
    if (end > image.length) throw cutShort(IMAGE);
    if (typeOf(image.subarray(at + SIZE_BYTES, end)) !== LINKED) kept.push(image.subarray(at, end));
    at = end;
  }
  return Buffer.concat(kept);
}

function typeOf(entry: Buffer): number {
  const type = fieldsOf(entry, IMAGE).find(({ number }) => number === TYPE)?.value ?? LINKED;
  if (typeof type !== 'number') throw badMessage(IMAGE, 'a type is no number');
  return type;
}

/** In a folder of images: there is none of these where no file is deleted. */
export async function dropLinksIn(images: string): Promise<void> {
  const path = join(images, FILE);
  const image = await readFile(path).catch((error: Error) => {
    if (isNodeError(error) && error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (image) await writeFile(path, withoutLinks(image));
}
