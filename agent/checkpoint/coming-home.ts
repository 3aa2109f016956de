/**
 * A job comes home to mounts that it did not have where it was: there it has reached their files by the mount of all
 * that is its home's. CRIU opens files by their paths, in the mounts that its images name; so these are added to them.
 */
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { badMessage } from '../api/errors';
import { addMounts, IMAGE, imageOf, MAGIC_BYTES, MountIds, readEntries } from './mounts-image';
import { HomesMounts } from './nested-mounts';
import { cutShort, fieldsOf } from './protobuf';

const MOUNTS = /^mountpoints-\d+\.img$/;
/** criu/images/core.proto: task_kobj_ids_entry. */
const IDS = "CRIU's image of PID 1";
const IDS_OF_INIT = 'ids-1.img';
const MNT_NS_ID = 9;

/** Within the folder of images: those of mounts as they were sent, for what is added may have to be added anew. */
const AS_SENT = 'mounts-as-sent';

/**
 * In a folder of images, before it is restored; what was added before is not any more.
 *
 * @param own all that the home has for jobs
 */
export async function addMountsIn(images: string, paths: string[], own: string[]): Promise<void> {
  const sent = join(images, AS_SENT);
  const names = (await readdir(images)).filter((file) => MOUNTS.test(file));
  await keepAsSent(images, sent, names);
  const first = names.length > 1 ? await jobsImage(images) : names[0];
  if (first === undefined || !names.includes(first)) throw badMessage(IMAGE, 'a job has one');
  const read = (name: string) => readFile(join(sent, name));
  const jobs = await read(first);
  const others = names.filter((name) => name !== first);
  const nested = await Promise.all(others.map(read));
  const ids = new MountIds([jobs, ...nested].map(readEntries));
  const image = addMounts(jobs, paths, ids);
  const arranged = nested.length > 0 ? atHome(image, nested, own, ids) : [image];
  for (const [index, name] of [first, ...others].entries())
    await writeFile(join(images, name), arranged[index]!);
}

async function keepAsSent(images: string, sent: string, names: string[]): Promise<void> {
  await mkdir(sent, { recursive: true });
  const kept = await readdir(sent);
  for (const name of names.filter((one) => !kept.includes(one)))
    await copyFile(join(images, name), join(sent, name));
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
