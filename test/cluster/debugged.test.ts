/** Programs that are hard on a debugger, moved by CRIU between real nodes under a real gdb. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { compile } from '../support/c-programs';
import type { Gdb } from '../support/gdb';
import { Godwit } from '../support/godwit';
import { inProject } from '../support/project';

const LAB = `debugged-${process.pid}`;

let godwit: Godwit;
let folder = '';
const debuggers: Gdb[] = [];

beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'godwit-debugged-')));
  godwit = await Godwit.labUp(LAB, { temp: folder });
});
afterEach(() => {
  for (const gdb of debuggers.splice(0)) gdb.kill();
});
afterAll(async () => {
  await Godwit.labDown(LAB);
  rmSync(folder, { recursive: true, force: true });
});

const built = (name: string) => compile(inProject('test', 'fixtures', 'programs', `${name}.c`), folder);

async function debugged(argv: string[]): Promise<{ id: string; gdb: Gdb }> {
  const { id } = await godwit.run(argv, { stopped: true });
  const gdb = await godwit.gdb(id);
  debuggers.push(gdb);
  await gdb.do('set breakpoint condition-evaluation target');
  return { id, gdb };
}

it('200 threads: stopped at a breakpoint, and running', async () => {
  const [count, rounds] = [200, 24];
  const { id, gdb } = await debugged([await built('threads'), `${count}`, `${rounds}`, '50000']);
  // The last thread's: all of them are there. How far the others are is gdbserver's choice, which is not fair.
  await gdb.do('break beat if me == 199 && n == 1');
  expect(await gdb.do('continue')).toMatch(/hit Breakpoint 1, beat \(me=199, n=1\)/);
  await godwit.migrate(id, 'node2');
  await gdb.do('maintenance flush register-cache');
  expect((await gdb.do('info threads')).match(/^[* ] +\d+ +Thread /gm)).toHaveLength(count + 1);
  expect(await gdb.print('n')).toBe('1');
  await gdb.do('break beat if me == 199 && n == 8');
  const running = gdb.start('continue');
  await sleep(300);
  await godwit.migrate(id, 'node3');
  expect(await running.result()).toMatch(/hit Breakpoint 2, beat \(me=199, n=8\)/);
  await gdb.do('delete');
  expect(await gdb.do('continue')).toContain('exited normally');
  expect(await godwit.wait(id)).toEqual({ id, exit: 0, signal: null });
  const lines = (await godwit.logs(id)).trim().split('\n');
  expect(lines).toHaveLength(count * rounds);
  for (let me = 0; me < count; me++) {
    const own = lines.filter((line) => line.startsWith(`${me} `)).map((line) => Number(line.split(' ')[1]));
    expect(own).toEqual(Array.from({ length: rounds }, (_, index) => index + 1));
  }
});

it('a client that is killed: the program runs on, wherever it has come to', async () => {
  const argv = [await built('threads'), '4', '200', '20000'];
  const { id, gdb } = await debugged(argv);
  await gdb.do('break beat if me == 1 && n == 20');
  expect(await gdb.do('continue')).toMatch(/hit Breakpoint 1/);
  // At once: its line may not have found the stub again yet.
  await godwit.migrate(id, 'node2');
  gdb.kill();
  expect(await godwit.wait(id)).toEqual({ id, exit: 0, signal: null });
  expect((await godwit.logs(id)).trim().split('\n')).toHaveLength(4 * 200);
});

/** Of a program that forks all the time: a debugger on a machine that is busy may always have the last fork to deal with. */
async function migrateInTheEnd(id: string, node: string, tries = 5): Promise<void> {
  try {
    await godwit.migrate(id, node);
  } catch (error) {
    if (tries === 1 || !/has not dealt with/.test(`${error}`)) throw error;
    await migrateInTheEnd(id, node, tries - 1);
  }
}

it('forks, vforks and execs of children, all the while', async () => {
  const rounds = 800;
  const { id, gdb } = await debugged([await built('family'), `${rounds}`]);
  const running = gdb.start('continue');
  for (const node of ['node2', 'node3', 'node1', 'node2', 'node3']) {
    await sleep(300);
    await migrateInTheEnd(id, node);
  }
  expect(await running.result(100_000)).toContain('exited normally');
  expect(await godwit.wait(id)).toEqual({ id, exit: 0, signal: null });
  const children = Array.from({ length: rounds }, (_, index) => `child ${index + 1}\n`);
  expect(await godwit.logs(id)).toBe(`${children.join('')}end\n`);
});

it('a program that ends while its client looks for it after a move: the client hears how', async () => {
  const { id, gdb } = await debugged([await built('family'), '3']);
  await gdb.do('break after if n == 3');
  expect(await gdb.do('continue')).toContain('Breakpoint 1, after (n=3)');
  for (const node of ['node2', 'node3']) await godwit.migrate(id, node);
  await gdb.do('delete');
  const [running] = [gdb.start('continue'), await godwit.migrate(id, 'node1').catch(() => {})];
  expect(await running.result()).toContain('exited normally');
  expect(await godwit.wait(id)).toEqual({ id, exit: 0, signal: null });
});

it('a child that its client has followed moves with its debugger; the parent goes on', async () => {
  const { id, gdb } = await debugged([await built('followed')]);
  await gdb.do('set follow-fork-mode child');
  await gdb.do('break step');
  expect(await gdb.do('continue')).toContain('step (n=1)');
  expect(await godwit.why(id, 'node2')).toMatchObject({ can: true, obstacles: [] });
  for (const [at, node] of ['node2', 'node3', 'node1'].entries()) {
    await godwit.migrate(id, node);
    expect(await gdb.print('n')).toBe(`${at + 1}`);
    expect(await gdb.do('continue')).toContain(`step (n=${at + 2})`);
  }
  await gdb.do('delete');
  expect(await gdb.do('continue')).toContain('exited with code 03');
  expect(await godwit.wait(id)).toEqual({ id, exit: 0, signal: null });
  expect(await godwit.logs(id)).toBe('step 1\nstep 2\nstep 3\nstep 4\nstep 5\nchild 3\n');
});
