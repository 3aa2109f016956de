/** IPv4 addresses as numbers, and which of a pool is free. */

import type { AddressPool } from '../../api/config';
import type { Address } from '../../api/model';

const numberOf = (ip: string) => ip.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
const textOf = (number: number) =>
  [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.');

export const isInPool = ({ first, last }: AddressPool, ip: string): boolean =>
  numberOf(ip) >= numberOf(first) && numberOf(ip) <= numberOf(last);

/** The lowest of the pool that is not among `taken`; null when there is none. */
export function firstFree({ first, last }: AddressPool, taken: ReadonlySet<string>): string | null {
  for (let number = numberOf(first); number <= numberOf(last); number++) {
    const ip = textOf(number);
    if (!taken.has(ip)) return ip;
  }
  return null;
}

export const addressOf = ({ bits, gateway }: AddressPool, ip: string): Address => ({
  ip,
  bits,
  gateway: gateway ?? null,
});

/** The interface's own address on the wire follows from the IP: unicast, locally administered (IEEE 802). */
export const hardwareAddress = (ip: string): string =>
  ['02', '67', ...ip.split('.').map((part) => Number(part).toString(16).padStart(2, '0'))].join(':');
