/** The home gives addresses out: each to one job at a time, and none that somebody else on the network has. */
import { GodwitError } from '../api/errors';
import type { Address } from '../api/model';
import type { AddressPool } from '../cluster/config';
import { addressOf, firstFree, isInPool } from './address';

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
    const taken = await this.#taken();
    if (taken.has(ip)) throw addressTaken(ip, 'another job has it');
    this.#promised.add(ip);
    const owner = await this.#owner(ip);
    if (owner === null) return ip;
    this.#promised.delete(ip);
    throw addressTaken(ip, `${owner} answers for it on the network`);
  }

  async #any(pool: AddressPool): Promise<string> {
    const refused = new Set<string>();
    for (;;) {
      const taken = await this.#taken();
      const ip = firstFree(pool, new Set([...taken, ...refused]));
      if (ip === null) throw noneFree(this.options.node, pool);
      this.#promised.add(ip);
      if ((await this.#owner(ip)) === null) return ip;
      this.#promised.delete(ip);
      refused.add(ip);
    }
  }

  async #owner(ip: string): Promise<string | null> {
    try {
      return await this.options.ownerOf(ip);
    } catch (error) {
      this.#promised.delete(ip);
      throw error;
    }
  }

  /** From here to the promise nothing is waited for: two launches never choose the same. */
  async #taken(): Promise<Set<string>> {
    const taken = await this.options.taken();
    return new Set([...taken, ...this.#promised]);
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
