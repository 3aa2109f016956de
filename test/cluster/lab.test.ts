import { execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { connectUnix } from '../../agent/api/client';
import type { GodwitError } from '../../agent/api/errors';
import { loadConfig } from '../../agent/cluster/config';
import { nodeCgroup } from '../../agent/freezer/hierarchy';
import { labDown, labStatus, labUp, type Programs, restartAgent } from '../../agent/lab/lab';
import { withLock } from '../../agent/lab/lock';
import { cpuMount } from '../../agent/lab/quota';
import { contract } from '../fixtures/lab/stand-in';

const LABS = '/var/lib/godwit/labs';
/** Names that no person's lab has. */
const ONE = `t${process.pid}-one`;
const TWO = `t${process.pid}-two`;

let folder = '';
let programs: Programs;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-lab-'));
  programs = { node: process.execPath, agent: join(folder, 'agent.cjs'), keeper: join(folder, 'keeper.cjs') };
  for (const outfile of [programs.agent, programs.keeper])
    await build({
      entryPoints: ['test/fixtures/lab/stand-in.ts'],
      outfile,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      external: ['bufferutil', 'utf-8-validate'],
      logLevel: 'error',
    });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const failFiles: string[] = [];
afterEach(async () => {
  for (const file of failFiles.splice(0)) rmSync(file, { force: true });
  for (const name of [ONE, TWO]) await labDown({ name });
});

const failure = (promise: Promise<unknown>): Promise<GodwitError> =>
  promise.then(
    () => {
      throw new Error('it should have failed');
    },
    (error) => error,
  );

/** Everything on this machine that a lab may leave behind. */
function traces(...names: string[]) {
  const mine = (text: string) => names.some((name) => text.includes(name));
  const list = (path: string) => (existsSync(path) ? readdirSync(path).filter(mine) : []);
  const mountinfo = readFileSync('/proc/self/mountinfo', 'utf8');
  const v1 = cpuMount(mountinfo);
  const processes = readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid) || pid === String(process.pid)) return false;
    try {
      return mine(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
    } catch {
      return false;
    }
  });
  return {
    namespaces: list('/run/netns'),
    mounts: mountinfo.split('\n').filter(mine),
    cgroups: [cgroup2Folder, ...(v1 ? [join(v1, 'godwit')] : [])].flatMap((path) =>
      isEmptyCgroup(path) ? [path] : list(path),
    ),
    folders: list(LABS),
    processes,
    interfaces: execFileSync('ip', ['-o', 'link'], { encoding: 'utf8' }).split('\n').filter(mine),
  };
}
/** Godwit's own folder goes with the last node's. */
const isEmptyCgroup = (path: string) =>
  existsSync(path) && !readdirSync(path, { withFileTypes: true }).some((entry) => entry.isDirectory());
const nothing = { namespaces: [], mounts: [], cgroups: [], folders: [], processes: [], interfaces: [] };
let cgroup2Folder = '';
beforeAll(async () => {
  cgroup2Folder = join(await nodeCgroup('x'), '..');
});

const talk = (socket: string) => connectUnix(socket, { name: 'tester', kind: 'client', contract });
const nodeFolder = (lab: string, node: string) => join(LABS, lab, node);

