/** CRIU's image of a mount namespace (criu/images/mnt.proto): read, added to, and written again. */
import { badMessage } from '../../api/errors';
import { imageWith, messagesIn } from './image';
import { fieldsOf, messageOf } from './protobuf';

export const IMAGE = "CRIU's image of mounts";
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
  typeName: 14,
  key: 18,
} as const;
const UNSUPPORTED = 0;
/** The largest major number: CRIU takes mounts of one device for mounts of one file system, and these are of none. */
export const NO_DEVICE = 0xfff00000;

/** The most mounts of one image that are looked at: a namespace has 100,000 at the most (fs.mount-max). */
const MOST_ENTRIES = 100_000;

/** Of one mount namespace. */
export interface MountEntry {
  id: number;
  parent: number;
  device: number;
  /** What of its file system is mounted. */
  root: string;
  at: string;
  /** Where it is given from outside: by which name. */
  key: string | null;
  /** All that the image has of it. */
  fields: [number: number, value: number | string | Buffer][];
}

export function readEntries(image: Buffer): MountEntry[] {
  const found: MountEntry[] = [];
  for (const message of messagesIn(image, IMAGE)) {
    found.push(entryOf(message));
    if (found.length > MOST_ENTRIES) throw badMessage(IMAGE, 'it has too many mounts');
  }
  return found;
}

function entryOf(message: Buffer): MountEntry {
  const fields = fieldsOf(message, IMAGE);
  const of = (number: number) => fields.find((field) => field.number === number)?.value;
  const key = of(FIELD.key);
  return {
    ...{ id: Number(of(FIELD.id)), parent: Number(of(FIELD.parent)), device: Number(of(FIELD.device)) },
    ...{
      root: String(of(FIELD.root)),
      at: String(of(FIELD.at)),
      key: key === undefined ? null : String(key),
    },
    fields: fields.map(({ number, value }) => [number, value]),
  };
}

/** `image` gives its beginning, by which it is recognised. */
export function imageOf(image: Buffer, entries: MountEntry[]): Buffer {
  const messages = entries.map((entry) =>
    messageOf(entry.fields.map(([number, value]) => [number, changed(entry, number) ?? value])),
  );
  return imageWith(image, messages);
}

/** What of an entry may have been changed. */
const changed = ({ parent, device, root }: MountEntry, number: number): number | string | undefined =>
  ({ [FIELD.parent]: parent, [FIELD.device]: device, [FIELD.root]: root })[number];

/** One of the home's. In the job's own namespace it has a `key`: the restore is given it by `mnt[KEY]`. */
export function homesMount({ key, ...mount }: Omit<MountEntry, 'fields'>): MountEntry {
  const { id, parent, device, root, at } = mount;
  const fields: MountEntry['fields'] = [
    [FIELD.fstype, UNSUPPORTED],
    [FIELD.id, id],
    [FIELD.device, device],
    [FIELD.parent, parent],
    [FIELD.flags, 0],
    [FIELD.root, root],
    [FIELD.at, at],
    [FIELD.source, 'home'],
    [FIELD.options, ''],
  ];
  return { ...mount, key, fields: key === null ? fields : [...fields, [FIELD.key, key]] };
}

/** The entry becomes one of `device`, a mount of the home's; CRIU takes two mounts for one file system's if both have the same device. */
export function assignToHome(mount: MountEntry, device: number, root: string): void {
  const told: Record<number, number | string> = {
    [FIELD.fstype]: UNSUPPORTED,
    [FIELD.source]: 'home',
    [FIELD.options]: '',
  };
  mount.device = device;
  mount.root = root;
  mount.fields = mount.fields
    .filter(([number]) => number !== FIELD.typeName)
    .map(([number, value]) => [number, told[number] ?? value]);
}

/** CRIU distinguishes the mounts of all of a job's namespaces by these numbers. */
export class MountIds {
  #last: number;

  constructor(namespaces: MountEntry[][]) {
    this.#last = namespaces.flat().reduce((most, { id }) => Math.max(most, id), 0);
  }

  next(): number {
    return ++this.#last;
  }
}

/** The image with mounts (absolute paths, parents before children) that the restore is given by `mnt[PATH]`. */
export function addMounts(image: Buffer, paths: string[], ids = new MountIds([readEntries(image)])): Buffer {
  const entries = readEntries(image);
  for (const [index, at] of paths.entries()) {
    const parent = parentOf(at, entries).id;
    entries.push(homesMount({ id: ids.next(), parent, device: NO_DEVICE + index, root: '/', at, key: at }));
  }
  return imageOf(image, entries);
}

function parentOf(at: string, entries: MountEntry[]): MountEntry {
  const above = entries.filter((entry) => entry.at === '/' || at.startsWith(`${entry.at}/`));
  const [nearest] = above.sort((a, b) => b.at.length - a.at.length);
  if (!nearest) throw badMessage(IMAGE, 'it has no root');
  return nearest;
}
