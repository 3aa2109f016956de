/** A kernel's modules: which of them a node needs, and which of them those need. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { noModule } from './errors';

/** To reach the system that is in memory beside the first program. */
export const FIRST_MODULES = ['loop', 'squashfs', 'overlay'];
/** What a node and CRIU want, whatever the machine is. */
export const NODE_MODULES = [
  ...['fuse', 'tun', 'veth', 'bridge'],
  ...['inet_diag', 'tcp_diag', 'udp_diag', 'raw_diag', 'unix_diag', 'af_packet_diag', 'netlink_diag'],
  ...['nf_tables', 'nft_chain_nat', 'ip_tables', 'iptable_filter'],
];
/** Those that a machine asks for itself: of network cards, and of disks that may keep what a node has been. */
const DRIVERS = [
  /^kernel\/drivers\/net\/ethernet\//,
  /^kernel\/drivers\/net\/(phy|mdio|pcs|vmxnet3|hyperv)\//,
  /^kernel\/drivers\/net\/(virtio_net|xen-netfront|mii)\.ko/,
  /^kernel\/drivers\/(virtio|ata|nvme)\//,
  /^kernel\/drivers\/block\/virtio_blk\.ko/,
  /^kernel\/drivers\/scsi\/(sd_mod|virtio_scsi|hv_storvsc)\.ko/,
  /^kernel\/drivers\/char\/hw_random\/virtio-rng\.ko/,
  /^kernel\/drivers\/hv\//,
  /^kernel\/drivers\/usb\/(storage\/(usb-storage|uas)|host\/(x|e|u|o)hci-)/,
  /^kernel\/fs\/ext4\//,
];
/** ext4 asks for it by the name of what it does, which `modules.dep` does not know. */
const WITH_EXT4 = /^kernel\/(arch\/x86\/crypto\/crc32c-intel|crypto\/crc32c_generic)\.ko/;

/** `modules.dep` as paths to the paths that each needs. */
export function parseNeeds(text: string): Map<string, string[]> {
  const lines = text.split('\n').filter(Boolean);
  return new Map(
    lines.map((line) => {
      const [path, others = ''] = line.split(':');
      return [path!, others.split(' ').filter(Boolean)];
    }),
  );
}

/** A module's name, as the kernel has it, of its path. */
export const nameOf = (path: string): string =>
  path
    .slice(path.lastIndexOf('/') + 1)
    .replace(/\.ko(\.(xz|zst|gz))?$/, '')
    .replaceAll('-', '_');

export class Modules {
  private constructor(
    /** As in `uname -r`. */
    readonly kernel: string,
    /** Where they are. */
    readonly folder: string,
    private readonly needs: Map<string, string[]>,
    private readonly builtIn: Set<string>,
  ) {}

  /** @param all the folder with one for each kernel, of which there is one; depmod(8) has been there */
  static async of(all: string): Promise<Modules> {
    const [kernel] = await readdir(all);
    const folder = join(all, kernel!);
    const read = (name: string) => readFile(join(folder, name), 'utf8');
    const builtIn = (await read('modules.builtin')).split('\n').filter(Boolean).map(nameOf);
    return new Modules(kernel!, folder, parseNeeds(await read('modules.dep')), new Set(builtIn));
  }

  /** For tests. */
  static from(needs: string, builtIn: string[]): Modules {
    return new Modules('6.1', '', parseNeeds(needs), new Set(builtIn));
  }

  /** The paths of these, by their names, and of all that they need, which come first. @throws GodwitError `live-failed` */
  named(names: string[]): string[] {
    const found = names.map((name) => {
      const wanted = nameOf(name);
      const path = [...this.needs.keys()].find((one) => nameOf(one) === wanted);
      if (path === undefined && !this.builtIn.has(wanted)) throw noModule(this.kernel, name);
      return path;
    });
    return this.#withNeeds(found.filter((path) => path !== undefined));
  }

  /** All that a live node may load. */
  ofNode(): string[] {
    const drivers = [...this.needs.keys()].filter((path) =>
      [...DRIVERS, WITH_EXT4].some((pattern) => pattern.test(path)),
    );
    return [...new Set([...this.named([...FIRST_MODULES, ...NODE_MODULES]), ...this.#withNeeds(drivers)])];
  }

  #withNeeds(paths: string[]): string[] {
    return [...new Set(paths.flatMap((path) => [...this.needs.get(path)!.toReversed(), path]))];
  }
}