describe('a lab', () => {
  it('has nodes that reach each other by their certificates, and goes without a trace', async () => {
    const before = interfacesOfTheMachine();
    const { nodes } = await labUp({ name: ONE, nodes: 3, programs });
    expect(nodes.map(({ name, state }) => `${name} ${state}`)).toEqual(['node1 up', 'node2 up', 'node3 up']);
    expect(new Set(nodes.map(({ address }) => address)).size).toBe(3);
    expect(await labStatus({ name: ONE })).toEqual({ nodes });
    expect(interfacesOfTheMachine()).toEqual(before);

    for (const [from, to] of [
      [0, 1],
      [2, 0],
      [1, 1],
    ] as const) {
      const remote = await talk(nodes[from]!.socket);
      expect(await remote.call('reach', { node: nodes[to]!.name })).toEqual({
        name: `${nodes[to]!.name} heard ${nodes[from]!.name}`,
      });
      remote.close();
    }

    await labDown({ name: ONE });
    expect(traces(ONE)).toEqual(nothing);
    expect(interfacesOfTheMachine()).toEqual(before);
    expect(await labStatus({ name: ONE })).toEqual({ nodes: [] });
    // Again, with nothing there.
    await labDown({ name: ONE });
  });

  it('gives each node a valid configuration, and keeps its secrets', async () => {
    await labUp({ name: ONE, nodes: 2, criu: '/somewhere/criu', programs });
    const config = await loadConfig(join(nodeFolder(ONE, 'node2'), 'config.json'));
    expect(config).toMatchObject({
      name: 'node2',
      cgroup: `${ONE}-node2`,
      lab: ONE,
      criu: '/somewhere/criu',
    });
    expect(config.members.map(({ name }) => name)).toEqual(['node1', 'node2']);
    expect(config.members[1]!.address).toBe(config.listen.host);
    const { ca, key } = config.tls;
    const secrets = [
      key,
      join(ca, '../ca.key'),
      join(config.state, 'config.json'),
      config.socket,
      config.keeperSocket,
    ];
    for (const file of secrets) expect([file, statSync(file).mode & 0o777]).toEqual([file, 0o600]);
  });

  it('has files of its own on each node but the first', async () => {
    const { nodes } = await labUp({ name: ONE, nodes: 3, programs });
    const look = async (node: string) => {
      const seen = join(nodeFolder(ONE, node), 'seen');
      const remote = await talk(nodes.find(({ name }) => name === node)!.socket);
      const script = `{ ls -A /home /root /tmp /var/tmp; echo ${node} >>/tmp/${ONE}; cat /tmp/${ONE}; } >${seen}.new; mv ${seen}.new ${seen}`;
      await remote.call('spawn', { argv: ['sh', '-c', script] });
      remote.close();
      await vi.waitFor(() => expect(existsSync(seen)).toBe(true), 30_000);
      return readFileSync(seen, 'utf8');
    };
    for (const node of ['node2', 'node3', 'node2']) {
      rmSync(join(nodeFolder(ONE, node), 'seen'), { force: true });
      const again = existsSync(join(nodeFolder(ONE, node), 'again'));
      const files = again ? `${ONE}\n` : '';
      const lines = again ? `${node}\n${node}\n` : `${node}\n`;
      expect(await look(node)).toBe(`/home:\n\n/root:\n\n/tmp:\n${files}\n/var/tmp:\n${lines}`);
      writeFileSync(join(nodeFolder(ONE, node), 'again'), '');
      await restartAgent(ONE, node);
    }
    expect(existsSync(join('/tmp', ONE))).toBe(false);
    await labDown({ name: ONE });
    expect(traces(ONE)).toEqual(nothing);
  });

  it('may have a name as long as a host’s', async () => {
    const name = `${ONE}-${'x'.repeat(62 - ONE.length)}`;
    expect(name.length).toBe(63);
    try {
      const { nodes } = await labUp({ name, nodes: 1, programs });
      expect(nodes.map(({ state }) => state)).toEqual(['up']);
    } finally {
      await labDown({ name });
    }
    expect(traces(ONE)).toEqual(nothing);
  });

  it('lives beside another, each in its own network', async () => {
    const [one, two] = await Promise.all([
      labUp({ name: ONE, nodes: 2, programs }),
      labUp({ name: TWO, nodes: 2, programs }),
    ]);
    const remote = await talk(one.nodes[0]!.socket);
    expect(await remote.call('reach', { node: 'node2' })).toEqual({ name: 'node2 heard node1' });
    remote.close();
    await labDown({ name: ONE });
    expect(traces(ONE)).toEqual(nothing);
    expect((await labStatus({ name: TWO })).nodes).toEqual(two.nodes);
    const other = await talk(two.nodes[0]!.socket);
    expect(await other.call('reach', { node: 'node2' })).toEqual({ name: 'node2 heard node1' });
    other.close();
  });

  it('that is up is not touched by another up', async () => {
    const { nodes } = await labUp({ name: ONE, nodes: 2, programs });
    const pid = await pidOf(nodes[0]!.socket);
    expect(await failure(labUp({ name: ONE, nodes: 3, programs }))).toMatchObject({ code: 'lab-up' });
    expect(await labStatus({ name: ONE })).toEqual({ nodes });
    expect(await pidOf(nodes[0]!.socket)).toBe(pid);
  });

  it('is held while it is being made', async () => {
    await withLock(ONE, async () => {
      expect(await failure(labUp({ name: ONE, programs }))).toMatchObject({ code: 'lab-busy' });
      expect(await failure(labDown({ name: ONE }))).toMatchObject({ code: 'lab-busy' });
    });
    expect(traces(ONE)).toEqual(nothing);
  });

  it('restarts an agent in its place, the keeper staying', async () => {
    const { nodes } = await labUp({ name: ONE, nodes: 2, programs });
    const [agent, keeper] = [nodes[0]!.socket, join(nodeFolder(ONE, 'node1'), 'keeper.sock')];
    const before = [await pidOf(agent), await pidOf(keeper)];
    await restartAgent(ONE, 'node1');
    expect(await pidOf(agent)).not.toBe(before[0]);
    expect(await pidOf(keeper)).toBe(before[1]);
    const remote = await talk(nodes[1]!.socket);
    expect(await remote.call('reach', { node: 'node1' })).toEqual({ name: 'node1 heard node2' });
    remote.close();
    expect(await failure(restartAgent(ONE, 'node9'))).toMatchObject({ code: 'no-such-node' });
    expect(await failure(restartAgent(TWO, 'node1'))).toMatchObject({ code: 'no-such-lab' });
  });

  it('shows an agent that has died as down', async () => {
    const { nodes } = await labUp({ name: ONE, nodes: 2, programs });
    process.kill(await pidOf(nodes[1]!.socket), 'SIGKILL');
    const { nodes: after } = await labStatus({ name: ONE });
    expect(after.map(({ state }) => state)).toEqual(['up', 'down']);
    await restartAgent(ONE, 'node2');
    expect(await labStatus({ name: ONE })).toEqual({ nodes });
  });

  it('gives each node its share of the CPUs', async () => {
    const { nodes } = await labUp({ name: ONE, nodes: 2, cpus: [1, 0.25], programs });
    // The stand-in's own children stand for jobs: they are under the quota as the keeper is.
    const shares = await Promise.all(
      nodes.map(async ({ name }) => burn(join(nodeFolder(ONE, name), 'keeper.sock'))),
    );
    expect(shares[1]).toBeGreaterThan(0.1);
    expect(shares[1]).toBeLessThan(0.4);
    expect(shares[0]! / shares[1]!).toBeGreaterThan(1.8);
    await labDown({ name: ONE });
    expect(traces(ONE)).toEqual(nothing);
  });
});

