/**
 * A job comes home to mounts that it did not have where it was: there it has reached their files by the mount of all
 * that is its home's. CRIU opens files by their paths, in the mounts that its image names; so these are added to it.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { badMessage } from '../api/errors';
import { cutShort, fieldsOf, messageOf } from './protobuf';

const IMAGE = "CRIU's image of mounts";
const MOUNTS = /^mountpoints-\d+\.img$/;
/** Two magic numbers. */
const MAGIC_BYTES = 8;
/** criu/images/mnt.proto: mnt_entry. */
const FIELD = {
  fstype: 1,
  id: 2,
  device: 3,
  parent: 4,
  flags: 5,
  root: 6,
  at: 7,
  source: 8,
  options: 9,
  key: 18,
} as const;
const UNSUPPORTED = 0;
/** The largest major number: CRIU takes mounts of one device for mounts of one file system, and these are of none. */
const NO_DEVICE = 0xfff00000;

interface Entry {
  id: number;
  at: string;
}

/** The image with mounts (absolute paths, parents before children) that the restore is given by `mnt[PATH]`. */
export function addMounts(image: Buffer, paths: string[]): Buffer {
  const entries = entriesOf(image);
  const parts = [image];
  let id = Math.max(...entries.map((entry) => entry.id));
  for (const [index, at] of paths.entries()) {
    const parent = parentOf(at, entries);
    const message = messageOf([
      [FIELD.fstype, UNSUPPORTED],
      [FIELD.id, ++id],
      [FIELD.device, NO_DEVICE + index],
      [FIELD.parent, parent.id],
      [FIELD.flags, 0],
      [FIELD.root, '/'],
      [FIELD.at, at],
      [FIELD.source, 'home'],
      [FIELD.options, ''],
      [FIELD.key, at],
    ]);
    const size = Buffer.alloc(4);
    size.writeUInt32LE(message.length);
    parts.push(size, message);
    entries.push({ id, at });
  }
  return Buffer.concat(parts);
}

function entriesOf(image: Buffer): Entry[] {
  const found: Entry[] = [];
  for (let at = MAGIC_BYTES; at < image.length; ) {
    if (at + 4 > image.length) throw cutShort(IMAGE);
    const size = image.readUInt32LE(at);
    const message = image.subarray(at + 4, at + 4 + size);
    if (message.length < size) throw cutShort(IMAGE);
    const fields = fieldsOf(message, IMAGE);
    const of = (number: number) => fields.find((field) => field.number === number)?.value;
    found.push({ id: Number(of(FIELD.id)), at: String(of(FIELD.at)) });
    at += 4 + size;
  }
  return found;
}

function parentOf(at: string, entries: Entry[]): Entry {
  const above = entries.filter((entry) => entry.at === '/' || at.startsWith(`${entry.at}/`));
  const [nearest] = above.sort((a, b) => b.at.length - a.at.length);
  if (!nearest) throw badMessage(IMAGE, 'it has no root');
  return nearest;
}

/** In a folder of images, before it is restored. */
export async function addMountsIn(images: string, paths: string[]): Promise<void> {
  if (paths.length === 0) return;
  const [name, ...others] = (await readdir(images)).filter((file) => MOUNTS.test(file));
  if (name === undefined || others.length > 0) throw badMessage(IMAGE, 'a job has one');
  const path = join(images, name);
  await writeFile(path, addMounts(await readFile(path), paths));
}
