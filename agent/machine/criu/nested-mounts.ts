/**
 * Mount namespaces that a job has made within its own (`unshare --mount`). They have what they have from the job's: on
 * another node the home's files are one file system there, whatever is mounted at home, and CRIU has for each mount
 * which folder of that it shows. At home these folders are of several file systems: so each mount is described again as the
 * home has it, and where it shows a folder in which the home has others mounted, those are put there too.
 */
import { assignToHome, homesMount, type MountEntry, type MountIds, NO_DEVICE } from './mounts-image';

/** Those that are added to the job's own namespace have the numbers from `NO_DEVICE` on; there are not so many. */
const KEPT = NO_DEVICE + 0x80000;

const isWithin = (path: string, folder: string) =>
  path.startsWith(folder === '/' ? '/' : `${folder}/`) && path !== folder;
const isAtOrWithin = (path: string, folder: string) => path === folder || isWithin(path, folder);
/** `path` within `from`, as it is called within `to`. */
const rebased = (path: string, from: string, to: string) => {
  const rest = from === '/' ? path : path.slice(from.length);
  return to === '/' ? rest || '/' : `${to}${rest === '/' ? '' : rest}`;
};

export class HomesMounts {
  /** Of the mount of all of the home's files. */
  readonly #device: number;
  /** By place, the device of each of the home's mounts; the deepest first. */
  #devices: [at: string, device: number][] = [];

  /** `jobs`: the mounts of the job's own namespace, those of the home added. `own`: the places of the home's. */
  constructor(
    jobs: MountEntry[],
    private readonly own: string[],
    private readonly ids: MountIds,
  ) {
    this.#device = jobs.find(({ at }) => at === '/')?.device ?? 0;
  }

  /** What the job's own namespace has of the home's mounts gets file systems of their own. */
  keep(jobs: MountEntry[]): void {
    for (const [index, mount] of jobs.entries()) {
      if (mount.key === null || !this.own.includes(mount.key)) continue;
      if (mount.device === this.#device) assignToHome(mount, KEPT + index, '/');
      this.#devices.push([mount.at, mount.device]);
    }
    this.#devices.sort(([a], [b]) => b.length - a.length);
  }

  /** A nested namespace's mounts. */
  arrange(mounts: MountEntry[]): MountEntry[] {
    const all = [...mounts];
    for (const mount of mounts.filter(({ device }) => device === this.#device)) {
      const here = [mount];
      // Parents first.
      for (const [at, device] of [...this.#devices].reverse()) {
        if (!isWithin(at, mount.root)) continue;
        const place = rebased(at, mount.root, mount.at);
        if (isCovered(place, mount, mounts)) continue;
        const parent = deepest(here.filter((one) => isWithin(place, one.at)));
        const added = homesMount({
          id: this.ids.next(),
          parent: parent!.id,
          device,
          root: '/',
          at: place,
          key: null,
        });
        for (const other of mounts)
          if (here.some((one) => one.id === other.parent) && isWithin(other.at, place))
            other.parent = added.id;
        here.push(added);
        all.push(added);
      }
      this.#assignDevice(mount);
    }
    return all;
  }

  /** By the deepest of the home's mounts that has its folder. */
  #assignDevice(mount: MountEntry): void {
    const [at, device] = this.#devices.find(([place]) => isAtOrWithin(mount.root, place)) ?? [];
    if (at === undefined || device === undefined) return;
    assignToHome(mount, device, rebased(mount.root, at, '/'));
  }
}

/** Is there another mount over this place of a mount? */
const isCovered = (place: string, mount: MountEntry, mounts: MountEntry[]) =>
  mounts.some(({ id, parent, at }) => parent === mount.id && id !== parent && isAtOrWithin(place, at));

const deepest = (mounts: MountEntry[]) => [...mounts].sort((a, b) => b.at.length - a.at.length)[0];
