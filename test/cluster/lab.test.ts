import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { clientContract } from '../../agent/api/client-contract';
import { clusterFiles } from '../../agent/api/cluster-files';
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
import { authorityIn } from '../../agent/machine/certificates/authority';
import { nodeCgroup } from '../../agent/machine/cgroup/hierarchy';
import { cpuMount } from '../../agent/machine/cgroup/limits';
import { isAlive, readIdentity } from '../../agent/machine/proc/identity';
import { connectUnix } from '../../agent/wire/client';
import { membersKnownTo } from '../support/members';
import { inProject } from '../support/project';

const LABS = '/var/lib/godwit/labs';
const SOON = { timeout: 60_000, interval: 100 };
/** Names that no person's lab has. */
const ONE = `t${process.pid}-one`;
const TWO = `t${process.pid}-two`;

/** Of what a node runs; the agent fails to start while there is a file of its name. */
const PARTS = /^(keeper\.cjs|godwit\.cjs|godwit-[a-z-]+(\.so|\.py)?)$/;
const failFile = (lab: string, node: string) => `/run/godwit-test-fail-${lab}-${node}`;
const AGENT = `const { existsSync, readFileSync } = require('node:fs');
const { lab, name } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
if (existsSync(\`/run/godwit-test-fail-\${lab}-\${name}\`)) { console.error('told to fail'); process.exit(1); }
require('./real-agent.cjs');`;

let folder = '';
let programs: Programs;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-lab-'));
  const built = inProject('dist');
  for (const name of readdirSync(built).filter((one) => PARTS.test(one)))
    cpSync(join(built, name), join(folder, name), { recursive: true });
  cpSync(join(built, 'agent.cjs'), join(folder, 'real-agent.cjs'));
  programs = { node: process.execPath, agent: join(folder, 'agent.cjs'), keeper: join(folder, 'keeper.cjs') };
  writeFileSync(programs.agent, AGENT);
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

/** A job of this node's. @param on where it runs */
async function launch(lab: string, node: string, argv: [string, ...string[]], on = 'home') {
  const { socket } = nodePaths(lab, node).agent;
  const agent = await connectUnix(socket, { name: 'tester', kind: 'client', contract: clientContract });
  const [program, ...args] = argv;
  try {
    return await agent.call('jobs.run', { program, args, cwd: '/', env: {}, node: on, stopped: false });
  } finally {
    agent.close();
  }
}

/** The number of a new job's program on this machine. */
async function launchedAt(lab: string, node: string, argv: [string, ...string[]]): Promise<number> {
  const { id } = await launch(lab, node, argv);
  const members = join(await nodeCgroup(`${lab}-${node}`), `${id}.0`, 'run', 'cgroup.procs');
  const pids = () => readFileSync(members, 'utf8').trim().split('\n').map(Number);
  const named = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith(argv.join('\0'));
  return vi.waitFor(() => {
    const found = pids().find(named);
    if (found === undefined) throw new Error(`${argv[0]} is not there yet`);
    return found;
  }, SOON);
}

/** Where a job of one node's runs that was launched on another. */
const reached = async (lab: string, from: string, to: string) =>
  (await launch(lab, from, ['/bin/true'], to)).node;

const agentOf = async (lab: string, node: string) =>
  (await readIdentity(nodePaths(lab, node).agent.pidFile))!.pid;
const keeperOf = async (lab: string, node: string) =>
  (await readIdentity(nodePaths(lab, node).keeper.pidFile))!.pid;
const nodeFolder = (lab: string, node: string) => join(LABS, lab, node);

