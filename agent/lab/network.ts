/**
 * The lab's network: one namespace with a bridge, and one for each node, joined to it by a veth pair (ip-netns(8),
 * veth(4)). Nothing is added to the machine's own network, so two labs never meet.
 */
import { mkdir, readdir, readFile, readlink, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AddressPool } from '../cluster/config';
import { hardwareAddress } from '../network/address';
import { run } from './command';

/** Where ip(8) looks for namespaces by name. */
const NAMESPACES = '/run/netns';
const BRIDGE = 'bridge';
/** A node's own end of its cable; an interface's name may have 15 bytes. */
const UPLINK = 'eth0';
/** It ends in a bridge, where the jobs on the node that have an address of their own come in. */
export const NODE_BRIDGE = 'br0';
const PREFIX_BITS = 16;

/** Subnets 10.N.0.0/16 are tried from here on: few networks use these. */
const FIRST_SUBNET = 177;
const LAST_SUBNET = 254;

export const namespacePath = (namespace: string) => join(NAMESPACES, namespace);
export const bridgeNamespace = (lab: string) => `gw-${lab}`;
export const nodeNamespace = (lab: string, node: string) => `gw-${lab}-${node}`;

/** The address of the node with this index (from 0) in a subnet like 10.177.0. */
export const nodeAddress = (subnet: string, index: number) => `${subnet}.${index + 1}`;

/** The addresses that this node gives to jobs: a range of its own, so that no two homes give the same. */
export function jobAddresses(subnet: string, index: number): AddressPool {
  const own = `${subnet.split('.').slice(0, 2).join('.')}.${index + 1}`;
  return { first: `${own}.1`, last: `${own}.254`, bits: PREFIX_BITS };
}

/** The first three numbers of a network that neither this machine nor another lab uses. */
export async function freeSubnet(taken: string[]): Promise<string> {
  const [addresses, routes] = [await run('ip', '-4', 'address'), await run('ip', '-4', 'route')];
  for (let number = FIRST_SUBNET; number <= LAST_SUBNET; number++) {
    const subnet = `10.${number}.0`;
    if (!taken.includes(subnet) && !`${addresses}${routes}`.includes(` 10.${number}.`)) return subnet;
  }
  // Even a network that is used elsewhere works: the namespaces don't know of each other.
  return `10.${FIRST_SUBNET}.0`;
}

/** @throws GodwitError `command-failed` */
export async function makeNetwork(lab: string, nodes: { name: string; address: string }[]): Promise<void> {
  const hub = bridgeNamespace(lab);
  await addNamespace(hub);
  await ip(hub, 'link', 'add', BRIDGE, 'type', 'bridge');
  await ip(hub, 'link', 'set', BRIDGE, 'up');
  for (const { name, address } of nodes) {
    const namespace = nodeNamespace(lab, name);
    await addNamespace(namespace);
    await ip(hub, 'link', 'add', name, 'type', 'veth', 'peer', 'name', UPLINK, 'netns', namespace);
    await ip(hub, 'link', 'set', name, 'master', BRIDGE, 'up');
    await ip(namespace, 'link', 'add', NODE_BRIDGE, 'type', 'bridge');
    // Set once: else it changes with the lowest of the addresses of its ports.
    await ip(namespace, 'link', 'set', NODE_BRIDGE, 'address', hardwareAddress(address));
    await ip(namespace, 'link', 'set', UPLINK, 'master', NODE_BRIDGE, 'up');
    await ip(namespace, 'address', 'add', `${address}/${PREFIX_BITS}`, 'dev', NODE_BRIDGE);
    await ip(namespace, 'link', 'set', NODE_BRIDGE, 'up');
  }
}

/** The bridge's end of a node's cable. @throws GodwitError `command-failed` */
export async function switchLink(lab: string, node: string, state: 'up' | 'down'): Promise<void> {
  await ip(bridgeNamespace(lab), 'link', 'set', node, state);
}

const ip = (namespace: string, ...args: string[]) => run('ip', '-n', namespace, ...args);

/** `ip netns add` would also leave a mount on /run/netns itself, for good. */
async function addNamespace(namespace: string): Promise<void> {
  await mkdir(NAMESPACES, { recursive: true });
  await writeFile(namespacePath(namespace), '', { flag: 'wx' });
  await run('unshare', `--net=${namespacePath(namespace)}`, 'ip', 'link', 'set', 'lo', 'up');
}

/** The lab's namespaces that are there, by name. */
export async function findNamespaces(lab: string): Promise<string[]> {
  const names = await readdir(NAMESPACES).catch(() => []);
  return names.filter((name) => name === bridgeNamespace(lab) || isNodeOf(lab, name));
}

const isNodeOf = (lab: string, namespace: string) =>
  namespace.startsWith(`gw-${lab}-`) && /^node\d+$/.test(namespace.slice(`gw-${lab}-`.length));

/** Deletes a namespace's name; the namespace itself ends with its last process. */
export const removeNamespace = (namespace: string) => run('ip', 'netns', 'delete', namespace);

/** All processes of this machine that are in one of these namespaces, this one excepted. */
export async function processesIn(namespaces: string[]): Promise<number[]> {
  const bound = await boundOf(namespaces);
  const inodes = await Promise.all(bound.map((name) => stat(namespacePath(name)).then(({ ino }) => ino)));
  const links = new Set(inodes.map((inode) => `net:[${inode}]`));
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && name !== String(process.pid));
  const found = await Promise.all(
    pids.map(async (pid) => {
      // A process that has gone meanwhile is in none.
      const link = await readlink(`/proc/${pid}/ns/net`).catch(() => '');
      return links.has(link) ? Number(pid) : undefined;
    }),
  );
  return found.filter((pid) => pid !== undefined);
}

/** Those names that are bound to a namespace: after a reboot, a name may be an ordinary file. */
export async function boundOf(namespaces: string[]): Promise<string[]> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  return namespaces.filter((name) => mounts.includes(` ${namespacePath(name)} `));
}
