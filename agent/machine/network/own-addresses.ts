/** The addresses of this machine itself. */
import { createSocket } from 'node:dgram';
import { networkInterfaces } from 'node:os';

/** Those at which other machines may reach it now: those of IPv4 first, none of loopback or of one link only. */
export function ownAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((some) => some ?? []);
  const outside = all.filter(({ internal, scopeid }) => !internal && !scopeid);
  const of = (wanted: 'IPv4' | 'IPv6') =>
    outside.filter(({ family }) => family === wanted).map(({ address }) => address);
  return [...of('IPv4'), ...of('IPv6')];
}

/** Whether it is this machine's, its cable plugged in or not. */
export function isOwnAddress(address: string): Promise<boolean> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  return new Promise<boolean>((resolve) => {
    socket.once('error', () => resolve(false));
    socket.bind({ address, port: 0, exclusive: true }, () => resolve(true));
  }).finally(() => socket.close());
}

/**
 * The address from which packets to another one go; null where no route leads there. Nothing is sent: connecting a datagram
 * socket only looks up the route (man 7 ip).
 */
export function addressTowards(host: string, port: number): Promise<string | null> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  return new Promise<string | null>((resolve) => {
    socket.once('error', () => resolve(null));
    socket.connect(port, host, () => resolve(socket.address().address));
  }).finally(() => socket.close());
}
