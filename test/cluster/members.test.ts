/** Which nodes are shown as up, suspect and down, by each node: agents that end and stand still, cables, datagrams. */
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { clientContract } from '../../agent/api/client-contract';
import type { Node } from '../../agent/api/model';
import { nodeNamespace } from '../../agent/lab/namespaces';
import { readIdentity, signalPid } from '../../agent/machine/proc/identity';
import { connectUnix } from '../../agent/wire/client';
import { FaultLab } from '../support/fault-lab';

const PATIENCE_MS = 120_000;

let lab: FaultLab;
beforeAll(async () => {
  lab = await FaultLab.up(`members${process.pid}`);
  await lab.recover();
});
afterAll(() => lab?.down());
afterEach(() => lab.recover());

async function nodesOf(node: string): Promise<Node[]> {
  const client = await connectUnix(lab.socket(node), {
    ...{ name: 'test', kind: 'client', contract: clientContract },
  });
  try {
    return (await client.call('nodes.list', {})).nodes;
  } finally {
    client.close();
  }
}

/** As `node` has them, in the order of the list of members. */
const states = async (node: string) => (await nodesOf(node)).map(({ state }) => state).join(' ');

async function until(node: string, expected: string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  for (let seen = ''; ; await sleep(100)) {
    seen = await states(node);
    if (seen === expected) return;
    if (performance.now() > deadline) throw new Error(`${node} has ${seen}, not ${expected}`);
  }
}

const ALL_UP = 'up up up';
const allUp = () => Promise.all(lab.nodes.map((node) => until(node, ALL_UP)));

test('all are up, with figures that are some seconds old, one’s own with those of now', async () => {
  await allUp();
  for (const node of lab.nodes)
    for (const { name, cpus, memTotal, age } of await nodesOf(node)) {
      expect([cpus > 0, memTotal > 0, name === node]).toEqual([true, true, age === 0]);
      expect(age).toBeLessThan(PATIENCE_MS);
    }
});

test('an agent that is away is suspected, then down, and up when it is back', async () => {
  await allUp();
  await lab.kill('node2');
  await until('node1', 'up suspect up');
  await Promise.all([until('node1', 'up down up'), until('node3', 'up down up')]);
  const { age, silentMs } = (await nodesOf('node1')).find(({ name }) => name === 'node2')!;
  // By its last word, which had its load with it.
  expect(silentMs).toBeGreaterThan(0);
  expect(Math.abs(silentMs! - age!)).toBeLessThan(1_000);
  await lab.restart('node2');
  await allUp();
});

test('a node without a cable is down for the others, and they for it, until it has one', async () => {
  await allUp();
  await lab.link('node3', 'down');
  await Promise.all([
    until('node1', 'up up down'),
    until('node2', 'up up down'),
    until('node3', 'down down up'),
  ]);
  await lab.link('node3', 'up');
  await allUp();
});

test('an agent that stood still for long accuses nobody when it goes on', async () => {
  await allUp();
  const agent = (await readIdentity(lab.paths('node2').agent.pidFile))!;
  signalPid(agent.pid, 'SIGSTOP');
  try {
    await until('node1', 'up down up');
  } finally {
    signalPid(agent.pid, 'SIGCONT');
  }
  const seen = new Set<string>();
  for (let look = 0; look < 50; look++, await sleep(100)) seen.add(await states('node2'));
  expect([...seen]).toEqual([ALL_UP]);
  await allUp();
});

test('a node of which no datagram gets out is asked over its link, and stays up', async () => {
  await allUp();
  const inNode = (...argv: string[]) =>
    execFileSync('nsenter', [`--net=${nodeNamespace(lab.name, 'node2')}`, ...argv], { encoding: 'utf8' });
  const rule = ['ipproto', 'udp', 'sport', '7420', 'prohibit', 'pref', '1'];
  inNode('ip', 'rule', 'add', ...rule);
  try {
    const udpBefore = outDatagrams(inNode('cat', '/proc/net/snmp'));
    const seen = new Set<string>();
    for (let look = 0; look < 200; look++, await sleep(100)) seen.add(await states('node1'));
    // On a machine that does much else it may be late once.
    expect([...seen].filter((one) => one.includes('down'))).toEqual([]);
    // It has tried, and nothing got out.
    expect(outDatagrams(inNode('cat', '/proc/net/snmp'))).toBe(udpBefore);
    const { age } = (await nodesOf('node1')).find(({ name }) => name === 'node2')!;
    expect(age).toBeLessThan(PATIENCE_MS);
  } finally {
    inNode('ip', 'rule', 'delete', ...rule);
  }
  await allUp();
});

/** IP packets that were sent with UDP in them, of snmp(7)'s counters. */
function outDatagrams(snmp: string): number {
  const [names, values] = snmp.split('\n').filter((line) => line.startsWith('Udp:'));
  return Number(values!.split(' ')[names!.split(' ').indexOf('OutDatagrams')]);
}

test('garbage at the port of datagrams does nothing', async () => {
  await allUp();
  const [host, port] = await lab.agentAt('node1');
  const script = `
    const socket = require('node:dgram').createSocket('udp4');
    let left = 3000;
    const send = () => {
      if (left-- === 0) return socket.close();
      const bytes = require('node:crypto').randomBytes(1 + Math.floor(Math.random() * 1400));
      if (left % 2) bytes.write('GWM1');
      socket.send(bytes, ${port}, '${host}', send);
    };
    send();`;
  execFileSync('nsenter', [`--net=${nodeNamespace(lab.name, 'node3')}`, process.execPath, '-e', script]);
  expect(await states('node1')).not.toContain('down');
  await allUp();
});
