/**
 * Folders that are the same files on several nodes: a job that finds one on its host as well as at home uses it there,
 * and not over the network of its home.
 */
import type { SharedMount } from '../../api/peer-contract';
import { parseMounts } from '../proc/parse';

/**
 * File systems whose source names the server and what of it is mounted, so that one name is one thing everywhere.
 * Others of their kind (BeeGFS, GPFS, AFS, 9p, virtiofs) call themselves the same in any cluster: for a person to list.
 */
const BY_SERVER = ['nfs', 'nfs4', 'lustre', 'ceph', 'glusterfs', 'fuse.glusterfs', 'cifs', 'smb3'];
/** A name that means another machine on each (NFS over a tunnel, say). */
const OWN_MACHINE = /^(\/\/)?(localhost|127\.|\[?::1\b)/;

/**
 * What of this node other nodes may have as well.
 * @param listed absolute paths that the configuration names
 * @param state the folder of this node's own state: what it is in is never shared
 */
export function sharedMounts(mountinfo: string, listed: string[], state: string): SharedMount[] {
  const found = new Map<string, SharedMount>(listed.map((at) => [at, { at, listed: true, source: null }]));
  // In the order of mounting: the last one at a place is the one to be seen.
  for (const { at, type, source, root } of parseMounts(mountinfo)) {
    const named = BY_SERVER.includes(type) && !OWN_MACHINE.test(source);
    const mount = {
      at,
      listed: listed.includes(at),
      source: named ? `${type.replace('nfs4', 'nfs')} ${source} ${root}` : null,
    };
    if (mount.listed || mount.source) found.set(at, mount);
    else found.delete(at);
  }
  const apart = ({ at }: SharedMount) =>
    at !== '/' && !`${state}/`.startsWith(`${at}/`) && !isBelow(at, state);
  return [...found.values()].filter(apart);
}

/** The places of `theirs` that are the same files here: listed by both, or of one server. */
export function alsoShared(theirs: SharedMount[], mine: SharedMount[]): string[] {
  const same = (a: SharedMount, b: SharedMount) =>
    a.at === b.at && ((a.listed && b.listed) || (a.source !== null && a.source === b.source));
  return theirs.filter((their) => mine.some((own) => same(their, own))).map(({ at }) => at);
}

/** Is what a job calls `path` in one of the mounts `among`? It may be in another of its `mounts` below that. */
export function isIn(path: string, mounts: string[], among: string[]): boolean {
  const around = [...mounts, ...among].filter((at) => at === path || isBelow(path, at));
  const nearest = around.sort((a, b) => b.length - a.length)[0];
  return nearest !== undefined && among.includes(nearest);
}

const isBelow = (path: string, folder: string) => path.startsWith(`${folder}/`);
