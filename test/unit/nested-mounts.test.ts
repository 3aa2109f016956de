import { expect, test } from 'vitest';
import { homesMount, type MountEntry, MountIds } from '../../agent/machine/criu/mounts-image';
import { HomesMounts } from '../../agent/machine/criu/nested-mounts';

/** The mount of all of the home's files, and a file system of the job's own. */
const FILES = 50;
const OWN = 60;

const mount = (
  id: number,
  parent: number,
  device: number,
  root: string,
  at: string,
  key: string | null = null,
) => homesMount({ id, parent, device, root, at, key });
const shown = (mounts: MountEntry[]) =>
  mounts.map(({ id, parent, device, root, at }) => [id, parent, device, root, at]);

/** As another node has it: one that the job has kept, and two that were added when it came home. */
const jobs = () => [
  mount(10, 1, FILES, '/', '/'),
  mount(11, 10, FILES, '/home', '/home', '/home'),
  mount(12, 11, 71, '/', '/home/ann', '/home/ann'),
  mount(13, 10, 72, '/', '/srv', '/srv'),
];

function arranged(nested: MountEntry[]): { home: number; mounts: unknown[] } {
  const own = jobs();
  const homes = new HomesMounts(own, ['/home', '/home/ann', '/srv'], new MountIds([own, nested]));
  homes.keep(own);
  return { home: own[1]!.device, mounts: shown(homes.arrange(nested)) };
}

test('what was kept becomes a file system of its own', () => {
  const own = jobs();
  new HomesMounts(own, ['/home'], new MountIds([own])).keep(own);
  expect(own[1]).toMatchObject({ root: '/', at: '/home' });
  expect(own[1]!.device).not.toBe(FILES);
  expect(own[0]).toMatchObject({ device: FILES, root: '/' });
});

test('a namespace that shows all of the home gets all of its mounts, each on the nearest', () => {
  const { home, mounts } = arranged([mount(20, 1, FILES, '/', '/')]);
  expect(mounts).toEqual([
    [20, 1, FILES, '/', '/'],
    [21, 20, 72, '/', '/srv'],
    [22, 20, home, '/', '/home'],
    [23, 22, 71, '/', '/home/ann'],
  ]);
});

test('a folder that is bound elsewhere is of the mount that has it, and has those within it', () => {
  const { home, mounts } = arranged([
    mount(20, 1, OWN, '/', '/'),
    mount(21, 20, FILES, '/srv/data', '/a'),
    mount(22, 20, FILES, '/home', '/b'),
    mount(23, 20, FILES, '/homely', '/c'),
  ]);
  expect(mounts).toEqual([
    [20, 1, OWN, '/', '/'],
    [21, 20, 72, '/data', '/a'],
    [22, 20, home, '/', '/b'],
    [23, 20, FILES, '/homely', '/c'],
    [24, 22, 71, '/', '/b/ann'],
  ]);
});

test('what covers a place stays over it; what stands within one comes to stand on it', () => {
  const { home, mounts } = arranged([
    mount(20, 1, FILES, '/', '/'),
    mount(21, 20, OWN, '/', '/srv'),
    mount(22, 20, OWN, '/', '/home/ann/own'),
  ]);
  expect(mounts).toEqual([
    [20, 1, FILES, '/', '/'],
    [21, 20, OWN, '/', '/srv'],
    [22, 24, OWN, '/', '/home/ann/own'],
    [23, 20, home, '/', '/home'],
    [24, 23, 71, '/', '/home/ann'],
  ]);
});
