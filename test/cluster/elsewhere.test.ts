/** Machines whose addresses change under a cluster that they have joined, as leases of DHCP do. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Machines } from '../support/machines';

const SOON = { timeout: 120_000, interval: 100 };
let machines: Machines;

beforeAll(async () => {
  machines = await Machines.make(`else${process.pid}`, 3);
});
afterAll(() => machines?.remove());

/** Without the address, which is found. */
const optionsOf = (number: number) => {
  const { name, state, socket } = machines.machine(number);
  return ['--name', name, '--state', state, '--socket', socket, '--no-service', '--json'];
};
const said = async (number: number, ...args: string[]) => {
  const { status, stdout, stderr } = await machines.command(number, ...args);
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
};
const seenBy = (number: number) => machines.godwit(number).nodes();
/** All see all, each where it is. */
const together = (addresses: string[]) =>
  vi.waitFor(async () => {
    for (const number of [1, 2, 3]) {
      const nodes = await seenBy(number);
      expect(nodes.map(({ address, state }) => `${address} ${state}`)).toEqual(
        addresses.map((address) => `${address} up`),
      );
    }
  }, SOON);
/** In the same network, and nobody's. */
const another = (address: string) => address.replace(/\d+$/, (last) => `${Number(last) + 100}`);

describe('a machine that gets another address', () => {
  const addresses = () => [1, 2, 3].map((number) => machines.machine(number).address);

  it('is a node of the cluster all the same, and its jobs go on', async () => {
    // A cable that was just plugged in takes a moment.
    await vi.waitFor(() => said(1, 'cluster', 'init', ...optionsOf(1)), SOON);
    for (const number of [2, 3]) {
      const { token } = await said(1, 'cluster', 'token', '--agent', machines.machine(1).socket, '--json');
      await said(number, 'cluster', 'join', token, ...optionsOf(number));
    }
    const [first, second, third] = addresses() as [string, string, string];
    await together([first, second, third]);
    const [here, there] = [machines.godwit(2), machines.machine(3).name];
    // Its files are at its home, the one that is about to be elsewhere.
    const writes = ['sh', '-c', 'while :; do date >>kept; sleep 0.2; done'];
    const { id } = await here.run(writes, { cwd: '/var/tmp' });
    await here.migrate(id, there);

    machines.readdress(2, second, another(second));
    await together([first, another(second), third]);
    expect(await here.job(id)).toMatchObject({ state: 'running', node: there });
    await here.migrate(id, 'home');
    expect(await here.job(id)).toMatchObject({ state: 'running', node: machines.machine(2).name });
    await here.kill(id);
  });

  it('also if it has the authority, and machines join by the new one', async () => {
    const [first, second, third] = addresses() as [string, string, string];
    machines.readdress(1, first, another(first));
    await together([another(first), another(second), third]);
    const { token } = await said(1, 'cluster', 'token', '--agent', machines.machine(1).socket, '--json');
    const left = ['cluster', 'leave', '--config', machines.machine(3).config, '--json'];
    expect(await said(3, ...left)).toEqual({ name: machines.machine(3).name, unheard: [] });
    await said(3, 'cluster', 'join', token, ...optionsOf(3));
    await together([another(first), another(second), third]);
  });
});
