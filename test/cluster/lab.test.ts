import { execFileSync, spawn, spawnSync } from 'node:child_process';
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
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { loadConfig } from '../../agent/api/config';
import type { GodwitError } from '../../agent/api/errors';
import { nodePaths } from '../../agent/lab/description';
import {
  killAgent,
  labDown,
  labStatus,
  labUp,
  type Programs,
  restartAgent,
  setLink,
} from '../../agent/lab/lab';
import { withLock } from '../../agent/lab/lock';
import { bridgeNamespace, findNamespaces, nodeNamespace } from '../../agent/lab/namespaces';
import { cpuMount } from '../../agent/lab/quota';
import { nodeCgroup } from '../../agent/machine/cgroup/hierarchy';
import { isAlive, readIdentity } from '../../agent/machine/proc/identity';
import { connectUnix } from '../../agent/wire/client';
import { contract } from '../fixtures/lab/stand-in';
import { inProject } from '../support/project';

const LABS = '/var/lib/godwit/labs';
const SOON = { timeout: 60_000, interval: 100 };
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
  const processes = readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid) || pid === String(process.pid)) return [];
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      const command = words.join(' ');
      // A job of another lab is launched with the machine's mounts of that moment, which may be on a lab's folder.
      const report = words[words.indexOf('--report') + 1]!;
      if (words.includes('--report') && !mine(report)) return [];
      return mine(command) ? [`${pid} ${command}`] : [];
    } catch {
      return [];
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
    expect(config.members!.map(({ name }) => name)).toEqual(['node1', 'node2']);
    expect(config.members![1]!.address).toBe(config.listen.host);
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

  it('that is up is not touched by another up, and is no other than was asked for', async () => {
    const { nodes } = await labUp({ name: ONE, nodes: 2, cpus: [1, 0.5], programs });
    const pids = () => Promise.all(nodes.map(({ socket }) => pidOf(socket)));
    const before = await pids();
    for (const same of [{}, { nodes: 2 }, { cpus: [1, 0.5], nodes: 2 }])
      expect(await labUp({ name: ONE, ...same, programs })).toEqual({ nodes });
    for (const [other, what] of [
      [{ nodes: 3 }, 'nodes: 2, not 3'],
      [{ nodes: 2, cpus: [1, 1] }, 'CPUs: 1,0.5, not 1,1'],
      [{ users: ['games'] }, 'users: none, not games'],
    ] as const)
      expect(await failure(labUp({ name: ONE, ...(other as object), programs }))).toMatchObject({
        code: 'lab-up',
        message: expect.stringContaining(what),
      });
    expect(await labStatus({ name: ONE })).toEqual({ nodes });
    expect(await pids()).toEqual(before);
  });

  it('is held while it is being made', async () => {
    await withLock(ONE, async () => {
      expect(await failure(labUp({ name: ONE, programs }))).toMatchObject({ code: 'lab-busy' });
      expect(await failure(labDown({ name: ONE }))).toMatchObject({ code: 'lab-busy' });
    });
    await withLock(ONE, async () => {});
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
    await killAgent(ONE, 'node2');
    const { nodes: after } = await labStatus({ name: ONE });
    expect(after.map(({ state }) => state)).toEqual(['up', 'down']);
    await restartAgent(ONE, 'node2');
    expect(await labStatus({ name: ONE })).toEqual({ nodes });
  });

  it('gives each node its share of the CPUs', async () => {
    const { nodes } = await labUp({ name: ONE, nodes: 2, cpus: [1, 0.25], programs });
    // The stand-in's own children stand for jobs: they are under the quota as the daemons are.
    for (const daemon of ['keeper.sock', 'agent.sock']) {
      const groups = await Promise.all(
        nodes.map(async ({ name }) => burn(join(nodeFolder(ONE, name), daemon))),
      );
      expect(groups.map(quotaIn)).toEqual([1, 0.25]);
      // It wants a whole CPU, and gets it however busy the machine is.
      outweigh(groups[1]!);
      await vi.waitFor(() => expect(throttled(groups[1]!)).toBeGreaterThan(0), SOON);
    }
    await restartAgent(ONE, 'node2');
    expect(quotaIn(await burn(nodes[1]!.socket))).toBe(0.25);
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
    await labUp({ name: ONE, nodes: 1, programs });
    await killAgent(ONE, 'node1');
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
    // What is mounted there stays.
    spawnSync('rm', ['-rf', join(LABS, ONE)]);
    expect(existsSync(join(LABS, ONE, 'lab.json'))).toBe(false);
    expect(await failure(labUp({ name: ONE, programs }))).toMatchObject({ code: 'lab-broken' });
    await labDown({ name: ONE });
    expect(traces(ONE)).toEqual(nothing);

    await labUp({ name: ONE, nodes: 2, programs });
    for (const { path } of await findNamespaces(ONE)) execFileSync('umount', [path]);
    await labDown({ name: ONE });
    expect(traces(ONE)).toEqual(nothing);
  });
});

