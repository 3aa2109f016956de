/** A node whose state folder is on a file system of its own, as a live node's is, and as a person may have it. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { godwitOf } from '../support/as-user';
import { FaultLab } from '../support/fault-lab';
import { Godwit } from '../support/godwit';

const LAB = `state-${process.pid}`;
const USER = 'games';

let lab: FaultLab;
let state: string;
let isMounted = false;

beforeAll(async () => {
  lab = await FaultLab.up(LAB, { users: [USER] });
  state = lab.paths('node1').state;
  await lab.kill('node1');
  await lab.killKeeper('node1');
  const kept = join(lab.folder, 'state');
  execFileSync('cp', ['-a', state, kept]);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=0755', 'none', state]);
  isMounted = true;
  execFileSync('cp', ['-a', `${kept}/.`, state]);
  await lab.restart('node1');
});
afterAll(async () => {
  if (isMounted) execFileSync('umount', ['-l', state]);
  await lab?.down();
});

it.each([
  ['root', () => new Godwit({ agent: lab.socket('node1') })],
  ['a user', () => godwitOf(USER, LAB, lab.folder)],
])('has jobs of %s, which leave it and come home', async (_whose, by) => {
  const godwit = by();
  const { id } = await godwit.run(['sleep', '1000'], { cwd: '/' });
  for (const to of ['node2', 'node3', 'home']) await godwit.migrate(id, to);
  expect(await godwit.job(id)).toMatchObject({ node: 'node1', migrations: 3, state: 'running' });
  await godwit.kill(id);
});
