/** The home gives addresses out: each to one job at a time, and none that another machine on the network has. */

import type { AddressPool } from '../../api/config';
import { GodwitError } from '../../api/errors';
import type { Address } from '../../api/model';
import { addressOf, firstFree, isInPool } from '../../machine/network/address';

export interface AssignOptions {
  node: string;
  pool: AddressPool | null;
  /** The addresses that the journal's jobs have. */
  taken: () => Promise<string[]>;
  /** Who on the network answers for an address. */
  ownerOf: (ip: string) => Promise<string | null>;
}

export class Addresses {
  /** Those of launches that are not in the journal yet. */
  readonly #promised = new Set<string>();

  constructor(private readonly options: AssignOptions) {}

  /**
   * `work` with the address that was asked for; by its end the journal has the job, or the address is free again.
   * @throws GodwitError `no-network`, `address-taken`, `no-address-free`
   */
  async with<T>(asked: string | undefined, work: (address: Address | null) => Promise<T>): Promise<T> {
    if (asked === undefined) return work(null);
    const { pool, node } = this.options;
    if (!pool) throw noPool(node);
    const ip = asked === 'auto' ? await this.#any(pool) : await this.#certain(pool, asked);
    try {
      return await work(addressOf(pool, ip));
    } finally {
      this.#promised.delete(ip);
    }
  }

  async #certain(pool: AddressPool, ip: string): Promise<string> {
    if (!isInPool(pool, ip)) throw notInPool(this.options.node, pool, ip);
    const promised = await this.#promise((taken) => (taken.has(ip) ? null : ip));
    if (promised === null) throw addressTaken(ip, 'another job has it');
    const owner = await this.#owner(ip);
    if (owner === null) return ip;
    throw addressTaken(ip, `${owner} answers for it on the network`);
  }

  async #any(pool: AddressPool): Promise<string> {
    const refused: string[] = [];
    for (;;) {
      const ip = await this.#promise((taken) => firstFree(pool, new Set([...taken, ...refused])));
      if (ip === null) throw noneFree(this.options.node, pool);
      if ((await this.#owner(ip)) === null) return ip;
      refused.push(ip);
    }
  }

  /** Promises the one that is chosen, if any; between the choice and the promise nothing else happens. */
  async #promise(choose: (taken: ReadonlySet<string>) => string | null): Promise<string | null> {
    // One that is promised now may be in the journal, and not promised any more, when that has been read.
    const before = [...this.#promised];
    const journaled = await this.options.taken();
    const ip = choose(new Set([...before, ...journaled, ...this.#promised]));
    if (ip !== null) this.#promised.add(ip);
    return ip;
  }

  /** A promise holds only for an address that no machine answers for. */
  async #owner(ip: string): Promise<string | null> {
    let owner: string | null | undefined;
    try {
      owner = await this.options.ownerOf(ip);
      return owner;
    } finally {
      if (owner !== null) this.#promised.delete(ip);
    }
  }
}

const noPool = (node: string) =>
  new GodwitError({
    code: 'no-network',
    message: `${node} has no addresses to give to jobs`,
    fix: "say which in its agent's configuration: network.pool",
  });

const notInPool = (node: string, { first, last }: AddressPool, ip: string) =>
  new GodwitError({
    code: 'address-taken',
    message: `${ip} is not one of the addresses that ${node} gives to jobs, ${first} to ${last}`,
    fix: 'choose one of these, or `--address auto`',
  });

const addressTaken = (ip: string, why: string) =>
  new GodwitError({
    code: 'address-taken',
    message: `${ip} is in use: ${why}`,
    fix: 'choose another, or `--address auto`',
  });

const noneFree = (node: string, { first, last }: AddressPool) =>
  new GodwitError({
    code: 'no-address-free',
    message: `all addresses that ${node} gives to jobs are in use, ${first} to ${last}`,
    fix: "wait for a job to end, or make network.pool larger in its agent's configuration",
  });