describe('while others work on the machine, a lab', () => {
  /** What a shell does as root on a machine of its own: none of its mounts are seen outside. */
  const apart = (script: string) =>
    spawnSync('unshare', ['--mount', '--propagation', 'private', 'sh', '-ec', script], { encoding: 'utf8' });
  const command = `${process.execPath} ${inProject('dist', 'godwit.cjs')} lab`;

  it('goes after another program has made a network namespace', () => {
    const script = `${command} up --name ${ONE} --nodes 1; ip netns add ${TWO}; ${command} down --name ${ONE}
      grep ${ONE} /proc/self/mountinfo && exit 9; ip netns list`;
    try {
      const { status, stdout, stderr } = apart(script);
      expect([status, stderr]).toEqual([0, '']);
      expect(stdout).toContain(TWO);
    } finally {
      spawnSync('ip', ['netns', 'delete', TWO]);
    }
    expect(traces(ONE)).toEqual(nothing);
  });

  it('of an earlier build goes, that another program has hidden by doing so', () => {
    const former = `/run/netns/gw-${ONE}`;
    const script = `mkdir -p /run/netns; for name in ${former} ${former}-node1; do
        touch $name; unshare --net=$name ip link set lo up; done
      nsenter --net=${former}-node1 sleep 1000 & sleeper=$!
      ip netns add ${TWO}; ${command} down --name ${ONE}
      wait $sleeper || echo ended $?
      grep ${ONE} /proc/self/mountinfo && exit 9; ip netns list`;
    try {
      const { status, stdout, stderr } = apart(script);
      expect([status, stderr.replace(/Killed\n/g, '')]).toEqual([0, '']);
      expect(stdout).toMatch(/ended 137/);
      expect(stdout).toContain(TWO);
    } finally {
      spawnSync('ip', ['netns', 'delete', TWO]);
    }
    expect(traces(ONE)).toEqual(nothing);
  });

  it.each([
    ['its own folder', () => join(LABS, ONE)],
    ['a node’s folder', () => nodeFolder(ONE, 'node1')],
    ['the folder of its names', () => join(LABS, ONE, 'namespaces')],
    ['one of its names', () => nodeNamespace(ONE, 'node1')],
  ])('goes although something is mounted over %s', async (_what, at) => {
    const { nodes } = await labUp({ name: ONE, nodes: 1, programs });
    const pid = await pidOf(nodes[0]!.socket);
    const files = mkdtempSync(join(folder, 'others-'));
    writeFileSync(join(files, 'file'), '');
    const target = statSync(at()).isDirectory() ? files : join(files, 'file');
    execFileSync('mount', ['--bind', target, at()]);
    await labDown({ name: ONE });
    expect(runs(pid)).toBe(false);
    expect(traces(ONE)).toEqual(nothing);
    expect(readdirSync(files)).toEqual(['file']);
  });

  it('goes, and nothing else does, from under what is mounted over all labs', () => {
    const script = `${command} up --name ${ONE} --nodes 1; mount -t tmpfs theirs ${LABS}; touch ${LABS}/theirs
      ${command} down --name ${ONE}; ls ${LABS}; umount ${LABS}; grep ${ONE} /proc/self/mountinfo && exit 9; true`;
    const { status, stdout, stderr } = apart(script);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^theirs$/m);
    expect(traces(ONE)).toEqual(nothing);
  });

  it('goes with what is in its cgroups, and a stranger there lives on where that can be', async () => {
    await labUp({ name: ONE, nodes: 1, cpus: [1], programs });
    const v1 = cpuMount(readFileSync('/proc/self/mountinfo', 'utf8'));
    const stranger = spawn('sleep', ['1000'], { stdio: 'ignore' });
    const ended = new Promise((resolve) => stranger.once('exit', resolve));
    try {
      const cgroups = [
        join(cgroup2Folder, `${ONE}-node1`),
        ...(v1 ? [join(v1, 'godwit', `${ONE}-node1`)] : []),
      ];
      for (const path of cgroups) mkdirSync(join(path, 'theirs', 'deep'), { recursive: true });
      // Of version 1 only: what is in a node's cgroup of version 2 is its jobs'.
      const own = v1 ? cgroups[1]! : cgroups[0]!;
      writeFileSync(join(own, 'theirs', 'deep', 'cgroup.procs'), String(stranger.pid));
      await labDown({ name: ONE });
      expect(traces(ONE)).toEqual(nothing);
      expect(runs(stranger.pid!)).toBe(v1 !== undefined);
    } finally {
      stranger.kill('SIGKILL');
      await ended;
    }
  });

  it('goes when all mounts of the machine were made shared', () => {
    const script = `mount --make-rshared /; ${command} up --name ${ONE} --nodes 1; mount --make-rshared /
      ${command} down --name ${ONE}; grep ${ONE} /proc/self/mountinfo && exit 9; true`;
    const { status, stderr } = apart(script);
    expect([status, stderr]).toEqual([0, '']);
    expect(traces(ONE)).toEqual(nothing);
  });

  it('is held against a user who listens where an earlier build had its lock', async () => {
    const lock = createServer();
    await new Promise<void>((resolve) => lock.listen(`\0godwit-lab-${ONE}`, resolve));
    try {
      expect((await labUp({ name: ONE, nodes: 1, programs })).nodes).toHaveLength(1);
      await labDown({ name: ONE });
    } finally {
      lock.close();
    }
  });
});

