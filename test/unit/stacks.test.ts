/** Where threads stand: what is made of what the helper and gdb say, and equal stacks of several jobs together. */
import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../../agent/api/model';
import { type Frame, JobStacks } from '../../agent/api/stacks';
import { groupStacks, titleOf, unreadLines } from '../../agent/client/stacks';
import { Said } from '../../agent/debug/stacks/said';
import { JobLocation } from '../../agent/keeper/contract';
import { Stubs } from '../../agent/keeper/stubs';

const hex = (text: string) => Buffer.from(text).toString('hex');
const at = (name: string, line: number | null = 1, own = true): Frame => ({
  ...{ function: name, file: line === null ? null : '/src/p.c', line, own },
});
const told = ({ function: name, file, line, own }: Frame) => [name, file, line, own];

function said(...lines: (object | string)[]): Said {
  const all = new Said();
  for (const line of lines) all.take(typeof line === 'string' ? line : JSON.stringify(line));
  return all;
}

const process = (pid: number, ...tids: number[]) => ({
  ...{ process: pid, ms: pid / 10 },
  threads: tids.map((tid) => [tid, 0, hex(`t${tid}`)]),
});

describe('what is said', () => {
  const whole = [
    process(2, 2, 3, 4),
    process(5, 5),
    { taken: true },
    { stack: [told(at('main'))], threads: [[2, 2]] },
    {
      stack: [told(at('work'))],
      threads: [
        [2, 3],
        [2, 4],
        [5, 5],
      ],
    },
    { done: true, late: false },
  ];

  it('is a message of the contract', () => {
    const result = said(...whole).result();
    expect(JobStacks.parse(result)).toEqual(result);
    expect(result.stacks.map(({ frames, threads }) => [frames[0]!.function, threads])).toEqual([
      [
        'work',
        [
          { pid: 2, tid: 3, name: 't3' },
          { pid: 2, tid: 4, name: 't4' },
          { pid: 5, tid: 5, name: 't5' },
        ],
      ],
      ['main', [{ pid: 2, tid: 2, name: 't2' }]],
    ]);
    expect(result).toMatchObject({ unread: [], more: 0, standstillMs: 0.5 });
  });

  it('names why something is not known', () => {
    const { unread } = said(
      { process: 2, ms: 0, failure: 'debugged' },
      { process: 3, ms: 0, failure: 'gone' },
      {
        process: 4,
        ms: 1,
        threads: [
          [4, 0, ''],
          [5, 1, ''],
          [6, 2, ''],
        ],
      },
      { done: true, late: false },
    ).result();
    expect(unread).toEqual([
      { pid: 2, tid: null, why: 'debugged' },
      { pid: 4, tid: 5, why: 'asleep' },
      { pid: 4, tid: 4, why: 'unreadable' },
    ]);
    expect(said(process(2, 2), { done: true, late: true }).result().unread).toEqual([
      { pid: 2, tid: 2, why: 'late' },
    ]);
  });

  it.each<[string, object | string]>([
    ['no JSON', 'warning: core file may not match'],
    ['no object', '17'],
    ['a thread twice', { stack: [told(at('other'))], threads: [[2, 3]] }],
    ['a thread that there is not', { stack: [told(at('other'))], threads: [[77, 77]] }],
    ['a stack without frames', { stack: [], threads: [[2, 2]] }],
    ['a name that is too long', { stack: [['x'.repeat(5000), null, null, true]], threads: [[2, 2]] }],
    ['a line that is none', { stack: [['x', null, 'y', true]], threads: [[2, 2]] }],
    ['numbers that are none', { process: -1, ms: 1, threads: [] }],
    ['time that is none', { process: 9, ms: -5, threads: [] }],
    ['too many frames', { stack: Array(400).fill(told(at('x'))), threads: [[2, 2]] }],
    ['a name in other digits', { process: 9, ms: 0, threads: [[9, 0, 'xyz']] }],
  ])('%s changes nothing', (_, line) => {
    const before = said(...whole).result();
    expect(said(...whole, line).result()).toEqual(before);
  });

  it('takes no more than fits into a message: what is left out is counted', () => {
    const tids = Array.from({ length: 9000 }, (_, index) => index + 2);
    const deep = (tid: number) => Array.from({ length: 20 }, (_, level) => told(at(`f${tid}_${level}`)));
    const result = said(
      process(2, ...tids),
      ...tids.map((tid) => ({ stack: deep(tid), threads: [[2, tid]] })),
    ).result();
    expect(JSON.stringify(result).length).toBeLessThan(2 * 1024 * 1024);
    expect(result.more + result.stacks.length).toBe(9000);
    expect(result.more).toBeGreaterThan(0);
  });

  it('knows no more threads than it should', () => {
    const threads = Array.from({ length: 16_000 }, (_, index) => [index + 1, 1, '']);
    const result = said(...[2, 3].map((pid) => ({ process: pid, ms: 0, threads }))).result();
    expect(JobStacks.safeParse(result).success).toBe(true);
  });
});

