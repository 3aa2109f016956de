/**
 * Says on the local network where machines can join, for those that have a token's secret alone. It is a hint, and believed by none: what is found there has to prove itself.
 */
import { ANNOUNCED_AS } from '../../api/token';
import type { Log } from '../../log';
import { multicastAt } from '../../wire/multicast';

interface Announced {
  name: string;
  /** Of this machine, on the network where it is to be heard. */
  address: string;
  port: number;
}

/** @returns how it ends */
export function announce({ name, address, port }: Announced, log: Log): () => void {
  // A network without multicast, or another program at its port, is no reason to keep machines out.
  const fail = (error: Error) => log.warn(`machines can't find this node by themselves: ${error.message}`);
  const bonjour = multicastAt(address, fail);
  bonjour.publish({ name, type: ANNOUNCED_AS, port, probe: false }).on('error', fail);
  return () => bonjour.unpublishAll(() => bonjour.destroy());
}
