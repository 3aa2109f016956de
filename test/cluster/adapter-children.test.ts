/** Children of a debugged program: each has a session of its own, from its first instruction, wherever the job is. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { lineOf } from '../support/c-programs';
import { type Begin, type Debugged, DebugLab, FOLLOWS } from '../support/debug-lab';
import { inProject } from '../support/project';

const CHILDREN = inProject('test', 'fixtures', 'programs', 'children.c');
const at = (text: string) => lineOf(CHILDREN, `/* ${text} */`);

let labs: DebugLab;
let children = '';

beforeAll(async () => {
  labs = await DebugLab.up(`t${process.pid}-children`);
  children = await labs.compile(CHILDREN, ['gcc', '-D_GNU_SOURCE', '-g', '-O0'], 'children');
});
afterEach(() => labs.clear());
afterAll(() => labs?.lab.down());

const launch = (args: (string | number)[], options: Begin = {}) =>
  labs.launch(children, CHILDREN, args, {
    ...options,
    client: FOLLOWS,
    config: { followChildren: true, ...options.config },
  });
const childOf = (parent: Debugged, nth: number, begin: Begin = {}) =>
  labs.child(parent, nth, CHILDREN, begin);

const places = ['home', 'away'] as const;
const brought = async (session: Debugged, place: (typeof places)[number]) => {
  if (place === 'away') await session.move('node2');
};
/** To another node, the program's home or not. */
const onwards = (session: Debugged, place: (typeof places)[number]) =>
  session.move(place === 'away' ? 'node1' : 'node3');
const ended = (session: Debugged) => session.client.event<{ exitCode: number }>('exited');

describe.each(places)('a child, %s', (place) => {
  it('of a fork stops at its breakpoints, and the tree moves together', async () => {
    const parent = await launch([1, 'fork'], { breakpoints: [{ line: at('forks') }] });
    await parent.client.stopped();
    await brought(parent, place);
    await parent.client.setBreakpoints(CHILDREN, [{ line: at('waits') }]);
    await parent.resume();
    const child = await childOf(parent, 0, { breakpoints: [{ line: at('work') }] });
    expect(await child.client.stopped()).toMatchObject({ reason: 'breakpoint' });
    expect((await child.stack()).map(({ name }) => name.replace(/\(.*/, ''))).toEqual([
      'work',
      'forked',
      'main',
    ]);
    await parent.client.stopped();
    expect(await parent.line()).toBe(at('waits'));
    await onwards(parent, place);
    expect(await child.step()).toBe(at('more work'));
    expect(await child.client.evaluate('sum', (await child.stack())[0]!.id)).toBe('12');
    await child.resume();
    expect(await ended(child)).toEqual({ exitCode: 13 });
    await parent.resume();
    expect(await ended(parent)).toEqual({ exitCode: 4 });
    expect(parent.output).toBe('child 13\nparent done\n');
  });

  it('that is spawned is there from the first instruction of its program', async () => {
    const parent = await launch([1, 'spawn'], {
      breakpoints: [{ line: at('spawns') }, { line: at('done') }],
    });
    await parent.client.stopped();
    await brought(parent, place);
    await parent.resume();
    const child = await childOf(parent, 0, { config: { stopInChildren: true } });
    expect(await child.client.stopped()).toMatchObject({ reason: 'entry' });
    expect((await child.stack())[0]!.name).toContain('main');
    await onwards(parent, place);
    await child.client.setBreakpoints(CHILDREN, [{ line: at('work') }]);
    await child.on('breakpoint');
    expect((await child.stack())[1]!.name).toContain('spawned');
    await child.resume();
    expect(await ended(child)).toEqual({ exitCode: 32 });
    await parent.client.stopped();
    await parent.resume();
    expect(await ended(parent)).toEqual({ exitCode: 4 });
    expect(parent.output).toBe('child 32\nparent done\n');
  });
});

it('stops where it was forked, if that is wanted', async () => {
  // The end of the program is that of the job, and nothing in it can tell any more how it ended.
  const breakpoints = [{ line: at('done') }];
  const parent = await launch([1, 'fork'], { config: { stopInChildren: true }, breakpoints });
  const child = await childOf(parent, 0);
  expect(await child.client.stopped()).toMatchObject({ reason: 'entry' });
  expect((await child.stack()).map(({ name }) => name.replace(/\(.*/, ''))).toContain('main');
  await child.resume();
  expect(await ended(child)).toEqual({ exitCode: 13 });
  await parent.client.stopped();
  await parent.resume();
  await ended(parent);
});

it('runs on where the client wants no session for it', async () => {
  const parent = await launch([3, 'fork', 'spawn']);
  for (let nth = 0; nth < 6; nth++) {
    const { seq } = await parent.client.askedFor(nth, 'startDebugging');
    parent.client.answer(seq, 'startDebugging', { success: false, message: 'not now' });
  }
  expect(await ended(parent)).toEqual({ exitCode: 4 });
  expect(parent.output).toBe('child 13\nchild 32\nchild 14\nchild 32\nchild 15\nchild 32\nparent done\n');
  expect(parent.client.said('console')).toContain('the editor began no session for it: not now');
});

it('comes and goes while the job moves', async () => {
  const parent = await launch([12, 'fork', 'spawn', 'missing']);
  const moved = parent.move('node2').then(() => parent.move('node1'));
  for (let nth = 0; nth < 24; nth++) {
    const { seq } = await parent.client.askedFor(nth, 'startDebugging');
    parent.client.answer(seq, 'startDebugging', { success: false, message: 'not now' });
  }
  await moved;
  expect(await ended(parent)).toEqual({ exitCode: 4 });
  const rounds = Array.from({ length: 12 }, (_, nth) => `child ${13 + nth}\nchild 32\nspawn 2\n`);
  expect(parent.output).toBe(`${rounds.join('')}parent done\n`);
});

it('is not followed by a client that begins no sessions, and that is said', async () => {
  const parent = await labs.launch(children, CHILDREN, [1, 'fork'], { config: { followChildren: true } });
  expect(await ended(parent)).toEqual({ exitCode: 4 });
  expect(parent.client.said('important')).toContain('Children are not followed: ');
  expect(parent.client.asked).toEqual([]);
});

it('a program that runs another in its place is followed by its own session', async () => {
  const parent = await launch([1, 'exec'], { breakpoints: [{ line: at('execs') }, { line: at('anew') }] });
  await parent.client.stopped();
  await parent.move('node2');
  await parent.on('breakpoint');
  expect(await parent.line()).toBe(at('anew'));
  await parent.move('node1');
  expect(await parent.step('stepIn')).toBeGreaterThan(0);
  await parent.resume();
  expect(await ended(parent)).toEqual({ exitCode: 52 });
});
