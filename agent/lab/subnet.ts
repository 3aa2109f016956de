/** The addresses of a lab: its nodes' own, and those that they give to jobs. */
import type { AddressPool } from '../api/config';
import { run } from '../machine/command';

export const PREFIX_BITS = 16;
/** A node's own cable ends in this bridge, where the jobs on the node that have an address of their own come in. */
export const NODE_BRIDGE = 'br0';

/** Subnets 10.N.0.0/16 are tried from here on: few networks use these. */
const FIRST_SUBNET = 177;
const LAST_SUBNET = 254;

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
