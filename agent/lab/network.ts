/**
 * The lab's network: one namespace with a bridge, and one for each node, joined to it by a veth pair (veth(4)). Nothing
 * is added to the machine's own network, so two labs never meet. Each step is done where its work is missing.
 */

import { run } from '../machine/command';
import { hardwareAddress } from '../machine/network/address';
import { bindAgain, boundOf, bridgeNamespace, makeNetworkNamespace, nodeNamespace } from './namespaces';
import { NODE_BRIDGE, PREFIX_BITS } from './subnet';

const BRIDGE = 'bridge';
/** A node's own end of its cable; an interface's name may have 15 bytes. */
const UPLINK = 'eth0';

export interface NetworkNode {
  name: string;
  address: string;
  /** A process that is in its network, if there is one. */
  process: number | null;
}

/** Makes the missing parts of it. @throws GodwitError `command-failed` */
export async function makeNetwork(lab: string, nodes: NetworkNode[]): Promise<void> {
  const hub = bridgeNamespace(lab);
  if (!(await isBound(hub))) await makeNetworkNamespace(hub);
  if (!(await has(hub, BRIDGE))) await ip(hub, 'link', 'add', BRIDGE, 'type', 'bridge');
  await ip(hub, 'link', 'set', BRIDGE, 'up');
  for (const node of nodes) await makeNode(lab, hub, node);
}

async function makeNode(lab: string, hub: string, { name, address, process }: NetworkNode): Promise<void> {
  const namespace = nodeNamespace(lab, name);
  if (!(await isBound(namespace))) {
    if (process === null) await makeNetworkNamespace(namespace);
    else await bindAgain(namespace, 'net', process);
  }
  if (!(await has(namespace, UPLINK)) || !(await has(hub, name))) {
    // Half a cable would be another's.
    for (const [at, end] of [[namespace, UPLINK] as const, [hub, name] as const])
      if (await has(at, end)) await ip(at, 'link', 'delete', end);
    await ip(hub, 'link', 'add', name, 'type', 'veth', 'peer', 'name', UPLINK, 'netns', namespace);
  }
  await ip(hub, 'link', 'set', name, 'master', BRIDGE, 'up');
  if (!(await has(namespace, NODE_BRIDGE))) await ip(namespace, 'link', 'add', NODE_BRIDGE, 'type', 'bridge');
  // Set once: else it changes with the lowest of the addresses of its ports.
  await ip(namespace, 'link', 'set', NODE_BRIDGE, 'address', hardwareAddress(address));
  await ip(namespace, 'link', 'set', UPLINK, 'master', NODE_BRIDGE, 'up');
  await ip(namespace, 'address', 'replace', `${address}/${PREFIX_BITS}`, 'dev', NODE_BRIDGE);
  await ip(namespace, 'link', 'set', NODE_BRIDGE, 'up');
}

/** The bridge's end of a node's cable. @throws GodwitError `command-failed` */
export async function switchLink(lab: string, node: string, state: 'up' | 'down'): Promise<void> {
  await ip(bridgeNamespace(lab), 'link', 'set', node, state);
}

const isBound = async (path: string) => (await boundOf([path])).length > 0;

const has = (namespace: string, device: string) =>
  ip(namespace, 'link', 'show', 'dev', device).then(
    () => true,
    () => false,
  );

const ip = (namespace: string, ...args: string[]) => run('nsenter', `--net=${namespace}`, 'ip', ...args);
