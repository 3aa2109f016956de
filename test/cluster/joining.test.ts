/** A cluster of machines that are not a lab's: made with `godwit cluster init`, `token` and `join`, and left again. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { clusterFiles } from '../../agent/api/cluster-files';
import {
  authorityIn,
  nodeFilesIn,
  requestWithKey,
  signRequest,
} from '../../agent/machine/certificates/authority';
import { killPid } from '../../agent/machine/proc/identity';
import { keyOfCertificate } from '../../agent/wire/tls';
import { Machines } from '../support/machines';
import { end, launch } from '../support/processes';

const SOON = { timeout: 120_000, interval: 50 };
const CLUSTER = `join${process.pid}`;
let machines: Machines;

beforeAll(async () => {
  machines = await Machines.make(CLUSTER, 4);
});
afterAll(() => machines.remove());

const said = async (number: number, ...args: string[]) => {
  const { status, stdout, stderr } = await machines.command(number, ...args);
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
};
const at = (number: number) => ['--agent', machines.machine(number).socket];
const token = async (...options: string[]): Promise<string> =>
  (await said(1, 'cluster', 'token', ...at(1), ...options, '--json')).token;
const join = (number: number, line: string, ...options: string[]) =>
  said(number, 'cluster', 'join', line, ...machines.options(number), ...options);
const statesAt = async (number: number) => {
  const nodes: { name: string; state: string }[] = await said(number, 'nodes', ...at(number), '--json');
  return nodes.map(({ name, state }) => `${name.slice(CLUSTER.length + 1)} ${state}`).sort();
};
const shows = (number: number, states: string[]) =>
  vi.waitFor(async () => expect(await statesAt(number)).toEqual(states), SOON);
const leftOf = (number: number) => {
  const { state } = machines.machine(number);
  return existsSync(state) ? readdirSync(state).filter((name) => name !== 'software') : [];
};

describe('three machines', () => {
  it('become a cluster by one line each', async () => {
    const first = await said(1, 'cluster', 'init', ...machines.options(1));
    const { name, address, socket } = machines.machine(1);
    expect(first).toEqual({
      name,
      address,
      socket,
      fingerprint: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    });
    const lines = [await token(), await token()];
    machines.prepare(3, { logLevel: 'debug', users: ['nobody'] });
    const joined = await Promise.all([join(2, lines[0]!), join(3, lines[1]!)]);
    for (const [index, node] of joined.entries()) {
      const { name, address, socket } = machines.machine(index + 2);
      expect(node).toEqual({ name, address, socket });
    }
    for (const number of [1, 2, 3]) await shows(number, ['node1 up', 'node2 up', 'node3 up']);
    const config = JSON.parse(readFileSync(machines.machine(3).config, 'utf8'));
    expect(config).toMatchObject({ logLevel: 'debug', users: ['nobody'], name: `${CLUSTER}-node3` });
  });

  it('launch, move and see jobs', async () => {
    const godwit = machines.godwit(2);
    const { id, home } = await godwit.run(['sleep', '1000'], { cwd: '/' });
    expect(home).toBe(machines.machine(2).name);
    await godwit.migrate(id, machines.machine(3).name);
    expect(await machines.godwit(1).job(id)).toMatchObject({
      node: machines.machine(3).name,
      state: 'running',
    });
    const refused = await machines.command(3, 'cluster', 'leave', '--config', machines.machine(3).config);
    expect(refused.stderr).toMatch(new RegExp(`node3 has jobs: ${id}`));
    const removed = await machines.command(1, 'cluster', 'remove', machines.machine(3).name, ...at(1));
    expect(removed.stderr).toMatch(/node3 has jobs: /);
    await godwit.kill(id);
    await godwit.wait(id);
  });

  it('lose no authority that was kept, with no configuration', async () => {
    const { authority } = clusterFiles(machines.machine(4).state);
    mkdirSync(authority, { recursive: true });
    writeFileSync(`${authority}/kept`, 'a key');
    const line = await token('--ttl', '1s');
    for (const begin of [
      () => said(4, 'cluster', 'init', ...machines.options(4)),
      () => join(4, line),
      () => join(4, line),
    ])
      await expect(begin()).rejects.toThrow(/authority has the key of a cluster's authority/);
    expect(readFileSync(`${authority}/kept`, 'utf8')).toBe('a key');
    rmSync(authority, { recursive: true });
  });

  it('are refused a token twice, or without being asked', async () => {
    const line = await token();
    const [, , fingerprint, secret] = line.split('.');
    const refusals: [string, RegExp][] = [
      [`${line}x`, /no token, or not all of one/],
      [
        line.replace(fingerprint!, Buffer.alloc(32).toString('base64url')),
        /it is of another cluster; the token was not shown/,
      ],
      [line.replace(secret!, `${secret!.slice(0, 9)}${'0'.repeat(32)}`), /does not know the secret/],
    ];
    for (const [text, why] of refusals) {
      await expect(join(4, text)).rejects.toThrow(why);
      expect(leftOf(4)).toEqual([]);
    }
    await expect(join(4, line, '--name', machines.machine(1).name)).rejects.toThrow(
      /has a node with the name/,
    );
    await expect(join(2, line)).rejects.toThrow(/this machine is a node already/);
    const user = await machines.command(2, 'cluster', 'token', ...at(2));
    expect(user.stderr).toMatch(/the authority of this cluster is on .*node1/);
    // None of these tries has used it up. The secret alone will do: where it is good is announced on the network.
    await join(4, secret!);
    await shows(1, ['node1 up', 'node2 up', 'node3 up', 'node4 up']);
    const again = await machines.command(
      4,
      'cluster',
      'leave',
      '--config',
      machines.machine(4).config,
      '--json',
    );
    expect(JSON.parse(again.stdout)).toEqual({ name: machines.machine(4).name, unheard: [] });
    await shows(2, ['node1 up', 'node2 up', 'node3 up']);
    expect(
      leftOf(4).filter((path) => /tls|cluster|authority|agent\.json|\.sock|\.pid/.test(`${path}`)),
    ).toEqual([]);
  });

  it.each([1, 2, 3])(
    'keep nothing of a joining that was killed at its step %i, and it just works again',
    async (step) => {
      const line = await token();
      const child = launch(machines.argv(4, 'cluster', 'join', line, ...machines.options(4)));
      let steps = 0;
      await new Promise<void>((resolve) =>
        child.stderr!.on('data', (chunk: Buffer) => {
          steps += chunk.toString().split('\n').length - 1;
          if (steps >= step) resolve();
        }),
      );
      end(child);
      await shows(1, ['node1 up', 'node2 up', 'node3 up']);
      await join(4, line);
      await shows(1, ['node1 up', 'node2 up', 'node3 up', 'node4 up']);
      await said(4, 'cluster', 'leave', '--config', machines.machine(4).config, '--json');
    },
  );

  it('take one out that is gone for good, and the others hear of it, also later', async () => {
    const line = await token();
    await join(4, line);
    await shows(2, ['node1 up', 'node2 up', 'node3 up', 'node4 up']);
    await machines.link(4, 'down');
    await machines.link(2, 'down');
    const { name } = machines.machine(4);
    const removed = await said(1, 'cluster', 'remove', name, ...at(1), '--json');
    expect(removed).toEqual({ node: name, unheard: [machines.machine(2).name] });
    await machines.link(2, 'up');
    await shows(2, ['node1 up', 'node2 up', 'node3 up']);
    // Back again it is turned away by all.
    await machines.link(4, 'up');
    await vi.waitFor(
      async () => expect((await statesAt(4)).filter((one) => one.endsWith(' up'))).toEqual(['node4 up']),
      SOON,
    );
    const elsewhere = ['run', ...at(4), '--on', machines.machine(1).name, '--', 'true'];
    // The first words may go the way of a connection that is no longer there.
    await vi.waitFor(async () => {
      const { stderr } = await machines.command(4, ...elsewhere);
      expect(stderr).toMatch(/turns this node away/);
    }, SOON);
    await said(4, 'cluster', 'leave', '--force', '--config', machines.machine(4).config, '--json');
    // And may join anew.
    await join(4, await token());
    await shows(2, ['node1 up', 'node2 up', 'node3 up', 'node4 up']);
  });

  it('go on when an agent is killed: it is up again by itself', async () => {
    const { state } = machines.machine(2);
    const pid = () => Number(readFileSync(`${state}/agent.pid`, 'utf8').split(' ')[0]);
    const job = await machines.godwit(2).run(['sleep', '1000'], { cwd: '/' });
    const before = pid();
    killPid(before);
    await vi.waitFor(() => expect(pid()).not.toBe(before), SOON);
    await shows(2, ['node1 up', 'node2 up', 'node3 up', 'node4 up']);
    expect(await machines.godwit(2).job(job.id)).toMatchObject({ state: 'running', pid: job.pid });
    await machines.godwit(2).kill(job.id);
  });

  it('renew their certificates long before they end', async () => {
    const { name, state, socket } = machines.machine(2);
    const tls = nodeFilesIn(clusterFiles(state).tls);
    const authority = authorityIn(clusterFiles(machines.machine(1).state).authority);
    writeFileSync(tls.cert, await signRequest(authority, await requestWithKey(tls.key, name), 1));
    const before = keyOfCertificate(readFileSync(tls.cert));
    killPid(Number(readFileSync(`${state}/agent.pid`, 'utf8').split(' ')[0]));
    const days = async (): Promise<number> => {
      const { certificateExpires } = await said(2, 'cluster', 'status', '--agent', socket, '--json');
      return (Date.parse(certificateExpires) - Date.now()) / 86_400_000;
    };
    await vi.waitFor(async () => expect(await days()).toBeGreaterThan(29), SOON);
    expect(keyOfCertificate(readFileSync(tls.cert))).toBe(before);
    await vi.waitFor(async () => expect(await statesAt(1)).toContain('node2 up'), SOON);
  });

  it('say who they are', async () => {
    const status = await said(1, 'cluster', 'status', ...at(1), '--json');
    expect(status).toMatchObject({
      name: machines.machine(1).name,
      authorityNode: machines.machine(1).name,
      tokens: [],
    });
    expect(status.nodes).toHaveLength(4);
    await token('--ttl', '5m');
    expect((await said(1, 'cluster', 'status', ...at(1), '--json')).tokens).toHaveLength(1);
    expect((await said(2, 'cluster', 'status', ...at(2), '--json')).tokens).toEqual([]);
    const stays = await machines.command(1, 'cluster', 'leave', '--config', machines.machine(1).config);
    expect(stays.stderr).toMatch(/has the authority's key, and .* could not renew/);
  });
});
