import { expect, test } from 'vitest';
import { AgentConfig } from '../../agent/api/config';
import { filesThere, openFilesOf } from '../../agent/daemon/preflight/files';
import { alsoShared, isIn, sharedMounts } from '../../agent/machine/homefs/shared';

const line = (at: string, type: string, source: string, root = '/') =>
  `30 1 0:40 ${root} ${at} rw,relatime shared:1 - ${type} ${source} rw`;
const mountinfo = (...lines: string[]) => [line('/', 'ext4', '/dev/sda1'), ...lines, ''].join('\n');

test('folders of a server that is named are found, others are listed', () => {
  const text = mountinfo(
    line('/data', 'nfs4', 'store:/data'),
    line('/a\\040b', 'lustre', '10.0.0.1@tcp:/scratch'),
    line('/tunnel', 'nfs', 'localhost:/data'),
    line('/tunnel6', 'nfs', '[::1]:/data'),
    line('/guest', '9p', 'share'),
    line('/gone', 'nfs', 'store:/gone'),
    line('/gone', 'tmpfs', 'tmpfs'),
    line('/listed', 'xfs', '/dev/sdb1'),
    line('/var/lib/state/roots/x', 'nfs', 'store:/x'),
    line('/var', 'nfs', 'store:/var'),
  );
  expect(sharedMounts(text, ['/listed', '/srv/more', '/data', '/var/lib'], '/var/lib/state')).toEqual([
    { at: '/listed', listed: true, source: null },
    { at: '/srv/more', listed: true, source: null },
    { at: '/data', listed: true, source: 'nfs store:/data /' },
    { at: '/a b', listed: false, source: 'lustre 10.0.0.1@tcp:/scratch /' },
  ]);
});

test('two nodes have the same files where both list them, or one server has them', () => {
  const shared = (lines: string[], listed: string[] = []) =>
    sharedMounts(mountinfo(...lines), listed, '/state');
  const home = shared(
    [line('/data', 'nfs', 'store:/data'), line('/soft', 'nfs', 'store:/soft')],
    ['/x', '/y'],
  );
  const same = [line('/data', 'nfs4', 'store:/data')];
  expect(alsoShared(home, shared(same, ['/x']))).toEqual(['/x', '/data']);
  expect(alsoShared(home, shared([line('/data', 'nfs', 'other:/data')]))).toEqual([]);
  expect(alsoShared(home, shared([line('/data', 'nfs', 'store:/data', '/sub')]))).toEqual([]);
  expect(alsoShared(home, shared([line('/elsewhere', 'nfs', 'store:/data')]))).toEqual([]);
  // Listed by one of them only, and of another kind there.
  expect(alsoShared(home, shared([], ['/data', '/soft']))).toEqual([]);
});

test('a file is in the nearest mount around it', () => {
  const [mounts, among] = [['/data', '/data/own', '/home'], ['/data']];
  const isShared = (path: string) => isIn(path, mounts, among);
  expect(['/data/x', '/data', '/data/owner'].every(isShared)).toBe(true);
  expect(['/data/own/x', '/database', '/home/x', '/x'].some(isShared)).toBe(false);
});

test('open files are told by path, with how they are reached and what lock is in the way', () => {
  const descriptor = (name: string, mode: number, fd: number | 'map' = 3) => ({
    ...{ pid: 7, fd, mode, links: 1, space: 0, magic: 0, kind: '-', name },
  });
  const looked = [
    descriptor('/data/log', 0o100644),
    descriptor('/data/log', 0o100644, 4),
    descriptor('/home', 0o040755),
    descriptor('/home/gone (deleted)', 0o100644, 'map'),
    descriptor('/memfd:x (deleted)', 0o100777),
    descriptor('/dev/shm/x', 0o100600),
    descriptor('/home/fifo', 0o010600),
    descriptor('socket:[7]', 0o140777),
  ];
  const files = openFilesOf({ descriptors: looked });
  expect(files).toEqual([
    {
      path: '/data/log',
      by: [
        { pid: 7, fd: 3 },
        { pid: 7, fd: 4 },
      ],
    },
    { path: '/home', by: [{ pid: 7, fd: 3 }] },
  ]);
  const here = files.map(({ path }) => ({ path, lock: 'process 2 (sh)' }));
  const there = (node: string, direct: string[]) =>
    filesThere(here, { node, home: 'node1', mounts: ['/data', '/home'], direct });
  expect(there('node2', ['/data'])).toMatchObject({
    files: [
      { path: '/data/log', via: 'shared' },
      { path: '/home', via: 'home' },
    ],
    moreFiles: 0,
    obstacles: [{ code: 'file-lock', what: expect.stringContaining('process 2 (sh) has locked /data/log') }],
  });
  expect(there('node3', []).obstacles).toEqual([]);
  expect(there('node1', ['/data']).files.map(({ via }) => via)).toEqual(['local', 'local']);
  const many = Array.from({ length: 130 }, (_, index) => ({ path: `/${index}`, lock: null }));
  const told = filesThere(many, { node: 'node2', home: 'node1', mounts: [], direct: [] });
  expect([told.files.length, told.moreFiles]).toEqual([100, 30]);
});

test('shared paths of a configuration are absolute, of one spelling, and never of the kernel', () => {
  const { sharedPaths } = AgentConfig.shape;
  expect(sharedPaths.parse(undefined)).toEqual([]);
  expect(sharedPaths.parse(['/data/', '/a//b/../c'])).toEqual(['/data', '/a/c']);
  for (const path of ['data', '/', '/a/..', '/proc/x', '/sys', '/x]y'])
    expect(sharedPaths.safeParse([path]).success).toBe(false);
});
