/** `godwit stacks`: where the threads of jobs stand, and that these notice nothing of it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { JobCgroup } from '../../agent/machine/cgroup/cgroup';
import { nodeCgroup } from '../../agent/machine/cgroup/hierarchy';
import { nodePid, parseStat } from '../../agent/machine/proc/processes';
import { compile, lineOf } from '../support/c-programs';
import { LabOfJobs } from '../support/lab-of-jobs';
import { run } from '../support/processes';
import { inProject } from '../support/project';
import { untilWithin } from '../support/until';

const SOON_MS = 90_000;
const RANKS = inProject('test/programs/ranks.c');
const lab = new LabOfJobs('stacks');
let ranks = '';

beforeAll(async () => {
  ranks = await compile(RANKS, lab.folder);
});

/** The answer's shape, to the letter. */
const Groups = z.array(
  z.strictObject({
    stack: z.array(
      z.strictObject({ function: z.string(), file: z.string().nullable(), line: z.int().nullable() }),
    ),
    threads: z.array(z.strictObject({ job: z.string(), pid: z.int(), tid: z.int(), name: z.string() })),
  }),
);
type Group = z.infer<typeof Groups>[number];

/** The command's outcome, as anybody runs it. */
const asked = (...args: string[]) =>
  run([process.execPath, inProject('dist/godwit.cjs'), '--agent', lab.agent, 'stacks', ...args]);

/** Where nothing is left out. */
async function stacks(...jobs: string[]): Promise<Group[]> {
  const { status, stdout, stderr } = await asked('--json', ...jobs);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return Groups.parse(JSON.parse(stdout));
}

const functions = ({ stack }: Group) => stack.map(({ function: name }) => name);
const within = (groups: Group[], name: string) => groups.filter((group) => functions(group).includes(name));

const until = untilWithin(SOON_MS);

/** A process of the job, as this machine numbers it. */
async function processOf(id: string, inner: number): Promise<number> {
  const { node, epoch } = await lab.godwit.job(id);
  const cgroup = join(await nodeCgroup(`${lab.name}-${node}`), `${id}.${epoch}`);
  return nodePid(JobCgroup.at(cgroup), inner);
}

const threadsOf = (pid: number) => readdirSync(`/proc/${pid}/task`).map(Number);
const statOf = (pid: number, tid = pid) => parseStat(readFileSync(`/proc/${pid}/task/${tid}/stat`, 'utf8'));

