/**
 * The namespaces of a lab, by the names that they have in its own folder: no other program works there, unlike in
 * ip-netns(8)'s /run/netns. They are found by what is mounted, which also shows names that something covers.
 */
import { mkdir, readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../machine/command';
import { parseMounts, pidsAmong } from '../machine/proc/parse';
import { nodesFolder } from './description';

export const bridgeNamespace = (lab: string) => join(nodesFolder(lab), 'bridge.net');
export const nodeNamespace = (lab: string, node: string) => join(nodesFolder(lab), `${node}.net`);
/** The node's mount namespace. */
export const filesNamespace = (lab: string, node: string) => join(nodesFolder(lab), `${node}.mnt`);

/** Where earlier builds had the names of network namespaces; such a lab can only be taken down. */
const FORMER_FOLDER = '/run/netns';
export async function formerNames(lab: string): Promise<string[]> {
  const isFormer = (name: string) =>
    name === `gw-${lab}` ||
    (name.startsWith(`gw-${lab}-`) && /^node\d+$/.test(name.slice(`gw-${lab}-`.length)));
  const there = await readdir(FORMER_FOLDER).catch(() => []);
  const mounted = parseMounts(await mountinfo()).map(({ at }) => at);
  const names = mounted.flatMap((at) => (at.startsWith(`${FORMER_FOLDER}/`) ? [at.slice(11)] : []));
  return [...new Set([...there, ...names])].filter(isFormer).map((name) => join(FORMER_FOLDER, name));
}

/** A name, and its namespace as `/proc/PID/ns` has it: `net:[4026532265]`. */
export interface Bound {
  path: string;
  namespace: string;
}

/** Those of the lab that are bound to a namespace: after a reboot, a name is an ordinary file. */
export async function findNamespaces(lab: string): Promise<Bound[]> {
  const former = await formerNames(lab);
  const ours = (path: string) => path.startsWith(`${nodesFolder(lab)}/`) || former.includes(path);
  const bound = parseMounts(await mountinfo()).filter(({ at, type }) => type === 'nsfs' && ours(at));
  // What another process has mounted over a name came later.
  const first = new Map(bound.reverse().map(({ at, root }) => [at, root]));
  return [...first].map(([path, namespace]) => ({ path, namespace }));
}

/** Those of these names that are bound to a namespace. */
export async function boundOf(paths: string[]): Promise<Bound[]> {
  const bound = parseMounts(await mountinfo()).filter(
    ({ at, type }) => type === 'nsfs' && paths.includes(at),
  );
  return bound.map(({ at, root }) => ({ path: at, namespace: root }));
}

/** Names can be bound to mount namespaces only where mounts are not passed on to those very namespaces. */
export async function makeNodesFolder(lab: string): Promise<void> {
  const folder = nodesFolder(lab);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (!parseMounts(await mountinfo()).some(({ at }) => at === folder))
    await run('mount', '--bind', folder, folder);
  await run('mount', '--make-private', folder);
}

/** Makes a network namespace with this name. */
export async function makeNetworkNamespace(path: string): Promise<void> {
  await writeFile(path, '', { mode: 0o600 });
  await run('unshare', `--net=${path}`, 'ip', 'link', 'set', 'lo', 'up');
}

/** Gives its name back to the namespace of a process. @param kind as in `/proc/PID/ns` */
export async function bindAgain(path: string, kind: 'net' | 'mnt', pid: number): Promise<void> {
  await writeFile(path, '', { mode: 0o600 });
  await run('mount', '--bind', `/proc/${pid}/ns/${kind}`, path);
}

/** A process that has gone meanwhile is in none. */
export const networkOf = (pid: number | string) => readlink(`/proc/${pid}/ns/net`).catch(() => '');

/** All processes of this machine that are in one of these network namespaces, this one excepted. */
export async function processesIn(namespaces: Iterable<string>): Promise<number[]> {
  const wanted = new Set(namespaces);
  // If the machine's own network is bound to a name of ours, nothing is killed.
  wanted.delete(await networkOf(1));
  const pids = pidsAmong(await readdir('/proc')).filter((pid) => pid !== `${process.pid}`);
  const found = await Promise.all(
    pids.map(async (pid) => (wanted.has(await networkOf(pid)) ? [Number(pid)] : [])),
  );
  return found.flat();
}

/** All processes of a node's network. */
export const processesOfNode = async (lab: string, node: string) =>
  processesIn((await boundOf([nodeNamespace(lab, node)])).map(({ namespace }) => namespace));

const mountinfo = () => readFile('/proc/self/mountinfo', 'utf8');