describe('a lab that can’t be', () => {
  it.each([
    ['a name that is none', { name: '../etc' }, 'bad-lab'],
    ['a name like a node’s', { name: `${ONE}-node1` }, 'bad-lab'],
    ['a name longer than a host’s', { name: 'x'.repeat(64) }, 'bad-lab'],
    ['no nodes', { name: ONE, nodes: 0 }, 'bad-lab'],
    ['too many nodes', { name: ONE, nodes: 33 }, 'bad-lab'],
    ['half a node', { name: ONE, nodes: 1.5 }, 'bad-lab'],
    ['too few shares', { name: ONE, nodes: 2, cpus: [1] }, 'bad-lab'],
    ['no share', { name: ONE, nodes: 1, cpus: [0] }, 'bad-lab'],
    ['a share that is no number', { name: ONE, nodes: 1, cpus: [Number.NaN] }, 'bad-lab'],
  ])('with %s is refused, nothing changed', async (_what, request, code) => {
    expect(await failure(labUp({ ...request, programs }))).toMatchObject({ code });
    expect(traces(ONE, 'xxxx')).toEqual(nothing);
  });

  it('without its programs is refused, nothing changed', async () => {
    const missing = { ...programs, keeper: '/nowhere/keeper.cjs' };
    expect(await failure(labUp({ name: ONE, programs: missing }))).toMatchObject({ code: 'no-program' });
    expect(traces(ONE)).toEqual(nothing);
  });

  it.each(['agent', 'keeper'])('start, because its %s fails, is undone, and says why', async (part) => {
    const file = `/run/godwit-test-fail-${ONE}-node2-${part}`;
    writeFileSync(file, '');
    failFiles.push(file);
    const error = await failure(labUp({ name: ONE, nodes: 3, programs }));
    expect(error).toMatchObject({
      code: 'node-did-not-start',
      message: `the ${part} of node2 did not start: told to fail`,
    });
    expect(traces(ONE)).toEqual(nothing);
  });
});