describe('where threads stand', () => {
  it('equal stacks of several processes and jobs are together, at home and after each move', async () => {
    const one = await lab.launched([ranks, '3', '5', '1'], { name: 'one' });
    const other = await lab.launched([ranks, '1', '2', '1'], { name: 'other' });
    const called = lineOf(RANKS, 'exchange(depth - 1)');
    for (const node of ['node1', 'node2', 'node3', 'node1']) {
      if (node !== 'node1' || (await lab.godwit.job(one)).node !== 'node1')
        await lab.godwit.migrate(one, node);
      const groups = await stacks('one', other);
      const [exchanging, ...more] = within(groups, 'exchange');
      expect(more).toEqual([]);
      expect(exchanging!.threads).toHaveLength(3 * 5 + 2);
      expect(exchanging).toBe(groups[0]);
      expect(new Set(exchanging!.threads.map(({ name }) => name))).toEqual(new Set(['exchanging']));
      const own = exchanging!.stack.filter(({ function: name }) => name === 'exchange');
      expect(own.map(({ file }) => file)).toEqual([RANKS, RANKS, RANKS]);
      expect(own.map(({ line }) => line)).toEqual([expect.any(Number), called, called]);
      // All compute somewhere in it.
      const [solving, ...others] = within(groups, 'solve');
      expect(others).toEqual([]);
      expect(solving!.threads.map(({ job }) => job).sort()).toEqual([one, one, one, other].sort());
      expect(functions(solving!).slice(0, 2)).toEqual(['solve', 'solving']);
      const [gathering] = within(groups, 'gather');
      expect(functions(gathering!).at(-1)).toBe('main');
      expect(gathering!.threads.map(({ pid, tid }) => pid === tid)).toEqual([true, true, true, true]);
      const seen = groups.flatMap(({ threads }) => threads.map(({ job, tid }) => `${job} ${tid}`));
      expect(new Set(seen).size).toBe(3 * 7 + 4);
      expect(seen).toHaveLength(3 * 7 + 4);
    }
  });

  it('as text: how many where, their frames, who, and how long they stood still', async () => {
    const id = await lab.launched([ranks, '2', '31', '1']);
    const text = await lab.godwit.text(['stacks', id]);
    expect(text).toContain('62 threads in exchange()\n');
    expect(text).toContain('2 threads in solve()\n');
    expect(text).toContain(`exchange  ${RANKS}:${lineOf(RANKS, 'exchange(depth - 1)')}\n`);
    expect(text).toMatch(/ exchanging and 54 more\n/);
    expect(text).toMatch(/\neach process stood still for [\d.]+ m?s at most\n$/);
  });

  it('a program whose file has been replaced is read as it runs', async () => {
    const program = join(lab.folder, 'replaced');
    copyFileSync(ranks, program);
    const id = await lab.launched([program, '1', '1', '1']);
    copyFileSync('/bin/true', `${program}.new`);
    renameSync(`${program}.new`, program);
    expect(within(await stacks(id), 'exchange')).toHaveLength(1);
    await lab.godwit.migrate(id, 'node2');
    expect(within(await stacks(id), 'exchange')).toHaveLength(1);
  });

  it('a process whose first thread has ended is read by the others', async () => {
    const id = await lab.launched([await compile(inProject('test/programs/headless.c'), lab.folder)]);
    const [group, ...more] = await stacks(id);
    expect(more).toEqual([]);
    expect(functions(group!)).toContain('alone');
  });

  it('a thread that nothing stops is named, and let go of', async () => {
    const id = await lab.launched([await compile(inProject('test/programs/vforked.c'), lab.folder)]);
    const pid = await processOf(id, 2);
    await until('it waits', () => statOf(pid).state === 'D');
    const { stdout, stderr } = await asked(id);
    expect(stdout).toMatch(/^1 thread in child\(\)\n/);
    expect(stderr).toBe(
      `godwit: process 2 of job ${id} is not shown: it sleeps in the kernel, where nothing stops it\n`,
    );
    expect(readFileSync(`/proc/${pid}/status`, 'utf8')).toContain('TracerPid:\t0\n');
  });

  it('a job that stands in a debugger is said to; processes of it without one are shown', async () => {
    const id = await lab.launched([ranks, '2', '1', '0']);
    const gdb = await lab.godwit.gdb(id);
    try {
      const { status, stdout, stderr } = await asked(id, '--json');
      expect(status).toBe(0);
      expect(stderr).toBe(
        `godwit: process 2 of job ${id} is not shown: it stands in a debugger, which shows where\n`,
      );
      const shown = Groups.parse(JSON.parse(stdout)).flatMap(({ threads }) => threads.map(({ pid }) => pid));
      expect(new Set(shown).size).toBe(1);
      expect(shown).not.toContain(2);
    } finally {
      gdb.kill();
    }
    await until('the debugger has left', async () => !(await lab.godwit.job(id)).debugged);
    const all = (await stacks(id)).flatMap(({ threads }) => threads.map(({ pid }) => pid));
    expect(new Set(all).size).toBe(2);
  });

  it('of a job that stands in a debugger alone, that is the answer', async () => {
    const id = await lab.launched([ranks, '1', '1', '0']);
    const gdb = await lab.godwit.gdb(id);
    const { status, stdout, stderr } = await asked('--json', id);
    gdb.kill();
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/^godwit: process 2 of job \w+ is not shown: it stands in a debugger[^\n]*\n$/);
  });
});

