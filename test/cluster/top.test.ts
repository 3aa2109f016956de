/** `godwit top` at a terminal, in a lab. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { killAgent, restartAgent } from '../../agent/lab/lab';
import { Godwit } from '../support/godwit';
import { Terminal } from '../support/terminal';

const LAB = `top${process.pid}`;
const SIZE = { rows: 30, columns: 160 };
let godwit: Godwit;
beforeAll(async () => {
  godwit = await Godwit.labUp(LAB, { nodes: 2 });
});
afterAll(async () => {
  Terminal.closeAll();
  await Godwit.labDown(LAB);
});

it('shows jobs as they are, moves one, pins one and ends one', async () => {
  const { id } = await godwit.run(['sleep', '1000'], { name: 'sleeper', cwd: '/' });
  const top = godwit.at(['top'], SIZE);
  await top.shows(/2 of 2 nodes up, 1 jobs/);
  await top.shows(new RegExp(`${id} +sleeper +root +running +node1`));
  top.type('m');
  await top.shows(`move ${id} to`);
  top.type('node2\r');
  await top.shows(new RegExp(`${id} moved from node1 to node2: frozen`));
  expect((await godwit.job(id)).node).toBe('node2');

  top.type('p');
  await top.shows('stays on its node');
  expect((await godwit.job(id)).pinned).toBe(true);
  top.type('mhome\r');
  await top.shows(/is pinned/);
  top.type('p');
  await top.shows('may move');

  top.type('ky');
  await top.shows('SIGTERM sent');
  expect(await godwit.wait(id)).toMatchObject({ signal: 'SIGTERM' });
  await top.shows(/nodes up, 0 jobs/);

  top.type('q');
  expect(await top.ended).toBe(0);
  // The other screen and the cursor are as they were.
  expect(top.seen.endsWith('\x1b[?25h\x1b[?1049l')).toBe(true);
});

it('turns the balance on and off, and drains a node', async () => {
  const top = godwit.at(['top'], SIZE);
  await top.shows('2 of 2 nodes up');
  top.type('b');
  await top.shows('jobs move by themselves');
  top.type('b');
  await top.shows('jobs stay where they are');
  top.type('\t\x1b[F');
  top.type('d');
  await top.shows('drain node2');
  top.type('y');
  await top.shows('jobs leave node2');
  await top.shows(/node2 +draining/);
  top.type('d');
  await top.shows('jobs may come to node2 again');
  top.type('q');
  expect(await top.ended).toBe(0);
});

it('goes on when the agent does, and fits the window', async () => {
  const top = godwit.at(['top'], SIZE);
  await top.shows('2 of 2 nodes up');
  await killAgent(LAB, 'node1');
  await top.shows('no agent answers');
  await restartAgent(LAB, 'node1');
  await top.shows(/nodes up, 0 jobs, [\d:]{8}(?!;)/);
  top.resize(10, 40);
  await top.shows('[10;1Hm migrate');
  top.type('\x03');
  expect(await top.ended).toBe(0);
});

it('is for a terminal', async () => {
  await expect(godwit.text(['top'])).rejects.toThrow(/not a terminal; use `godwit nodes` and `godwit ps`/);
});
