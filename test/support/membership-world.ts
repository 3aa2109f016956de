/**
 * Members that gossip in one process, under a time and with a chance of its own: the same seed gives the same run. The
 * network between them loses, delays, repeats and reorders as it is told to; links pass where datagrams don't.
 */
import type { Standing } from '../../agent/api/membership';
import { Freshness } from '../../agent/daemon/membership/freshness';
import { Gossip, type Outgoing } from '../../agent/daemon/membership/gossip';
import type { Message } from '../../agent/daemon/membership/message';
import { MemberNames } from '../../agent/daemon/membership/names';
import { TICK_MS } from '../../agent/daemon/membership/timing';
import { LoadWindow } from '../../agent/daemon/membership/window';

/** What is left of 1,200 bytes beside the key and the signature of a node of the lab's. */
export const ROOM = 1_037;
/** Those, and UDP's and IP's headers: what a message takes more on the wire. */
export const ENVELOPE_BYTES = 163 + 28;

/** 48 bits each (mulberry32, twice). */
export function chance(seed: number): () => number {
  let state = seed | 0;
  const draw = () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return (x ^ (x >>> 14)) >>> 0;
  };
  return () => (draw() * 2 ** 16 + (draw() >>> 16)) / 2 ** 48;
}

/** Things that happen at whole milliseconds, in the order in which they were asked for. */
class Agenda {
  now = 0;
  readonly #days: (() => void)[][] = Array.from({ length: 8_192 }, () => []);

  /** @param ms less than eight seconds */
  after(ms: number, happen: () => void): void {
    const at = this.now + Math.max(1, Math.round(ms));
    this.#days[at % this.#days.length]!.push(happen);
  }

  until(end: number): void {
    while (this.now < end) {
      this.now++;
      const today = this.#days[this.now % this.#days.length]!;
      if (today.length === 0) continue;
      this.#days[this.now % this.#days.length] = [];
      for (const happen of today) happen();
    }
  }
}

export interface Network {
  /** Share of the datagrams. */
  loss: number;
  delayMs: [least: number, most: number];
  repeated: number;
  passes: (from: string, to: string) => boolean;
  /** Whether a link answers; as `passes` if absent. Datagrams alone may be kept out. */
  links: (from: string, to: string) => boolean;
}

export interface Change {
  at: number;
  seenBy: string;
  node: string;
  standing: Standing;
  by: string;
  /** Who told it; null where it found so itself. */
  from: string | null;
}

interface Host {
  name: string;
  gossip: Gossip;
  runs: boolean;
  /** Stands still until then; what comes meanwhile waits. */
  stillUntil: number;
  waiting: (() => void)[];
  /** What its clock shows at the beginning, and how it runs. */
  clock: { off: number; rate: number };
  roster: number;
  rosterOf: MemberNames;
}

export interface WorldOptions {
  seed: number;
  names: string[];
  network?: Partial<Network>;
  /** Those who keep the load of all; the others pass on and forget. All if absent. */
  keepAll?: (name: string) => boolean;
  loads?: boolean;
  /** False for a network that repeats nothing, where it takes memory for nothing. */
  proof?: boolean;
  clock?: (name: string) => { off: number; rate: number };
}

const TRUSTING: Pick<Freshness, 'has' | 'judge' | 'proved' | 'forget'> = {
  has: () => true,
  judge: () => 'new',
  proved: () => {},
  forget: () => {},
};

export class World {
  readonly random: () => number;
  readonly network: Network;
  readonly changes: Change[] = [];
  readonly hosts = new Map<string, Host>();
  /** Sees each message that is sent. */
  onMessage: (from: string, message: Message) => void = () => {};
  sent = { messages: 0, exchanges: 0 };
  readonly #agenda = new Agenda();
  #hearing: string | null = null;
  #roster: MemberNames;
  #rosterNumber = 1;

  constructor(private readonly options: WorldOptions) {
    this.random = chance(options.seed);
    const passes = options.network?.passes ?? (() => true);
    this.network = { loss: 0, delayMs: [1, 3], repeated: 0, links: passes, ...options.network, passes };
    this.#roster = new MemberNames(options.names);
    for (const name of options.names) this.start(name);
  }

  get now(): number {
    return this.#agenda.now;
  }

  run(ms: number): void {
    this.#agenda.until(this.now + ms);
  }

  /** In steps of a tenth of a second. Throws when it does not come true. */
  until(is: () => boolean, withinMs: number): number {
    const begun = this.now;
    while (!is()) {
      if (this.now - begun > withinMs) throw new Error(`not within ${withinMs} ms`);
      this.run(100);
    }
    return this.now - begun;
  }

  /** An agent begins its life. */
  start(name: string): void {
    const clock = this.options.clock?.(name) ?? { off: 0, rate: 1 };
    const host = { name, clock, runs: true, stillUntil: 0, waiting: [] } as unknown as Host;
    host.roster = this.#rosterNumber;
    host.rosterOf = this.#roster;
    host.gossip = this.#gossip(host);
    host.gossip.review(host.rosterOf);
    this.hosts.set(name, host);
    // They begin at different times, and the first has others to speak to.
    this.#agenda.after(this.random() * TICK_MS, () => this.#tick(host, 0));
  }

  stop(name: string): void {
    this.#host(name).runs = false;
  }