describe('a program that is looked at', () => {
  it('returns from no call that it sleeps in', async () => {
    const asleep = await compile(inProject('test/programs/asleep.c'), lab.folder);
    const id = await lab.launched([asleep]);
    const all = [
      'epoll',
      'epoll_for_long',
      'sigwait',
      'semop',
      'recv',
      'recvmsg',
      'accept',
      'sleep',
      'pause',
    ];
    const seen = async () => {
      const groups = await stacks(id);
      // Where a thread sleeps, the C library is innermost.
      const inCalls = groups.filter((group) => !functions(group)[0]!.startsWith('in_'));
      return all.filter((name) => within(inCalls, `in_${name}`).length > 0);
    };
    await until('all sleep', async () => (await seen()).length === all.length);
    for (let round = 0; round < 5; round++) expect(await seen()).toEqual(all);
    expect(readFileSync(lab.consoleOf(id), 'utf8')).toBe('ready\n');
  });

  it('stays stopped where it was, before its first instruction and by a signal', async () => {
    const { id } = await lab.godwit.run([ranks, '1', '1', '1'], { cwd: lab.folder, stopped: true });
    expect(await stacks(id)).toHaveLength(1);
    expect(await lab.godwit.job(id)).toMatchObject({ state: 'stopped' });
    await lab.godwit.kill(id, 'SIGCONT');
    await until('it runs', () => readFileSync(lab.consoleOf(id), 'utf8') === 'ready\n');
    await lab.godwit.kill(id, 'SIGSTOP');
    const pid = await processOf(id, 2);
    await until('it is stopped', () => statOf(pid).state === 'T');
    expect(within(await stacks(id), 'exchange')).toHaveLength(1);
    for (const tid of threadsOf(pid)) expect([tid, statOf(pid, tid).state]).toEqual([tid, 'T']);
    await lab.godwit.kill(id, 'SIGKILL');
  });

  it('moves meanwhile, and its stacks are read wherever it comes to', async () => {
    const id = await lab.launched([ranks, '4', '8', '0']);
    for (const node of ['node2', 'node3', 'node1']) {
      const read = async () => {
        for (let times = 0; times < 2; times++)
          // Those that have just come may be about to call again, and stand apart.
          expect(within(await stacks(id), 'exchange').flatMap(({ threads }) => threads)).toHaveLength(32);
      };
      await Promise.all([read(), lab.godwit.migrate(id, node)]);
    }
  });
});

describe('a reader of stacks that is killed', () => {
  /** The helper, and who it has started last: who holds the processes, or who becomes gdb. */
  function family(helper: ChildProcess): number[] {
    const found = [helper.pid!];
    for (const parent of found) {
      try {
        const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8');
        found.push(...children.split(' ').filter(Boolean).map(Number));
      } catch {
        // It has ended.
      }
    }
    return found;
  }

  it('at any time: all threads of the job run on', async () => {
    const id = await lab.launched([ranks, '1', '40', '2']);
    const [init, pid] = await Promise.all([processOf(id, 1), processOf(id, 2)]);
    const args = ['--init', `${init}`, '--uid', '0', '--script', '/dev/null', '--seconds', '60'];
    const processes = Array.from({ length: 40 }, () => ['--process', '2']).flat();
    let caught = 0;
    for (let round = 0; round < 60; round++) {
      // All on one processor, so that a kill meets them anywhere.
      const helper = spawn(
        inProject('dist/godwit-helper'),
        ['take-stacks', ...args, ...processes, '--', 'true'],
        {
          stdio: 'ignore',
        },
      );
      const ended = once(helper, 'exit');
      await until('it has begun', () => family(helper).length > 1 || helper.exitCode !== null);
      await sleep(round % 6);
      const victims = family(helper).slice(1);
      const held = threadsOf(pid).filter((tid) => statOf(pid, tid).state === 't');
      if (held.length > 0) caught++;
      // The process that starts the two reaps them: what has ended and is not reaped holds the job's namespace.
      const victim = victims[0];
      if (victim !== undefined)
        try {
          process.kill(victim, 'SIGKILL');
        } catch {
          // It was faster.
        }
      await ended;
      await until('no process is held', () =>
        threadsOf(pid).every((tid) => !'tT'.includes(statOf(pid, tid).state)),
      );
    }
    expect(caught).toBeGreaterThan(0);
    const [busy] = threadsOf(pid).filter((tid) => statOf(pid, tid).comm === 'solving');
    const before = statOf(pid, busy).ticks;
    await until('it computes', () => statOf(pid, busy).ticks > before);
    expect(within(await stacks(id), 'exchange')[0]!.threads).toHaveLength(40);
  });
});