describe('a lab that has lost', () => {
  const others = async (nodes: { socket: string }[]) => Promise.all(nodes.map(({ socket }) => pidOf(socket)));
  const reaches = async (from: string, to: string) => {
    const remote = await talk(join(nodeFolder(ONE, from), 'agent.sock'));
    try {
      return (await remote.call('reach', { node: to })).name;
    } finally {
      remote.close();
    }
  };

  it('an agent starts it again by itself, however it ended', async () => {
    const { nodes } = await labUp({ name: ONE, nodes: 1, programs });
    const { socket } = nodes[0]!;
    for (const signal of ['SIGKILL', 'SIGTERM', 'SIGKILL'] as const) {
      const pid = await pidOf(socket);
      process.kill(pid, signal);
      await vi.waitFor(async () => expect(await pidOf(socket)).not.toBe(pid), SOON);
    }
    expect(await labStatus({ name: ONE })).toEqual({ nodes });
  });

  it('an agent that was to stay away does not have it back, until it is asked for', async () => {
    const { nodes } = await labUp({ name: ONE, nodes: 1, programs });
    const { supervisorFile, pidFile } = nodePaths(ONE, 'node1').agent;
    const supervisor = Number(readFileSync(supervisorFile, 'utf8').split(' ')[0]);
    process.kill(await pidOf(nodes[0]!.socket), 'SIGKILL');
    await killAgent(ONE, 'node1');
    expect(runs(supervisor)).toBe(false);
    expect(await readIdentity(pidFile).then((one) => one && isAlive(one))).toBe(false);
    const { nodes: after } = await labStatus({ name: ONE });
    expect(after.map(({ state }) => state)).toEqual(['down']);
    expect(await labUp({ name: ONE, programs })).toEqual({ nodes });
  });

  it('an agent that can’t start says why, and is started more and more rarely', async () => {
    const { nodes } = await labUp({ name: ONE, nodes: 1, programs });
    const fail = `/run/godwit-test-fail-${ONE}-node1-agent`;
    writeFileSync(fail, '');
    failFiles.push(fail);
    process.kill(await pidOf(nodes[0]!.socket), 'SIGKILL');
    const log = () => readFileSync(nodePaths(ONE, 'node1').agent.log, 'utf8');
    await vi.waitFor(() => expect(log().match(/told to fail/g)?.length).toBeGreaterThanOrEqual(2), SOON);
    const pauses = [...log().matchAll(/"pauseSeconds":(\d+)/g)].map(([, seconds]) => Number(seconds));
    expect(pauses.slice(0, 2)).toEqual([1, 2]);
    const { nodes: down } = await labStatus({ name: ONE });
    expect(down).toMatchObject([{ state: 'down', why: 'told to fail' }]);
    rmSync(fail);
    await vi.waitFor(async () => expect(await labStatus({ name: ONE })).toEqual({ nodes }), SOON);
  });

  it.each<[string, () => unknown]>([
    ['its supervisors', () => endBy(nodePaths(ONE, 'node2').agent.supervisorFile)],
    [
      'an agent and its keeper',
      async () => {
        await killAgent(ONE, 'node2');
        await endBy(nodePaths(ONE, 'node2').keeper.pidFile);
      },
    ],
    ['a cable', () => inNetwork(bridgeNamespace(ONE), 'link', 'delete', 'node2')],
    ['a plugged-in cable', () => setLink(ONE, 'node2', 'down')],
    ['a node’s bridge', () => inNetwork(nodeNamespace(ONE, 'node2'), 'link', 'delete', 'br0')],
    ['the bridge between them', () => execFileSync('umount', [bridgeNamespace(ONE)])],
    ['the name of a node’s network', () => execFileSync('umount', [nodeNamespace(ONE, 'node2')])],
    [
      'all names',
      async () => {
        for (const { path } of await findNamespaces(ONE)) execFileSync('umount', [path]);
      },
    ],
  ])('%s has it back with another up, and its jobs run on', async (_what, lose) => {
    const { nodes } = await labUp({ name: ONE, nodes: 2, programs });
    const remote = await talk(nodes[1]!.socket);
    const { pid: job } = await remote.call('spawn', { argv: ['sleep', '1000'] });
    remote.close();
    const untouched = await others(nodes.slice(0, 1));
    await lose();
    expect(await labUp({ name: ONE, nodes: 2, programs })).toEqual({ nodes });
    expect(await reaches('node1', 'node2')).toBe('node2 heard node1');
    expect(await reaches('node2', 'node1')).toBe('node1 heard node2');
    expect(runs(job)).toBe(true);
    expect(await others(nodes.slice(0, 1))).toEqual(untouched);
    await labDown({ name: ONE });
    expect(runs(job)).toBe(false);
    expect(traces(ONE)).toEqual(nothing);
  });

  it('a node’s folder is refused by name', async () => {
    await labUp({ name: ONE, nodes: 1, programs });
    rmSync(join(nodeFolder(ONE, 'node1'), 'config.json'));
    expect(await failure(labUp({ name: ONE, programs }))).toMatchObject({
      code: 'lab-broken',
      message: expect.stringContaining('node1'),
    });
  });

  it('its maker is made anew', async () => {
    await labUp({ name: ONE, nodes: 1, programs });
    rmSync(join(LABS, ONE, 'whole'));
    const { nodes } = await labUp({ name: ONE, nodes: 2, programs });
    expect(nodes).toHaveLength(2);
  });
});

