/** Arrays of jobs, and jobs that wait for room, on nodes of half a CPU each. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Job } from '../../agent/api/model';
import { killAgent, restartAgent } from '../../agent/lab/lab';
import { godwitOf } from '../support/as-user';
import { type Godwit, Refused } from '../support/godwit';
import { LabOfJobs } from '../support/lab-of-jobs';
import { Terminal } from '../support/terminal';
import { untilWithin } from '../support/until';

const LIMIT_MS = 600_000;
/** Nodes have half a CPU, on a machine that may be busy. */
const SOON_MS = 300_000;
const ANN = 'nobody';
const BUSY = ['sh', '-c', 'echo ready; while :; do :; done'];
const ASLEEP = ['sh', '-c', 'echo ready; exec sleep 1000000'];

const lab = new LabOfJobs('arrays', { cpus: [0.5, 0.5, 0.5], users: [ANN] });
const say = (...words: string[]) => lab.godwit.text(words, LIMIT_MS);
const Launched = z.object({
  id: z.string(),
  jobs: z.array(
    z.object({ id: z.string(), name: z.string(), home: z.string(), node: z.string(), pid: z.int() }),
  ),
});

async function array(
  options: string[],
  argv: string[],
  by: Godwit = lab.godwit,
): Promise<z.infer<typeof Launched>> {
  const words = ['run', '--detach', '--json', '--cwd', '/', ...options, '--', ...argv];
  return Launched.parse(JSON.parse(await by.text(words, LIMIT_MS)));
}
const queued = async (options: string[], argv: string[], by: Godwit = lab.godwit): Promise<string> =>
  JSON.parse(
    await by.text(
      ['run', '--detach', '--json', '--cwd', '/', '--queue', ...options, '--', ...argv],
      LIMIT_MS,
    ),
  ).id;
const of = async (name: string): Promise<Job[]> =>
  (await lab.godwit.jobs()).filter((job) => job.array?.name === name);
const lives = ({ state }: Job) => state !== 'ended' && state !== 'lost';

const until = untilWithin(SOON_MS);

afterEach(async () => {
  // What is queued first, or it would begin.
  const left = (await lab.godwit.jobs()).filter(lives);
  for (const job of [...left.filter((one) => one.queued), ...left.filter((one) => !one.queued)])
    await lab.godwit.kill(job.id).catch(() => {});
  await until('all jobs have ended', async () => !(await lab.godwit.jobs()).some(lives));
}, LIMIT_MS);
afterAll(() => Terminal.closeAll());

describe('an array', () => {
  it('prints with the index of each, which each has in its environment; the highest status counts', {
    timeout: LIMIT_MS,
  }, async () => {
    const program = 'echo "$GODWIT_INDEX of $GODWIT_COUNT"; exit $((GODWIT_INDEX * 2))';
    const run = lab.godwit.said([
      'run',
      '--count',
      '3',
      '--name',
      'sweep',
      '--cwd',
      '/',
      '--',
      'sh',
      '-c',
      program,
    ]);
    await expect(run).rejects.toMatchObject({ status: 4 });
    const logs = await say('logs', 'sweep');
    expect(logs).toBe('0: 0 of 3\n1: 1 of 3\n2: 2 of 3\n');
    const waited = await lab.godwit.said(['wait', 'sweep', '--json']).catch((error: Refused) => error);
    expect(waited).toMatchObject({ status: 4 });
  });

  it('is known by its id and name to the verbs, which act on all of its jobs', {
    timeout: LIMIT_MS,
  }, async () => {
    const { id, jobs } = await array(['--count', '3', '--name', 'all'], ASLEEP);
    expect(jobs.map(({ name }) => name)).toEqual(['all.0', 'all.1', 'all.2']);
    expect((await of('all')).map((job) => job.array)).toEqual(
      [0, 1, 2].map((index) => ({ id, name: 'all', index, count: 3 })),
    );
    await lab.godwit.migrate(jobs[1]!.id, 'node2');
    const reports = JSON.parse(await say('migrate', 'all', 'node2', '--json'));
    // One was there already.
    expect(reports.map(({ job }: { job: string }) => job)).toEqual([jobs[0]!.id, jobs[2]!.id]);
    expect((await of('all')).map(({ node }) => node)).toEqual(['node2', 'node2', 'node2']);
    await say('pin', id.slice(0, 6));
    const refused = await say('migrate', 'all', 'node3').catch((error: Refused) => error);
    expect((refused as Refused).line).toMatch(/all\.0: .*pinned/);
    await say('unpin', 'all');
    expect((await of('all')).some(({ pinned }) => pinned)).toBe(false);
    expect(await say('history', 'all')).toMatch(/launched[\s\S]*move-finished/);
    expect(await say('stacks', 'all')).toMatch(/3 threads/);
    for (const verb of ['gdb', 'attach'])
      await expect(say(verb, 'all')).rejects.toThrow(
        /all is an array of 3 jobs; name one of them, like all\.0/,
      );
    await say('kill', 'all');
    const waited = await lab.godwit.said(['wait', id]).catch((error: Refused) => error);
    expect(waited).toMatchObject({ status: 143 });
    await expect(say('kill', 'all')).rejects.toThrow(/all jobs of array all have ended/);
  });

  it('that can not be launched is not launched in part', { timeout: LIMIT_MS }, async () => {
    await expect(array(['--count', '5', '--name', 'none'], ['/no/such/program'])).rejects.toThrow(
      /array none is not launched, as its job \d can't be: .*No such file/,
    );
    expect(await of('none')).toEqual([]);
    for (const [options, why] of [
      [['--count', '0'], /whole number/],
      [['--count', '1001'], /1000 jobs at most/],
      [['--count', '2', '--tty'], /--tty does not go with --count/],
      [['--count', '2', '--on', 'node9'], /no node "node9"/],
    ] as const)
      await expect(say('run', '--detach', ...options, '--', 'true')).rejects.toThrow(why);
    await expect(say('run', '--count', '101', '--', 'true')).rejects.toThrow(/add --detach/);
  });

  it('whose agent is killed while it launches is taken back', { timeout: LIMIT_MS }, async () => {
    const launching = array(['--count', '100', '--name', 'cut'], ASLEEP).catch((error: Refused) => error);
    await until('some of them run', async () => (await of('cut')).some(({ state }) => state === 'running'));
    await killAgent(lab.name, 'node1');
    await restartAgent(lab.name, 'node1');
    expect(await launching).toBeInstanceOf(Refused);
    await until('none of them is left', async () => !(await of('cut')).some(lives));
  });

  it('is ended whole by Ctrl-C', { timeout: LIMIT_MS }, async () => {
    const words = ['run', '--count', '4', '--queue', '--name', 'typed', '--cwd', '/', '--', ...BUSY];
    const terminal = lab.godwit.at(words, { rows: 24, columns: 80 });
    await terminal.shows(/\d: ready/);
    terminal.type('\x03');
    expect(await terminal.ended).toBe(130);
    expect((await of('typed')).filter(lives)).toEqual([]);
  });
});

