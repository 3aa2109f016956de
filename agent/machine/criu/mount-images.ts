/**
 * The images of mounts in a folder of images, changed before CRIU restores them. A job comes home to mounts that it did not
 * have where it was: there it has reached their files by the mount of all that is its home's. CRIU opens files by their
 * paths, in the mounts that its images name; so these are added to them. And those that have gone are left out.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { badMessage } from '../../api/errors';
import { MAGIC_BYTES } from './image';
import { addMounts, IMAGE, imageOf, type MountEntry, MountIds, readEntries } from './mounts-image';
import { HomesMounts } from './nested-mounts';
import { cutShort, fieldsOf } from './protobuf';

const MOUNTS = /^mountpoints-\d+\.img$/;
/** criu/images/core.proto: task_kobj_ids_entry. */
const IDS = "CRIU's image of PID 1";
const IDS_OF_INIT = 'ids-1.img';
const MNT_NS_ID = 9;

/** Images of mounts, by their names in a folder of images. */
export type MountImages = Map<string, Buffer>;

/** Those that were sent: what is added to them may have to be added anew. */
export async function mountImagesIn(images: string): Promise<MountImages> {
  const names = (await readdir(images)).filter((file) => MOUNTS.test(file));
  return new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(join(images, name))] as const)),
  );
}

/**
 * In a folder of images, before it is restored; what was added before is not any more.
 *
 * @param sent by `mountImagesIn`
 * @param own all that the home has for jobs
 */
export async function addMountsIn(
  images: string,
  sent: MountImages,
  paths: string[],
  own: string[],
): Promise<void> {
  const names = [...sent.keys()];
  const first = names.length > 1 ? await jobsImage(images) : names[0];
  const jobs = sent.get(first ?? '');
  if (first === undefined || jobs === undefined) throw badMessage(IMAGE, 'a job has one');
  const others = names.filter((name) => name !== first);
  const nested = others.map((name) => sent.get(name)!);
  const ids = new MountIds([jobs, ...nested].map(readEntries));
  const image = addMounts(jobs, paths, ids);
  const arranged = nested.length > 0 ? atHome(image, nested, own, ids) : [image];
  for (const [index, name] of [first, ...others].entries())
    await writeFile(join(images, name), arranged[index]!);
}

/** In a folder of images: without those that a restore would be given at these paths, and what is mounted on them. */
export async function leaveOutMountsIn(images: string, paths: string[]): Promise<void> {
  for (const [name, image] of await mountImagesIn(images)) {
    const entries = readEntries(image);
    const isMeant = ({ key }: MountEntry) => key !== null && paths.includes(key);
    const left = new Set(entries.filter(isMeant).map(({ id }) => id));
    // In whatever order they are: until none comes to it.
    for (let before = -1; before !== left.size; ) {
      before = left.size;
      for (const { id, parent } of entries) if (left.has(parent)) left.add(id);
    }
    const kept = entries.filter(({ id }) => !left.has(id));
    await writeFile(join(images, name), imageOf(image, kept));
  }
}

/** The image of the mounts that the job's PID 1 has (criu/images/core.proto: task_kobj_ids_entry). */
async function jobsImage(images: string): Promise<string> {
  const ids = await readFile(join(images, IDS_OF_INIT));
  if (ids.length < MAGIC_BYTES + 4) throw cutShort(IDS);
  const message = ids.subarray(MAGIC_BYTES + 4, MAGIC_BYTES + 4 + ids.readUInt32LE(MAGIC_BYTES));
  const space = fieldsOf(message, IDS).find(({ number }) => number === MNT_NS_ID)?.value;
  return `mountpoints-${space}.img`;
}

/** The namespaces' images with what the mount of the home's files shows as one, as the home has it: in mounts. */
function atHome(jobs: Buffer, nested: Buffer[], own: string[], ids: MountIds): Buffer[] {
  const root = readEntries(jobs);
  const homes = new HomesMounts(root, own, ids);
  homes.keep(root);
  return [imageOf(jobs, root), ...nested.map((image) => imageOf(image, homes.arrange(readEntries(image))))];
}
