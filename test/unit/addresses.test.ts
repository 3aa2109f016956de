import { describe, expect, it } from 'vitest';
import { Addresses } from '../../agent/daemon/jobs/addresses';
import { addressOf, firstFree, hardwareAddress, isInPool } from '../../agent/machine/network/address';

const pool = { first: '10.0.0.254', last: '10.0.1.2', bits: 16 };
const all = ['10.0.0.254', '10.0.0.255', '10.0.1.0', '10.0.1.1', '10.0.1.2'];

describe('a pool of addresses', () => {
  it('goes from its first to its last', () => {
    expect(all.every((ip) => isInPool(pool, ip))).toBe(true);
    expect(['10.0.0.253', '10.0.1.3', '9.0.1.1'].some((ip) => isInPool(pool, ip))).toBe(false);
    const found: string[] = [];
    for (let ip = firstFree(pool, new Set()); ip; ip = firstFree(pool, new Set(found))) found.push(ip);
    expect(found).toEqual(all);
  });

  it('makes an address on the wire that is unique', () => {
    expect(hardwareAddress('10.177.3.255')).toBe('02:67:0a:b1:03:ff');
    expect(addressOf({ ...pool, gateway: '10.0.0.1' }, '10.0.1.1')).toEqual({
      ...{ ip: '10.0.1.1', bits: 16, gateway: '10.0.0.1' },
    });
  });
});

describe('a home gives an address', () => {
  const inJournal = new Set<string>();
  const answering = new Set<string>();
  const home = (given: typeof pool | null = pool) =>
    new Addresses({
      node: 'node1',
      pool: given,
      taken: async () => [...inJournal],
      ownerOf: async (ip) => (answering.has(ip) ? '02:00:00:00:00:01' : null),
    });
  const code = (work: Promise<unknown>) =>
    work.then(
      () => 'given',
      (error: { code: string }) => error.code,
    );
  /** A launch that the journal has at its end. */
  const launch = (addresses: Addresses, asked?: string) =>
    addresses.with(asked, async (address) => {
      if (address) inJournal.add(address.ip);
      return address?.ip ?? null;
    });

  it('to those who ask for one, never the same to two', async () => {
    inJournal.clear();
    const addresses = home();
    expect(await launch(addresses)).toBeNull();
    const given = await Promise.all(all.map(() => launch(addresses, 'auto')));
    expect([...given].sort()).toEqual([...all].sort());
    expect(await code(launch(addresses, 'auto'))).toBe('no-address-free');
    expect(await code(launch(addresses, '10.0.1.1'))).toBe('address-taken');
  });

  it('again, when the launch came to nothing', async () => {
    inJournal.clear();
    const addresses = home();
    let fail = () => {};
    const failed = code(
      addresses.with('10.0.1.1', () => new Promise((_, reject) => (fail = () => reject({ code: 'failed' })))),
    );
    expect(await code(launch(addresses, '10.0.1.1'))).toBe('address-taken');
    fail();
    expect(await failed).toBe('failed');
    expect(await launch(addresses, '10.0.1.1')).toBe('10.0.1.1');
  });

  it('that no machine on the network answers for', async () => {
    inJournal.clear();
    answering.add('10.0.0.254').add('10.0.0.255');
    const addresses = home();
    expect(await launch(addresses, 'auto')).toBe('10.0.1.0');
    expect(await code(launch(addresses, '10.0.0.255'))).toBe('address-taken');
  });

  it('only of its own pool, and none without', async () => {
    expect(await code(launch(home(), '10.0.7.1'))).toBe('address-taken');
    expect(await code(launch(home(null), 'auto'))).toBe('no-network');
  });
});