describe('the queue', () => {
  it('begins as many jobs as there is room for, and the others after them, each once', {
    timeout: LIMIT_MS,
  }, async () => {
    const file = join(lab.folder, 'go');
    // Each look at a file of home's waits for home: it is to compute nearly all the time, wherever it is.
    const computes = 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done';
    const program = `echo began; while [ ! -e ${file} ]; do ${computes}; done; echo ended`;
    await array(['--count', '7', '--queue', '--name', 'many'], ['sh', '-c', program]);
    const begun = async () => (await of('many')).filter((job) => !job.queued);
    // On a machine that is busy with others' work a node may have no room for a while.
    await until('two have begun', async () => (await begun()).length >= 2);
    for (let look = 0; look < 5; look++) {
      // A job that is kept from computing by others' work leaves room for a second one.
      const waiting = (await of('many')).filter((job) => job.queued);
      expect(waiting).not.toEqual([]);
      expect(waiting.map((job) => job.queued!.position)).toEqual(waiting.map((_, at) => at + 1));
      expect(waiting.every(({ state }) => state === 'starting')).toBe(true);
      await sleep(1_000);
    }
    await until('it is said what they wait for', async () =>
      (await of('many')).some((job) => /no CPU is free on/.test(job.queued?.why ?? '')),
    );
    expect(await say('ps')).toMatch(/many\.6 +\S+ +root +queued \d /);
    writeFileSync(file, '');
    await expect(say('wait', 'many')).resolves.toMatch(/all of its jobs ended with exit status 0/);
    expect(await say('logs', 'many')).toBe(
      [0, 1, 2, 3, 4, 5, 6].map((index) => `${index}: began\n${index}: ended\n`).join(''),
    );
    const events = (await lab.godwit.history('many.6')).map(({ event }) => event);
    expect(events).toEqual(['queued', 'launched', 'ended']);
  });

  it('is there when the agent has been killed, and goes on', { timeout: LIMIT_MS }, async () => {
    const busy = await Promise.all([1, 2, 3].map((at) => lab.launched(BUSY, { on: `node${at}` })));
    const { jobs } = await array(
      ['--count', '3', '--queue', '--name', 'kept', '--env', 'A=b c'],
      [...['sh', '-c', 'echo "$A $GODWIT_INDEX"']],
    );
    await until('it is said what they wait for', async () =>
      /no CPU/.test((await of('kept'))[0]!.queued!.why),
    );
    const before = (await of('kept')).map(({ queued }) => [queued!.position, queued!.since]);
    await killAgent(lab.name, 'node1');
    await restartAgent(lab.name, 'node1');
    expect((await of('kept')).map(({ queued }) => [queued!.position, queued!.since])).toEqual(before);
    // One is waited for by a client, one is taken out.
    const waiting = lab.godwit.wait(jobs[2]!.id, LIMIT_MS);
    expect(await lab.godwit.logs(jobs[0]!.id)).toBe('');
    expect((await lab.godwit.placed(jobs[0]!.id)).because).toBe('queued');
    for (const words of [
      ['migrate', jobs[0]!.id, 'node2'],
      ['gdb', jobs[0]!.id],
      ['stacks', jobs[0]!.id],
      ['kill', jobs[0]!.id, '-s', 'USR1'],
    ])
      await expect(say(...words)).rejects.toThrow(/is queued: it has not begun/);
    await say('kill', jobs[1]!.id);
    expect(await lab.godwit.wait(jobs[1]!.id)).toMatchObject({ exit: 143, signal: 'SIGTERM' });
    for (const job of busy) await lab.godwit.kill(job);
    expect(await waiting).toMatchObject({ exit: 0 });
    await say('wait', jobs[0]!.id);
    expect(await lab.godwit.logs(jobs[0]!.id)).toBe('b c 0\n');
    expect((await lab.godwit.history(jobs[1]!.id)).map(({ event }) => event)).toEqual(['queued', 'ended']);
  });

  it('has a job wait for the node that was asked for, though others are idle', {
    timeout: LIMIT_MS,
  }, async () => {
    const busy = await lab.launched(BUSY, { on: 'node2' });
    const on = await queued(['--on', 'node2'], ASLEEP);
    const among = await queued(['--nodes', 'node2,node3'], ASLEEP);
    await until('the other has begun', async () => (await lab.godwit.job(among)).state === 'running');
    expect((await lab.godwit.job(among)).node).toBe('node3');
    expect((await lab.godwit.job(on)).queued!.why).toBe('no CPU is free on node2');
    await lab.godwit.kill(busy);
    await until('it has begun', async () => (await lab.godwit.job(on)).state === 'running');
    expect((await lab.godwit.job(on)).node).toBe('node2');
    await expect(queued(['--on', 'node9'], ASLEEP)).rejects.toThrow(/no node "node9"/);
    await expect(queued(['--on', 'node1', '--nodes', 'node2'], ASLEEP)).rejects.toThrow(/node2 only/);
  });

  it('counts what is reserved, also by jobs that sleep', { timeout: LIMIT_MS }, async () => {
    const options = ['--on', 'node3', '--cpus', '0.25'];
    const ids: string[] = [];
    for (let n = 0; n < 3; n++) ids.push(await queued(options, ASLEEP));
    const states = async () => Promise.all(ids.map(async (id) => (await lab.godwit.job(id)).state));
    await until(
      'two have begun',
      async () => (await states()).filter((one) => one === 'running').length === 2,
    );
    await sleep(3_000);
    expect(await states()).toEqual(['running', 'running', 'starting']);
    expect(await say('why', await queued(['--cpus', '2'], ASLEEP))).toMatch(/queued/);
    await until('it is said that no node is large enough', async () =>
      (await lab.godwit.jobs()).some((job) =>
        /more CPUs or memory than any node has/.test(job.queued?.why ?? ''),
      ),
    );
  });

  it('has users in turn', { timeout: LIMIT_MS }, async () => {
    const ann = godwitOf(ANN, lab.name, lab.folder);
    const busy = await lab.launched(BUSY, { on: 'node3' });
    const on = ['--on', 'node3', '--cpus', '0.5'];
    const roots = await array(['--count', '3', '--queue', ...on, '--name', 'roots'], ASLEEP);
    const anns = await queued([...on, '--name', 'anns'], ASLEEP, ann);
    const waiting = (await lab.godwit.jobs()).filter((job) => job.queued);
    waiting.sort((one, other) => one.queued!.position - other.queued!.position);
    // Who had the last turn is another test's matter.
    expect(waiting.slice(0, 2).map(({ id }) => id)).toContain(anns);
    const [first] = roots.jobs;
    expect(waiting.filter(({ id }) => id !== anns).map(({ name }) => name)).toEqual([
      'roots.0',
      'roots.1',
      'roots.2',
    ]);
    await expect(ann.kill(first!.id)).rejects.toThrow(/is root's/);
    await lab.godwit.kill(busy);
    for (const { id } of waiting.slice(0, 3)) {
      await until('the next has begun', async () => (await lab.godwit.job(id)).state === 'running');
      expect((await lab.godwit.jobs()).filter((job) => job.state === 'running')).toHaveLength(1);
      await lab.godwit.kill(id);
    }
    expect((await lab.godwit.job(anns)).user).toBe(ANN);
  });

  it('ends a job that can not be launched when its turn comes, and says why', {
    timeout: LIMIT_MS,
  }, async () => {
    const id = await queued([], ['/no/such/program']);
    const { exit, reason } = await lab.godwit.wait(id, LIMIT_MS);
    expect([exit, reason]).toEqual([
      126,
      expect.stringMatching(/no\/such\/program can't be launched: No such file/),
    ]);
    expect(await lab.godwit.logs(id)).toMatch(/^godwit: .*can't be launched: No such file .*; is it there/);
  });
});
