/** Where on the local network machines can join: see cluster/announcement.ts. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ANNOUNCED_AS, type Place } from '../api/token';
import { multicastAt } from '../wire/multicast';

/** An announcement is answered within a tenth of a second; one that was lost is asked for again after a second. */
const LISTEN_MS = 3_000;
/** More clusters than one network has, and each with several addresses. */
const MOST_PLACES = 64;

/** All that is announced where this machine has this address, in no order; none of it is trusted. */
export async function discover(address: string): Promise<Place[]> {
  const bonjour = multicastAt(address, () => {});
  const found = new Map<string, Place>();
  const browser = bonjour.find({ type: ANNOUNCED_AS }, ({ addresses = [], referer, port }) => {
    for (const host of [...addresses, ...(referer ? [referer.address] : [])])
      if (found.size < MOST_PLACES) found.set(`${host} ${port}`, { host, port });
  });
  const again = setInterval(() => browser.update(), LISTEN_MS / 3);
  await sleep(LISTEN_MS);
  clearInterval(again);
  bonjour.destroy();
  return [...found.values()];
}
