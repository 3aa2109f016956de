import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../agent/api/config';
import { PerUser } from '../../agent/api/per-user';
import { describe as describeLab, isCgroupOf, settingsOf } from '../../agent/lab/description';
import { quotaMembers, setQuota } from '../../agent/lab/quota';
import { cpuMount } from '../../agent/machine/cgroup/limits';
import { mountsOver } from '../../agent/machine/homefs/removal';
import { isAlive, readIdentity } from '../../agent/machine/proc/identity';

const folder = mkdtempSync(join(tmpdir(), 'godwit-lab-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const programs = { node: '/n', agent: '/a', keeper: '/k' };

describe('a lab’s description', () => {
  it('gives each node an address and a cgroup of its own', () => {
    const lab = describeLab({ name: 'l', nodes: 2, cpus: [1, 0.5], programs }, '10.9.0');
    expect(lab.nodes).toEqual([
      { name: 'node1', address: '10.9.0.1', files: 'machine', cpus: 1 },
      { name: 'node2', address: '10.9.0.2', files: 'private', cpus: 0.5 },
    ]);
    const settings = lab.nodes.map((node) => settingsOf(lab, node));
    expect(settings[1]).toMatchObject({ cpus: 0.5, cgroup: 'l-node2', lab: 'l' });
    expect(settings[0]!.network!.pool).not.toBe(settings[1]!.network!.pool);
  });

  it('gives each node the memory that was asked for, if there is one for each', () => {
    const memory = [2 ** 30, 2 ** 29];
    const lab = describeLab({ name: 'l', nodes: 2, memory, programs }, '10.9.0');
    expect(lab.nodes.map((node) => settingsOf(lab, node).memory)).toEqual(memory);
    for (const wrong of [[2 ** 30], [2 ** 30, 512]])
      expect(() => describeLab({ nodes: 2, memory: wrong, programs }, '')).toThrow(/memory/);
  });

  it('knows its nodes’ cgroups from another lab’s', () => {
    const names = [
      'a-node1',
      'a-node12',
      'a-b-node1',
      'b-node1',
      'a-node',
      'a-nodes1',
      'a-node1-node1',
      'cgroup.procs',
    ];
    expect(names.filter(isCgroupOf('a'))).toEqual(['a-node1', 'a-node12']);
  });
});

describe('what is mounted over a folder', () => {
  const line = (id: number, parent: number, at: string) =>
    `${id} ${parent} 254:0 / ${at} rw,relatime - ext4 /dev/vda rw`;
  const over = (path: string, ...lines: string[]) =>
    mountsOver(path, [line(27, 1, '/'), ...lines].join('\n'));

  it('is what is at it or below, the last first', () => {
    const mounts = [line(50, 27, '/labs/one'), line(51, 50, '/labs/one/with\\040space')];
    const others = [line(52, 27, '/labs/one-more/root'), line(53, 27, '/elsewhere')];
    expect(over('/labs/one', ...mounts, ...others)).toEqual(['/labs/one/with space', '/labs/one']);
    expect(over('/labs/none', ...mounts, ...others)).toEqual([]);
  });

  it('is what covers a folder above it, and not what it is on', () => {
    const disk = line(30, 27, '/labs');
    const ours = [line(50, 30, '/labs/one/names'), line(51, 50, '/labs/one/names/net')];
    const covering = [line(60, 30, '/labs'), line(61, 27, '/')];
    expect(over('/labs/one', disk, ...ours, ...covering)).toEqual([
      '/labs',
      '/labs/one/names/net',
      '/labs/one/names',
    ]);
  });
});

describe('the cpu controller', () => {
  it('of cgroup v1 is found among its options', () => {
    const line = (at: string, options: string) =>
      `31 30 0:2${options.length} / ${at} rw - cgroup cgroup ${options}`;
    expect(cpuMount([line('/c/set', 'rw,cpuset'), line('/c/acct', 'rw,cpuacct,cpu')].join('\n'))).toBe(
      '/c/acct',
    );
    expect(cpuMount(line('/c/set', 'rw,cpuset'))).toBeUndefined();
    expect(cpuMount('38 31 0:38 / /unified rw - cgroup2 cgroup2 rw')).toBeUndefined();
  });

  it('is told the share in each version’s way', async () => {
    const v1 = { folder: join(folder, 'v1', 'godwit'), version: 1 } as const;
    await setQuota(v1, 'l-node1', 0.25);
    const members = join(v1.folder, 'l-node1', 'cgroup.procs');
    expect(await quotaMembers(v1, 'l-node1')).toBe(members);
    const read = (...path: string[]) => readFileSync(join(folder, ...path), 'utf8');
    const told = () =>
      ['quota', 'period'].map((what) => read('v1', 'godwit', 'l-node1', `cpu.cfs_${what}_us`));
    expect(told()).toEqual(['5000', '20000']);
    // The kernel takes no quota below a millisecond.
    await setQuota(v1, 'l-node1', 0.01);
    expect(told()).toEqual(['1000', '100000']);
    const v2 = { folder: join(folder, 'v2', 'godwit'), version: 2 } as const;
    mkdirSync(v2.folder, { recursive: true });
    await setQuota(v2, 'l-node1', 1.5);
    expect(await quotaMembers(v2, 'l-node1')).toBe(join(v2.folder, 'l-node1', 'daemons', 'cgroup.procs'));
    expect(read('v2', 'godwit', 'l-node1', 'cpu.max')).toBe('30000 20000');
    for (const above of [['v2'], ['v2', 'godwit']])
      expect(read(...above, 'cgroup.subtree_control')).toBe('+cpu');
  });
});

describe('a recorded process', () => {
  it('is told from a later one with the same number', async () => {
    const stat = readFileSync('/proc/self/stat', 'utf8');
    const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]!;
    const file = join(folder, 'pid');
    writeFileSync(file, `${process.pid} ${started}\n`);
    expect(await isAlive((await readIdentity(file))!)).toBe(true);
    writeFileSync(file, `${process.pid} ${Number(started) - 1}\n`);
    expect(await isAlive((await readIdentity(file))!)).toBe(false);
  });

  it('is nothing where the file is torn or missing', async () => {
    const file = join(folder, 'torn');
    for (const text of ['', '12', '12 ', '12 34', 'x y\n', '-1 5\n']) {
      writeFileSync(file, text);
      expect(await readIdentity(file)).toBeNull();
    }
    expect(await readIdentity(join(folder, 'missing'))).toBeNull();
  });
});

describe('an agent’s configuration', () => {
  const lab = describeLab({ name: 'l', nodes: 1, programs }, '10.9.0');
  const tls = { ca: '/ca', cert: '/cert', key: '/key' };
  const member = { name: 'node1', address: 'h', port: 7420, key: `sha256:${'a'.repeat(64)}` };
  const good = {
    ...settingsOf(lab, lab.nodes[0]!),
    ...{ name: 'node1', state: '/s', socket: '/s/a', keeperSocket: '/s/k', userSockets: '/s/u' },
    ...{ listen: { host: 'h', port: 7420 }, tls, members: [member] },
  };
  const load = (value: unknown) => {
    const file = join(folder, 'config.json');
    writeFileSync(file, typeof value === 'string' ? value : JSON.stringify(value));
    return loadConfig(file);
  };

  it('is read as it was written', async () => {
    expect(await load(good)).toEqual({
      ...good,
      groups: ['godwit'],
      sharedPaths: [],
      acceptRootJobs: true,
      perUser: PerUser.parse({}),
      logLevel: 'info',
    });
  });

  it.each([
    ['not JSON', '{', /not JSON/],
    ['without a name', { ...good, name: undefined }, /name: /],
    [
      'with a relative path',
      { ...good, tls: { ...good.tls, key: 'key' } },
      /tls\.key: a path must be absolute/,
    ],
    ['with an impossible port', { ...good, listen: { host: 'h', port: 70_000 } }, /listen\.port: /],
    ['of a node that is no member', { ...good, name: 'node7' }, /members: the node itself/],
    ['with a cgroup elsewhere', { ...good, cgroup: '../x' }, /cgroup: /],
  ])('%s is refused with the place', async (_what, value, message) => {
    await expect(load(value)).rejects.toMatchObject({
      code: 'bad-message',
      message: expect.stringMatching(message),
    });
  });

  it('that is missing is a named error', async () => {
    await expect(loadConfig(join(folder, 'none'))).rejects.toMatchObject({ code: 'unreadable-config' });
  });
});