const inNetwork = (namespace: string, ...args: string[]) =>
  execFileSync('nsenter', [`--net=${namespace}`, 'ip', ...args]);

async function endBy(file: string): Promise<void> {
  const identity = (await readIdentity(file))!;
  process.kill(identity.pid, 'SIGKILL');
  await vi.waitFor(async () => expect(await isAlive(identity)).toBe(false), SOON);
}

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

/** The cgroup with the cpu controller in which a busy child of the daemon is. */
async function burn(socket: string): Promise<string> {
  const remote = await talk(socket);
  const { pid } = await remote.call('spawn', { argv: ['sh', '-c', 'while :; do :; done'] });
  remote.close();
  expect(readlinkSync(`/proc/${pid}/ns/net`)).not.toBe(readlinkSync('/proc/self/ns/net'));
  const v1 = cpuMount(readFileSync('/proc/self/mountinfo', 'utf8'));
  const wanted = v1 ? /^\d+:(?:.*,)?cpu(?:,.*)?:(.*)$/m : /^0::(.*)$/m;
  const path = wanted.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))![1]!;
  return v1 ? join(v1, path) : join(cgroup2Folder, '..', path, '..');
}

function quotaIn(cgroup: string): number {
  const number = (file: string) => Number(readFileSync(join(cgroup, file), 'utf8'));
  if (existsSync(join(cgroup, 'cpu.cfs_quota_us')))
    return number('cpu.cfs_quota_us') / number('cpu.cfs_period_us');
  const [quota, period] = readFileSync(join(cgroup, 'cpu.max'), 'utf8').split(' ').map(Number);
  return quota! / period!;
}

/** Everything else on the machine together, by the most that a cgroup can weigh. */
function outweigh(cgroup: string): void {
  const shares = join(cgroup, 'cpu.shares');
  if (existsSync(shares)) writeFileSync(shares, '262144');
  else writeFileSync(join(cgroup, 'cpu.weight'), '10000');
}

const throttled = (cgroup: string) =>
  Number(/^nr_throttled (\d+)/m.exec(readFileSync(join(cgroup, 'cpu.stat'), 'utf8'))?.[1]);