describe('a lab', () => {
  it('has nodes that have joined and reach each other, and goes without a trace', async () => {
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
    ] as const)
      expect(await reached(ONE, nodes[from]!.name, nodes[to]!.name)).toBe(nodes[to]!.name);

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
    const members = await membersKnownTo(config.state);
    expect(members.map(({ name }) => name)).toEqual(['node1', 'node2']);
    expect(members[1]!.address).toBe(config.listen.host);
    const { authority, tokens } = clusterFiles(nodeFolder(ONE, 'node1'));
    // Each has been used.
    expect(JSON.parse(readFileSync(tokens, 'utf8'))).toMatchObject([{ used: { name: 'node2', done: true } }]);
    const secrets = [
      config.tls.key,
      authorityIn(authority).key,
      tokens,
      join(config.state, 'config.json'),
      config.socket,
      config.keeperSocket,
    ];
    for (const file of secrets) expect([file, statSync(file).mode & 0o777]).toEqual([file, 0o600]);
  });

  it('has files of its own on each node but the first', async () => {
    await labUp({ name: ONE, nodes: 3, programs });
    const look = async (node: string) => {
      const seen = join(nodeFolder(ONE, node), 'seen');
      const script = `{ ls -A /home /root /tmp /var/tmp; echo ${node} >>/tmp/${ONE}; cat /tmp/${ONE}; } >${seen}.new; mv ${seen}.new ${seen}`;
      await launch(ONE, node, ['/bin/sh', '-c', script]);
      await vi.waitFor(() => expect(existsSync(seen)).toBe(true), SOON);
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
    const [, two] = await Promise.all([
      labUp({ name: ONE, nodes: 2, programs }),
      labUp({ name: TWO, nodes: 2, programs }),
    ]);
    expect(await reached(ONE, 'node1', 'node2')).toBe('node2');
    await labDown({ name: ONE });
    expect(traces(ONE)).toEqual(nothing);
    expect((await labStatus({ name: TWO })).nodes).toEqual(two.nodes);
    expect(await reached(TWO, 'node1', 'node2')).toBe('node2');
  });

  it('that is up is not touched by another up, and is no other than was asked for', async () => {
    const { nodes } = await labUp({ name: ONE, nodes: 2, cpus: [1, 0.5], programs });
    const pids = () => Promise.all(nodes.map(({ name }) => agentOf(ONE, name)));
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
    await labUp({ name: ONE, nodes: 2, programs });
    const before = [await agentOf(ONE, 'node1'), await keeperOf(ONE, 'node1')];
    await restartAgent(ONE, 'node1');
    expect(await agentOf(ONE, 'node1')).not.toBe(before[0]);
    expect(await keeperOf(ONE, 'node1')).toBe(before[1]);
    expect(await reached(ONE, 'node2', 'node1')).toBe('node1');
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
    await labUp({ name: ONE, nodes: 2, cpus: [1, 0.25], programs });
    const burn = ['/bin/sh', '-c', 'while :; do :; done'] as [string, ...string[]];
    const busy = await Promise.all(['node1', 'node2'].map((node) => launchedAt(ONE, node, burn)));
    const quotas = busy.map((pid, index) => quotaOver(pid, `node${index + 1}`));
    expect(quotas).toEqual([1, 0.25]);
    for (const pid of [await keeperOf(ONE, 'node2'), await agentOf(ONE, 'node2')])
      expect(quotaOver(pid, 'node2')).toBe(0.25);
    // It wants a whole CPU, and gets it however busy the machine is.
    outweigh(groupOf('node2'));
    await vi.waitFor(() => expect(throttled(groupOf('node2'))).toBeGreaterThan(0), SOON);
    await restartAgent(ONE, 'node2');
    expect(quotaOver(await agentOf(ONE, 'node2'), 'node2')).toBe(0.25);
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

  it('start, because an agent fails, is undone, and says why', async () => {
    const file = failFile(ONE, 'node2');
    writeFileSync(file, '');
    failFiles.push(file);
    const error = await failure(labUp({ name: ONE, nodes: 3, programs }));
    expect(error).toMatchObject({
      code: 'node-did-not-start',
      message: 'the agent of node2 did not start: told to fail',
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
      expect(readFileSync(join(LABS, ONE, 'node1', 'journal.db'), 'latin1')).not.toBe('old');
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
    await labUp({ name: ONE, nodes: 1, programs });
    const inNode = () => spawn('nsenter', [`--net=${nodeNamespace(ONE, 'node1')}`, 'sleep', '1000']).pid!;
    const [stray, job] = [inNode(), inNode()];
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
    await labUp({ name: ONE, nodes: 1, programs });
    const pid = await agentOf(ONE, 'node1');
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
  it('an agent starts it again by itself, however it ended', async () => {
    const { nodes } = await labUp({ name: ONE, nodes: 1, programs });
    for (const signal of ['SIGKILL', 'SIGTERM', 'SIGKILL'] as const) {
      const pid = await agentOf(ONE, 'node1');
      process.kill(pid, signal);
      await vi.waitFor(async () => expect(await agentOf(ONE, 'node1')).not.toBe(pid), SOON);
      await vi.waitFor(async () => expect(await labStatus({ name: ONE })).toEqual({ nodes }), SOON);
    }
  });

  it('an agent that was to stay away does not have it back, until it is asked for', async () => {
    const { nodes } = await labUp({ name: ONE, nodes: 1, programs });
    const { supervisorFile, pidFile } = nodePaths(ONE, 'node1').agent;
    const supervisor = Number(readFileSync(supervisorFile, 'utf8').split(' ')[0]);
    process.kill(await agentOf(ONE, 'node1'), 'SIGKILL');
    await killAgent(ONE, 'node1');
    expect(runs(supervisor)).toBe(false);
    expect(await readIdentity(pidFile).then((one) => one && isAlive(one))).toBe(false);
    const { nodes: after } = await labStatus({ name: ONE });
    expect(after.map(({ state }) => state)).toEqual(['down']);
    expect(await labUp({ name: ONE, programs })).toEqual({ nodes });
  });

  it('an agent that can’t start says why, and is started more and more rarely', async () => {
    const { nodes } = await labUp({ name: ONE, nodes: 1, programs });
    const fail = failFile(ONE, 'node1');
    writeFileSync(fail, '');
    failFiles.push(fail);
    process.kill(await agentOf(ONE, 'node1'), 'SIGKILL');
    const log = () => readFileSync(nodePaths(ONE, 'node1').agent.log, 'utf8');
    await vi.waitFor(() => expect(log().match(/told to fail/g)?.length).toBeGreaterThanOrEqual(2), SOON);
    const pauses = [...log().matchAll(/"pauseSeconds":(\d+)/g)].map(([, seconds]) => Number(seconds));
    expect(pauses.slice(0, 2)).toEqual([1, 2]);
    const { nodes: down } = await labStatus({ name: ONE });
    expect(down).toMatchObject([{ state: 'down', why: 'told to fail' }]);
    rmSync(fail);
    await vi.waitFor(async () => expect(await labStatus({ name: ONE })).toEqual({ nodes }), SOON);
  });

  it('has one keeper a node: another that is started ends by itself, and takes nothing from the first', async () => {
    await labUp({ name: ONE, nodes: 1, programs });
    const keeper = await keeperOf(ONE, 'node1');
    const another = [programs.keeper, nodePaths(ONE, 'node1').config];
    expect(execFileSync(programs.node, another, { encoding: 'utf8' })).toContain(
      `process ${keeper}: this one ends`,
    );
    expect(await keeperOf(ONE, 'node1')).toBe(keeper);
    // Whom the keeper starts it has to answer for.
    expect(await reached(ONE, 'node1', 'node1')).toBe('node1');
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
    const job = await launchedAt(ONE, 'node2', ['/bin/sleep', '1000']);
    const untouched = await agentOf(ONE, 'node1');
    await lose();
    expect(await labUp({ name: ONE, nodes: 2, programs })).toEqual({ nodes });
    expect(await reached(ONE, 'node1', 'node2')).toBe('node2');
    expect(await reached(ONE, 'node2', 'node1')).toBe('node1');
    expect(runs(job)).toBe(true);
    expect(await agentOf(ONE, 'node1')).toBe(untouched);
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

/** The cgroup with the cpu controller that a node and its jobs share. */
function groupOf(node: string): string {
  const v1 = cpuMount(readFileSync('/proc/self/mountinfo', 'utf8'));
  return v1 ? join(v1, 'godwit', `${ONE}-${node}`) : join(cgroup2Folder, `${ONE}-${node}`);
}

/** The quota of the node's group, in which the process is to be, or below it. */
function quotaOver(pid: number, node: string): number {
  const v1 = cpuMount(readFileSync('/proc/self/mountinfo', 'utf8'));
  const wanted = v1 ? /^\d+:(?:.*,)?cpu(?:,.*)?:(.*)$/m : /^0::(.*)$/m;
  const path = wanted.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))![1]!;
  expect(`${path}/`).toContain(`/godwit/${ONE}-${node}/`);
  const number = (file: string) => Number(readFileSync(join(groupOf(node), file), 'utf8'));
  if (v1) return number('cpu.cfs_quota_us') / number('cpu.cfs_period_us');
  const [quota, period] = readFileSync(join(groupOf(node), 'cpu.max'), 'utf8')
    .split(' ')
    .map(Number);
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
