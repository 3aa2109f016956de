/**
 * Where a node is that has joined a cluster: the others are told when it is elsewhere, as after a new lease of DHCP or by
 * another configuration.
 */
import type { AgentConfig } from '../../api/config';
import type { Log } from '../../log';
import { addressTowards, isOwnAddress, ownAddresses } from '../../machine/network/own-addresses';
import type { Roster } from './roster';

/** A new address is rare, and looking costs a system call. */
const LOOK_EVERY_MS = 3_000;
/** Where a machine without a network is reached, by itself alone. */
const NOWHERE = '127.0.0.1';
/** All addresses: at which of them others reach it, it does not say (man 7 ip, RFC 4291). */
const ANY = ['0.0.0.0', '::'];
/** One of a few will have a route to it. */
const TRIED = 5;

type Listen = AgentConfig['listen'];

/** Where to listen. One that follows is where it was last, else from where it reaches the others, else nowhere. */
export async function presentPlace(name: string, listen: Listen, roster: Roster): Promise<Listen> {
  if (!listen.follows) return listen;
  const last = roster.entry(name)?.address ?? listen.host;
  const host = (await isOwnAddress(last)) ? last : await towardsOthers(name, roster);
  return { ...listen, host: host ?? NOWHERE };
}

async function towardsOthers(name: string, { members, authorityNode }: Roster): Promise<string | null> {
  const others = members.filter((member) => member.name !== name);
  const first = others.filter((member) => member.name === authorityNode);
  for (const { address, port } of [...first, ...others].slice(0, TRIED)) {
    const found = await addressTowards(address, port);
    if (found !== null) return found;
  }
  // Where there are others, an address from which none of them is reached is not the one.
  return others.length > 0 ? null : (ownAddresses()[0] ?? null);
}

export interface PlaceParts {
  name: string;
  /** Where it listens now. */
  listen: Listen;
  roster: Roster;
  /** Has the authority know it. */
  tell: (place: { address: string; port: number }) => Promise<unknown>;
  /** It has to listen elsewhere: the agent is to be started anew. */
  moved: () => void;
  log: Log;
}

export class Place {
  #isTelling = false;
  /** What the authority has said no to is logged once. */
  #told = '';

  constructor(private readonly parts: PlaceParts) {}

  start(): void {
    setInterval(() => void this.look(), LOOK_EVERY_MS).unref();
    void this.look();
  }

  /** Never rejects: it is tried again. */
  async look(): Promise<void> {
    const { name, listen, roster, moved, log } = this.parts;
    const { host, port } = listen;
    if (listen.follows && (host === NOWHERE || !(await isOwnAddress(host)))) {
      const now = await towardsOthers(name, roster);
      // Without any it waits, and what runs here goes on.
      if (now === null || now === host) return;
      log.warn(`this machine has no address ${host} any more: the agent is started anew at ${now}`);
      return moved();
    }
    const entry = roster.entry(name);
    if (ANY.includes(host) || (entry?.address === host && entry.port === port)) return;
    await this.#tell(host, port);
  }

  async #tell(address: string, port: number): Promise<void> {
    const { tell, log } = this.parts;
    if (this.#isTelling) return;
    this.#isTelling = true;
    try {
      await tell({ address, port });
      log(`the cluster knows that this node is at ${address}:${port} now`);
    } catch (error) {
      const why = (error as Error).message;
      if (why !== this.#told) log.warn(`the authority does not know that this node is at ${address}: ${why}`);
      this.#told = why;
    } finally {
      this.#isTelling = false;
    }
  }
}