describe('a job whose processes are being read', () => {
  const nowhere = JobLocation.parse({
    ...{ job: 'abcdefghij', cgroup: '/nowhere', init: 2, user: ROOT, supervisor: 'job', report: '/nowhere' },
  });
  const settled = (work: Promise<unknown>) =>
    work.then(
      () => true,
      () => true,
    );

  it('is parked when that is done, and not when all is known', async () => {
    const stubs = new Stubs({
      ended: async () => ({ code: 0 }),
      tools: {} as never,
      log: (() => {}) as never,
    });
    let done = () => {};
    const reading = stubs.untouched('abcdefghij', (isDone) => {
      done = isDone;
      return new Promise(() => {});
    });
    // There is no such cgroup: it fails as soon as it begins.
    const parking = settled(stubs.park(nowhere));
    const another = settled(stubs.untouched('klmnopqrst', async () => {}));
    expect(await Promise.race([another.then(() => 'another'), parking.then(() => 'parked')])).toBe('another');
    await setTimeout(200);
    expect(await Promise.race([parking.then(() => 'parked'), setTimeout(0, 'waits')])).toBe('waits');
    done();
    expect(await Promise.race([parking, settled(reading).then(() => 'read')])).toBe(true);
  });
});

describe('equal stacks', () => {
  const stacks = (...all: [Frame[], ...number[]][]): JobStacks => ({
    stacks: all.map(([frames, ...tids]) => ({
      frames,
      threads: tids.map((tid) => ({ pid: 2, tid, name: 'n' })),
    })),
    ...{ unread: [], more: 0, standstillMs: 1 },
  });

  it('are together, of whichever job', () => {
    const groups = groupStacks([
      { job: 'a', stacks: stacks([[at('solve', 3), at('main', 9)], 2], [[at('wait', 1)], 3, 4]) },
      { job: 'b', stacks: stacks([[at('wait', 1)], 2]) },
    ]);
    expect(groups.map(({ threads }) => threads.map(({ job, tid }) => `${job}${tid}`))).toEqual([
      ['a3', 'a4', 'b2'],
      ['a2'],
    ]);
  });

  it('may differ in where the innermost function stands, and in nothing else', () => {
    const groups = groupStacks([
      {
        job: 'a',
        stacks: stacks([[at('solve', 3), at('main', 9)], 2], [[at('solve', 4), at('main', 9)], 3]),
      },
      { job: 'b', stacks: stacks([[at('solve', 3), at('main', 8)], 2]) },
    ]);
    expect(groups.map(({ stack }) => stack.map(({ line }) => line))).toEqual([
      [null, 9],
      [3, 8],
    ]);
  });

  it('leave what they are made of as it was', () => {
    const one = stacks([[at('solve', 3)], 2], [[at('solve', 4)], 3]);
    const before = structuredClone(one);
    groupStacks([{ job: 'a', stacks: one }]);
    expect(one).toEqual(before);
  });

  it('are called by the innermost function of the program itself', () => {
    expect(titleOf([at('pause', 1, false), at('exchange'), at('main')])).toBe('exchange()');
    expect(titleOf([at('pause', 1, false), at('clone3', 1, false)])).toBe('pause()');
    expect(titleOf([at('app+0x1234', null)])).toBe('app+0x1234');
    expect(titleOf([at('ns::f<int>')])).toBe('ns::f<int>()');
  });

  it('say of whom it is not known where they stand', () => {
    const lines = unreadLines('abc', {
      ...{ stacks: [], more: 3, standstillMs: 0 },
      unread: [
        { pid: 2, tid: null, why: 'debugged' },
        { pid: 3, tid: 4, why: 'asleep' },
      ],
    });
    expect(lines).toEqual([
      'process 2 of job abc is not shown: it stands in a debugger, which shows where',
      'thread 4 of process 3 of job abc is not shown: it sleeps in the kernel, where nothing stops it',
      '3 more threads of job abc are not shown: there are too many',
    ]);
  });
});