  freeze(name: string, ms: number): void {
    if (this.#host(name).stillUntil > this.now) return;
    const whole = Math.round(ms);
    this.#host(name).stillUntil = this.now + whole;
    this.#agenda.after(whole, () => {
      const host = this.#host(name);
      for (const happen of host.waiting.splice(0)) happen();
    });
  }

  /** One node's list has another member; the others hear from it that there is a later list. */
  join(name: string, at: string): void {
    this.#roster = new MemberNames([...this.#roster.names, name]);
    this.#rosterNumber++;
    this.start(name);
    this.#update(this.#host(at));
  }

  /** All nodes' lists are without it at once. */
  remove(name: string): void {
    this.#roster = new MemberNames(this.#roster.names.filter((other) => other !== name));
    this.#rosterNumber++;
    this.hosts.get(name)!.runs = false;
    this.hosts.delete(name);
    for (const host of this.hosts.values()) this.#update(host);
  }

  /** What `name` takes the node for. */
  standing(name: string, node: string): Standing {
    return this.#host(name).gossip.standing(node);
  }

  get running(): Host[] {
    return [...this.hosts.values()].filter(({ runs }) => runs);
  }

  /** Do all that run take the node for this? */
  agree(node: string, standing: Standing): boolean {
    return this.running.every(({ name, gossip }) => name === node || gossip.standing(node) === standing);
  }

  clockOf(host: Host): number {
    return host.clock.off + this.now * host.clock.rate;
  }

  gossip(name: string): Gossip {
    return this.#host(name).gossip;
  }

  /** A datagram comes to a node from anywhere. */
  deliver(from: string, to: string, message: Message): void {
    const host = this.hosts.get(to);
    if (!host?.runs) return;
    if (host.stillUntil > this.now) host.waiting.push(() => this.deliver(from, to, message));
    else {
      this.#hearing = from;
      this.#carry(host, host.gossip.receive(from, message, this.clockOf(host)));
      this.#hearing = null;
    }
  }

  #host(name: string): Host {
    return this.hosts.get(name)!;
  }

  #gossip(host: Host): Gossip {
    const { proof = true, keepAll } = this.options;
    const latest = () => host.roster;
    const behind = (from: string) =>
      this.#agenda.after(this.#delay(), () => {
        const other = this.hosts.get(from);
        if (!other?.runs || !host.runs || other.roster <= host.roster) return;
        host.roster = other.roster;
        host.rosterOf = other.rosterOf;
        host.gossip.review(host.rosterOf);
      });
    return new Gossip({
      ...{ self: host.name, random: this.random, room: ROOM, now: this.clockOf(host) },
      roster: { latest, behind },
      freshness: proof ? new Freshness() : TRUSTING,
      loads: new LoadWindow(keepAll && !keepAll(host.name) ? 'recent' : 'all'),
      changed: (node, standing, by) =>
        this.changes.push({ at: this.now, seenBy: host.name, node, standing, by, from: this.#hearing }),
    });
  }

  #update(host: Host) {
    host.roster = this.#rosterNumber;
    host.rosterOf = this.#roster;
    host.gossip.review(this.#roster);
  }

  #tick(host: Host, count: number) {
    if (!host.runs || this.hosts.get(host.name) !== host) return;
    const again = () => this.#tick(host, count + 1);
    if (host.stillUntil > this.now) {
      host.waiting.unshift(again);
      return;
    }
    const now = this.clockOf(host);
    if (this.options.loads !== false && count % 4 === 0)
      host.gossip.put({ cpus: 4, speed: 1, load: this.random() * 4, ...MEMORY, jobs: 1 }, now);
    this.#carry(host, host.gossip.tick(now));
    this.#agenda.after(TICK_MS, again);
  }

  #carry(from: Host, outgoing: Outgoing[]) {
    for (const out of outgoing) {
      if ('message' in out) this.#datagram(from.name, out.to, out.message);
      else this.#exchange(from, out.to, out.exchange);
    }
  }

  #datagram(from: string, to: string, message: Message) {
    this.sent.messages++;
    this.onMessage(from, message);
    const { loss, repeated, passes } = this.network;
    if (!passes(from, to) || this.random() < loss) return;
    this.#agenda.after(this.#delay(), () => this.deliver(from, to, message));
    if (this.random() < repeated) this.#agenda.after(this.#delay(), () => this.deliver(from, to, message));
  }

  #exchange(
    from: Host,
    to: string,
    { nonce, telling }: Extract<Outgoing, { exchange: unknown }>['exchange'],
  ) {
    this.sent.exchanges++;
    if (!this.network.links(from.name, to)) return;
    // As with any connection, both ends wait for each other.
    const answer = () => {
      const host = this.hosts.get(to);
      if (!host?.runs) return;
      if (host.stillUntil > this.now) {
        host.waiting.push(answer);
        return;
      }
      const said = host.gossip.exchange(from.name, telling, false, this.clockOf(host));
      const heard = () => {
        if (from.stillUntil > this.now) from.waiting.push(heard);
        else if (from.runs) from.gossip.linked(to, nonce, said, this.clockOf(from));
      };
      this.#agenda.after(this.#delay(), heard);
    };
    this.#agenda.after(this.#delay(), answer);
  }

  #delay(): number {
    const [least, most] = this.network.delayMs;
    return least + this.random() * (most - least);
  }
}

const GIB = 2 ** 30;
const MEMORY = { memTotal: 16 * GIB, memFree: 8 * GIB };

export const namesOf = (count: number): string[] => Array.from({ length: count }, (_, n) => `node${n + 1}`);
