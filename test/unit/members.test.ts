/** The list of nodes that a node gives, over links alone and over datagrams: real sockets, real certificates. */
import { createSocket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { FixedConfig } from '../../agent/api/config';
import { GodwitError } from '../../agent/api/errors';
import type { Telling } from '../../agent/api/membership';
import type { Node } from '../../agent/api/model';
import { Members } from '../../agent/daemon/cluster/members';
import type { Peers } from '../../agent/daemon/cluster/peers';
import type { Settings } from '../../agent/daemon/cluster/settings';
import { logTo } from '../../agent/log';
import { readCertificate, type TlsIdentity } from '../../agent/wire/tls';
import { type Certificates, makeCertificates } from './wire-fixture';

let certificates: Certificates;
beforeAll(async () => {
  certificates = await makeCertificates();
  for (const name of ['node1', 'node2']) PORTS[name] = await freePort();
});
const running: Members[] = [];
afterEach(() => {
  for (const members of running.splice(0)) members.stop();
});

const statusOf = (name: string, jobs: number): Node => ({
  ...{ name, address: '127.0.0.1', state: 'up', cpus: 2, speed: 1, load: 0.25, memTotal: 2 ** 34 },
  ...{ memFree: 2 ** 33, jobs, demand: 0.5 },
});
const HOST = '127.0.0.1';
const PORTS: Record<string, number> = {};

/** One that nobody listens at now. */
async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, HOST, resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}
const jobs: Record<string, number> = { node1: 1, node2: 2 };
const MARKS = { node1: 11, node2: 22 };

interface Options {
  /** Pinned keys; datagrams of members without one are not heard. */
  pinned: boolean;
  call?: (to: string, method: string, params: unknown) => Promise<unknown>;
}

const nodes = new Map<string, Members>();
const byLink = async (to: string, _method: string, { telling }: { telling: Telling }, from: string) => ({
  telling: nodes.get(to)!.exchange(from, telling, false),
});

async function start(name: 'node1' | 'node2', { pinned, call }: Options): Promise<Members> {
  const keyOf = ({ cert }: TlsIdentity) => readCertificate(cert)!.key;
  const members = (['node1', 'node2'] as const).map((member) => ({
    ...{ name: member, address: HOST, port: PORTS[member]! },
    ...(pinned ? { key: keyOf(certificates[member]) } : {}),
  }));
  const made = new Members({
    config: { name, listen: { host: HOST, port: PORTS[name]! } } as unknown as FixedConfig,
    settings: { now: { members } } as unknown as Settings,
    peers: {
      names: ['node1', 'node2'],
      call: async (to: string, method: string, params: never) => {
        return call ? call(to, method, params) : byLink(to, method, params, name);
      },
    } as unknown as Peers,
    tls: certificates[name],
    own: async () => statusOf(name, jobs[name]!),
    changes: { mark: MARKS[name] },
    roster: null,
    log: logTo(() => {}),
  });
  nodes.set(name, made);
  running.push(made);
  await made.start();
  return made;
}

/** There is no event for it: what gossip brings is there when it is asked for. */
async function sees(members: Members, node: string, is: (node: Node) => boolean): Promise<Node> {
  for (;;) {
    const found = (await members.list()).find(({ name }) => name === node)!;
    if (is(found)) return found;
    await sleep(20);
  }
}

const failing = async () => {
  throw new Error('no way');
};

describe('members', () => {
  it('hear of each other by datagrams, where no link answers', async () => {
    const [one, other] = [
      await start('node1', { pinned: true, call: failing }),
      await start('node2', { pinned: true, call: failing }),
    ];
    expect(await sees(one, 'node2', ({ state }) => state === 'up')).toMatchObject({ jobs: 2, load: 0.25 });
    expect(await sees(other, 'node1', ({ state }) => state === 'up')).toMatchObject({ jobs: 1 });
    jobs.node2 = 7;
    const found = await sees(one, 'node2', (node) => node.jobs === 7);
    expect(found.age).toBeGreaterThanOrEqual(0);
    // Which state its jobs are in is for this agent alone.
    expect(one.mark('node2')).toBe(MARKS.node2);
    expect(found).not.toHaveProperty('mark');
  });

  it('without a key that is pinned hear of each other over their links', async () => {
    const one = await start('node1', { pinned: false });
    await start('node2', { pinned: false });
    jobs.node2 = 9;
    await sees(one, 'node2', (node) => node.jobs === 9 && node.state === 'up');
  });

  it('are not there before they were heard of, and down when they never are', async () => {
    const one = await start('node1', { pinned: true, call: failing });
    expect((await one.list()).map(({ state }) => state)).toEqual(['up', 'suspect']);
    expect((await one.list())[0]).toMatchObject({ name: 'node1', age: 0, memTotal: 2 ** 34 });
    const { silentMs } = await sees(one, 'node2', ({ state }) => state === 'down');
    expect(silentMs).toBeGreaterThan(5_000);
    expect(one.silentMs('node1')).toBeNull();
    expect(one.state('node3')).toBe('down');
  });

  it('of an earlier version, which don’t gossip, are up, as they say', async () => {
    const call = async (_to: string, method: string) => {
      if (method === 'node.status') return statusOf('node2', 5);
      throw new GodwitError({ code: 'no-such-method', message: 'what?' });
    };
    const one = await start('node1', { pinned: true, call });
    await sees(one, 'node2', (node) => node.jobs === 5 && node.state === 'up');
  });

  it('go on without datagrams where another program has the port', async () => {
    const first = await start('node1', { pinned: true });
    const lines: string[] = [];
    expect((await first.list())[0]!.state).toBe('up');
    const again = new Members({
      config: { name: 'node1', listen: { host: HOST, port: PORTS.node1! } } as unknown as FixedConfig,
      settings: {
        now: { members: [{ name: 'node1', address: HOST, port: PORTS.node1! }] },
      } as unknown as Settings,
      peers: { names: ['node1'] } as unknown as Peers,
      tls: certificates.node1,
      own: async () => statusOf('node1', 0),
      changes: { mark: 0 },
      roster: null,
      log: logTo((line) => lines.push(line)),
    });
    running.push(again);
    await again.start();
    expect(lines.join('\n')).toMatch(/no datagrams from other nodes.*EADDRINUSE/);
  });
});