describe('what is left of a lab', () => {
  it('after a reboot is cleaned, and the lab made anew', async () => {
    mkdirSync(join(LABS, ONE, 'node1'), { recursive: true });
    writeFileSync(join(LABS, ONE, 'node1', 'journal.db'), 'old');
    writeFileSync(join(LABS, ONE, 'lab.json'), '{broken');
    // A recorded number that now is another process's must not be signalled.
    const bystander = spawn('sleep', ['60'], { stdio: 'ignore' });
    try {
      writeFileSync(join(LABS, ONE, 'node1', 'agent.pid'), `${bystander.pid} 1\n`);
      mkdirSync('/run/netns', { recursive: true });
      writeFileSync(`/run/netns/gw-${ONE}`, '');
      const { nodes } = await labUp({ name: ONE, nodes: 1, programs });
      expect(nodes.map(({ state }) => state)).toEqual(['up']);
      expect(existsSync(join(LABS, ONE, 'node1', 'journal.db'))).toBe(false);
      expect(bystander.exitCode).toBe(null);
      expect(bystander.signalCode).toBe(null);
    } finally {
      bystander.kill('SIGKILL');
    }
  });

  it('with a recycled process number spares that process', async () => {
    const { nodes } = await labUp({ name: ONE, nodes: 1, programs });
    process.kill(await pidOf(nodes[0]!.socket), 'SIGKILL');
    const bystander = spawn('sleep', ['60'], { stdio: 'ignore' });
    try {
      writeFileSync(join(nodeFolder(ONE, 'node1'), 'agent.pid'), `${bystander.pid} 1\n`);
      await labDown({ name: ONE });
      expect(existsSync(`/proc/${bystander.pid}`)).toBe(true);
      expect(bystander.signalCode).toBe(null);
    } finally {
      bystander.kill('SIGKILL');
    }
  });

  it('goes with its frozen jobs, strays and mounts, and the mounted files stay', async () => {
    const { nodes } = await labUp({ name: ONE, nodes: 1, programs });
    const remote = await talk(nodes[0]!.socket);
    const { pid: stray } = await remote.call('spawn', { argv: ['sleep', '1000'] });
    const { pid: job } = await remote.call('spawn', { argv: ['sleep', '1001'] });
    remote.close();
    const cgroup = join(cgroup2Folder, `${ONE}-node1`, 'job', 'run');
    mkdirSync(cgroup, { recursive: true });
    mkdirSync(join(cgroup, '../attach'));
    writeFileSync(join(cgroup, 'cgroup.procs'), String(job));
    writeFileSync(join(cgroup, 'cgroup.freeze'), '1');
    // A job's root is the machine's own `/`, mounted once more.
    const root = join(nodeFolder(ONE, 'node1'), 'roots', 'with space');
    mkdirSync(root, { recursive: true });
    execFileSync('mount', ['--bind', folder, root]);
    execFileSync('mount', ['-t', 'tmpfs', 'none', root]);
    execFileSync('mount', ['--bind', folder, root]);

    await labDown({ name: ONE });
    expect([stray, job].filter(runs)).toEqual([]);
    expect(traces(ONE)).toEqual(nothing);
    expect(existsSync(programs.agent)).toBe(true);
  });

  it('is found although its folder, or its network’s names, are gone', async () => {
    await labUp({ name: ONE, nodes: 1, programs });
    rmSync(join(LABS, ONE), { recursive: true });
    await labDown({ name: ONE });
    expect(traces(ONE)).toEqual(nothing);

    await labUp({ name: ONE, nodes: 1, programs });
    for (const name of readdirSync('/run/netns').filter((name) => name.includes(ONE)))
      execFileSync('ip', ['netns', 'delete', name]);
    await labDown({ name: ONE });
    expect(traces(ONE)).toEqual(nothing);
  });
});

/** One that has ended may wait a while for the machine's PID 1 to take note. */
function runs(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

const interfacesOfTheMachine = () =>
  execFileSync('ip', ['-o', 'address'], { encoding: 'utf8' }).replace(/\d+sec/g, '');

async function pidOf(socket: string): Promise<number> {
  const remote = await talk(socket);
  const { pid } = await remote.call('whoami', {});
  remote.close();
  return pid;
}

/** The CPU time that a busy child of the daemon gets in a second, in seconds. */
async function burn(socket: string): Promise<number> {
  const remote = await talk(socket);
  const { pid } = await remote.call('spawn', { argv: ['sh', '-c', 'while :; do :; done'] });
  remote.close();
  const ticks = () => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[11]);
  };
  expect(readlinkSync(`/proc/${pid}/ns/net`)).not.toBe(readlinkSync('/proc/self/ns/net'));
  const start = ticks();
  await new Promise((resolve) => setTimeout(resolve, 1500));
  return (ticks() - start) / 100 / 1.5;
}
