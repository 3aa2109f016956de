/** What passes between line and stub for a real gdb: as little as can be, and nothing that is no longer so. */
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { threadsOf } from '../../agent/debug/attach/threads';
import { decodeTogether } from '../../agent/debug/rsp/together';
import { Debuggee, type Debugger, type Gdb, program, removePrograms, until } from '../fixtures/debuggee';

let job: Debuggee;
let stubbed: Debugger;

afterEach(() => job?.close());
afterAll(removePrograms);

async function debug(name: string, ...args: string[]): Promise<Gdb> {
  job = await Debuggee.launch([program(name), ...args]);
  stubbed = await job.debug();
  return stubbed.gdb();
}

const value = async (gdb: Gdb, expression: string) =>
  (await gdb.do(`print ${expression}`)).replace(/^\$\d+ = /, '');

/** What the line says by itself when gdb takes its time: breakpoints that gdb has taken out. */
const isSettling = (packet: string) => decodeTogether(packet)?.packets.every((one) => one.startsWith('z'));

/** Messages that want an answer, for what gdb is told to do. */
async function asked(work: () => Promise<unknown>): Promise<string[]> {
  const before = stubbed.asked.length;
  await work();
  return stubbed.asked.slice(before).filter((packet) => !isSettling(packet));
}

/** Threads that wait for a time in the kernel (clock_nanosleep: 230, on arm64 115). */
const sleeping = (pid: number) =>
  threadsOf(pid).filter(({ tid }) =>
    /^(230|115) /.test(readFileSync(`/proc/${pid}/task/${tid}/syscall`, 'utf8')),
  ).length;

/** Stands before the first of three lines without calls. */
async function inLines(): Promise<Gdb> {
  const gdb = await debug('steps');
  await gdb.do('break weigh');
  job.start();
  await gdb.do('continue', 'delete', 'finish', 'next');
  expect(await gdb.do('info line *$pc')).toContain('Line 21 ');
  return gdb;
}

describe('a step', () => {
  test('is one message there and one back, also after a move', async () => {
    const gdb = await inLines();
    expect(await asked(() => gdb.do('next'))).toHaveLength(1);
    await job.move();
    expect(await asked(() => gdb.do('next', 'info locals', 'backtrace', 'info threads'))).toHaveLength(1);
  });

  test('over a call is one for each time that gdb lets the program go', async () => {
    const gdb = await inLines();
    await gdb.do('next', 'next', 'next');
    expect(await gdb.do('info line *$pc')).toContain('Line 24 ');
    const resumes = await asked(() => gdb.do('next'));
    expect(resumes.filter((packet) => !packet.includes('vCont;'))).toEqual([]);
    expect(await gdb.do('info line *$pc')).toContain('Line 25 ');
  });

  test('is one with a hundred breakpoints, which come along and are hit', async () => {
    const gdb = await inLines();
    for (let n = 0; n < 100; n++) await gdb.do(`break *(weigh+${n % 3 === 0 ? 0 : 4})`);
    await gdb.do('next');
    expect(await asked(() => gdb.do('next'))).toHaveLength(1);
    expect(await gdb.do('continue')).toContain('weigh');
    await job.move();
    await gdb.do('delete', 'break round_of');
    expect(await gdb.do('continue')).toContain('round_of');
  });
});

test('symbols of the C library are told in one message, and threads are found by them', async () => {
  const gdb = await debug('threads', '2', '100000', '600000000');
  await gdb.do('break beat');
  job.start();
  await gdb.do('continue');
  const offers = stubbed.asked.filter((packet) => packet.includes('qSymbol:'));
  expect(offers.filter((packet) => packet.includes('Qgodwit.symbols:'))).toHaveLength(1);
  expect(offers.filter((packet) => !packet.includes('qSymbol::'))).toEqual([]);
  // gdbserver has found its library of threads by them.
  expect(await gdb.do('info threads')).toMatch(/Thread \d+\.\d+/);
});

describe('what is shown is what is there', () => {
  test('behind what gdb writes, calls, selects, and moves', async () => {
    const gdb = await debug('steps');
    await gdb.do('break round_of');
    job.start();
    await gdb.do('continue', 'next');
    expect(await value(gdb, 'weight')).toBe('4');
    await gdb.do('set var weight = 40');
    await gdb.do('maintenance flush dcache');
    expect(await value(gdb, 'weight')).toBe('40');
    expect(await value(gdb, 'weigh(5)')).toBe('16');
    await gdb.do('set var $rax = 77');
    await gdb.do('maintenance flush register-cache');
    expect(await value(gdb, '$rax')).toBe('77');
    await job.move();
    await gdb.do('maintenance flush register-cache', 'maintenance flush dcache');
    expect([await value(gdb, 'weight'), await value(gdb, '$rax')]).toEqual(['40', '77']);
    await gdb.do('next');
    expect(await value(gdb, 'total')).toBe('40');
  });

  test('in each thread', async () => {
    // One computes, the others sleep: where they stand at a stop is no matter of chance.
    job = await Debuggee.launch([program('threads'), '6', '100000', '600000000']);
    job.start();
    await until('five that sleep', () => sleeping(job.pidOf()) === 5);
    stubbed = await job.debug();
    const gdb = await stubbed.gdb();
    await gdb.do('break beat', 'continue', 'delete');
    const all = async () => {
      await gdb.do('maintenance flush register-cache', 'maintenance flush dcache');
      return (await gdb.do('thread apply all -q print $sp')).replace(/^\$\d+ = /gm, '');
    };
    const [told, again] = [await all(), await all()];
    expect(told).toBe(again);
    // The registers and stacks of the others come along with those of the first.
    await gdb.do('next');
    expect(await asked(() => gdb.do('thread apply all -q backtrace 1'))).toHaveLength(1);
    expect(new Set(told.match(/0x[0-9a-f]+/g)).size).toBeGreaterThan(1);
    const before = await all();
    await job.move();
    expect(await all()).toBe(before);
  });
});

describe('a breakpoint in a library that comes and goes', () => {
  test.each(['off', 'on'])('is hit each time (always-inserted %s)', async (inserted) => {
    const library = program('loads', '-DLIBRARY', '-shared', '-fPIC');
    const gdb = await debug('loads', library);
    await gdb.do(`set breakpoint always-inserted ${inserted}`, 'set breakpoint pending on', 'break visit');
    job.start();
    for (let round = 1; round <= 5; round++) {
      expect(await gdb.do('continue')).toContain(`visit (round=${round})`);
      await gdb.do('next');
      if (round === 2) await job.move();
    }
    expect(await gdb.do('continue')).toContain('exited with code 03');
    expect(job.read()).toBe('2\n4\n6\n8\n10\n');
  });
});

test('a breakpoint that can not be put in is told, and nothing has run', async () => {
  const gdb = await inLines();
  const at = await value(gdb, '$pc');
  await gdb.do('break *0x10');
  expect(await gdb.do('continue')).toMatch(/Cannot insert breakpoint|could not be put in/);
  await gdb.do('delete');
  expect(await value(gdb, '$pc')).toBe(at);
  expect(await gdb.do('next')).not.toContain('rror');
});
