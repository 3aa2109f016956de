/** Jobs that move by themselves, on nodes of which one has four times as much CPU as another; and what people decide. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { HistoryEvent } from '../../agent/api/model';
import { cgroupName, nodePaths } from '../../agent/lab/description';
import { restartAgent } from '../../agent/lab/lab';
import { findController, quotaMembers } from '../../agent/lab/quota';
import { godwitOf } from '../support/as-user';
import { Godwit } from '../support/godwit';
import { LabOfJobs } from '../support/lab-of-jobs';
import { untilWithin } from '../support/until';

const LIMIT_MS = 600_000;
/** Nodes have a fraction of a CPU, of which moves take their part, on a machine that may be busy. */
const SOON_MS = 300_000;
const ANN = 'nobody';
const BUSY = ['sh', '-c', 'echo ready; while :; do :; done'];
/** It has what does not move. */
const STUCK = [
  'python3',
  '-c',
  'import os, time; os.eventfd(1, os.EFD_SEMAPHORE); print("ready", flush=True); time.sleep(1e6)',
];
const ASLEEP = ['sh', '-c', 'echo ready; exec sleep 1000000'];

const lab = new LabOfJobs('balance', { cpus: [0.8, 0.4, 0.2], users: [ANN] });
const say = (...words: string[]) => lab.godwit.text(words, LIMIT_MS);

const until = untilWithin(SOON_MS);
const onNode = async (node: string, jobs: readonly string[]) =>
  (await lab.godwit.jobs()).filter(
    (job) => jobs.includes(job.id) && job.node === node && job.state !== 'ended',
  );
/** The first that is on record; it is written after the job has been told of as being there. */
async function moveTo(godwit: Godwit, node: string, jobs: readonly string[]): Promise<HistoryEvent> {
  let told: HistoryEvent | undefined;
  await until(`a move to ${node} is on record`, async () => {
    const events = (await Promise.all(jobs.map((job) => godwit.history(job)))).flat();
    told = events.find(({ event, move }) => event === 'move-finished' && move?.to === node);
    return told !== undefined;
  });
  return told!;
}
const movesOf = async (jobs: readonly string[]) =>
  (await lab.godwit.jobs())
    .filter(({ id }) => jobs.includes(id))
    .reduce((sum, job) => sum + job.migrations, 0);
const many = (count: number, argv: string[], options = {}) =>
  Promise.all(Array.from({ length: count }, () => lab.launched(argv, options)));

/** A program that is no job, under the node's quota. */
async function hog(node: string): Promise<ChildProcess> {
  const child = spawn('sh', ['-c', 'read go; while :; do :; done'], { stdio: ['pipe', 'ignore', 'ignore'] });
  const members = await quotaMembers(await findController(), cgroupName(lab.name, node));
  writeFileSync(members, `${child.pid}`);
  child.stdin!.write('go\n');
  return child;
}

describe('without being told to', () => {
  it('no job moves, and it is said why', { timeout: LIMIT_MS }, async () => {
    const jobs = await many(3, BUSY);
    expect(await lab.godwit.placed(jobs[0]!)).toMatchObject({ node: 'node1', because: 'off', lasting: true });
    expect(await say('balance')).toMatch(/^node1 +off /m);
    // All begin at home, though two nodes have nothing to do.
    expect((await onNode('node1', jobs)).length).toBe(3);
    expect(await movesOf(jobs)).toBe(0);
  });
});

describe('where balance is on', () => {
  it('jobs of one node spread to where they run best, one by one, and it is said why', {
    timeout: LIMIT_MS,
  }, async () => {
    // With one fewer or two, node3 would be hardly better than what is left of node1 then.
    const jobs = await many(8, BUSY, { on: 'home' });
    await say('balance', 'on');
    await until('a job runs on node2', async () => (await onNode('node2', jobs)).length > 0);
    await until('a job runs on node3', async () => (await onNode('node3', jobs)).length > 0);
    // Not more than have it better there: 0.4 and 0.2 of 1.4 CPUs.
    expect((await onNode('node1', jobs)).length).toBeGreaterThanOrEqual(2);
    const told = await moveTo(lab.godwit, 'node2', jobs);
    expect(told.reason).toMatch(/times as long on node1 as alone, and .* times on node2; moving takes/);
    // One that is about to move says that instead.
    await until('one says why it stays', async () => {
      const { text } = await lab.godwit.placed((await onNode('node1', jobs))[0]!.id);
      return /node1: [\d.]+ times as long as alone, cost/.test(text);
    });
  });

  it('a launch begins where it runs best', { timeout: LIMIT_MS }, async () => {
    const demand = async () => (await lab.godwit.nodes())[0]!.demand ?? 0;
    // What ran here before is still in it for some seconds.
    await until('node1 says that it is idle', async () => (await demand()) < 0.5);
    await say('balance', 'on');
    const first = await many(2, BUSY, { on: 'home' });
    await until('node1 says that it is busy', async () => (await demand()) > 1.5);
    const next = await lab.launched(BUSY);
    expect((await lab.godwit.job(next)).node).not.toBe('node1');
    expect(await onNode('node1', first)).not.toEqual([]);
  });

  it('a job leaves a node on which something else begins to run; a pinned one stays', {
    timeout: LIMIT_MS,
  }, async () => {
    await say('balance', 'on');
    const jobs = await many(2, BUSY, { on: 'node2' });
    await say('pin', jobs[1]!);
    const hogs = await Promise.all([1, 2, 3].map(() => hog('node2')));
    try {
      await until('the job has left', async () => (await onNode('node2', jobs)).length === 1);
      expect((await onNode('node2', jobs))[0]!.id).toBe(jobs[1]);
      expect(await lab.godwit.placed(jobs[1]!)).toMatchObject({ because: 'pinned', lasting: true });
    } finally {
      for (const child of hogs) {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
    }
  });
});

describe('a job that lives on the files of its home', () => {
  const READS = 'print("ready", flush=True)\nwhile True:\n  with open("/etc/passwd") as file: file.read()';

  it('comes back to them, though its home is slower; one that computes does not', {
    timeout: LIMIT_MS,
  }, async () => {
    await say('balance', 'off');
    const home = new Godwit({ agent: nodePaths(lab.name, 'node2').agent.socket });
    const options = { on: 'node1', cwd: '/' };
    const reads = await home.run(['python3', '-c', READS], options);
    const computes = await home.run(['python3', '-c', 'while True: pass'], options);
    await say('balance', 'on', 'node2');
    await until('it is at its home', async () => (await lab.godwit.job(reads.id)).node === 'node2');
    const moved = await moveTo(home, 'node2', [reads.id]);
    expect(moved.reason).toContain('on node1 as alone, where it waits for its files, and');
    expect((await lab.godwit.job(computes.id)).node).toBe('node1');
    for (const { id } of [reads, computes]) await home.kill(id);
  });
});

describe('a drained node', () => {
  it('is empty when `drain` returns, and stays so through a restart until `undrain`', {
    timeout: LIMIT_MS,
  }, async () => {
    await say('balance', 'off');
    const jobs = await many(2, ASLEEP, { on: 'node2' });
    expect(await say('drain', 'node2')).toBe('node2 is empty\n');
    expect(await onNode('node2', jobs)).toEqual([]);
    await restartAgent(lab.name, 'node2');
    await until('node2 is shown as drained', async () => (await lab.godwit.nodes())[1]!.state === 'draining');
    await expect(lab.godwit.run(ASLEEP, { on: 'node2' })).rejects.toThrow(
      /node2 is drained: no job comes to it/,
    );
    await expect(lab.godwit.migrate(jobs[0]!, 'node2')).rejects.toThrow(
      /node2 is drained: no job comes to it/,
    );
    expect((await lab.godwit.history(jobs[0]!)).filter(({ event }) => event === 'move-intent')).toHaveLength(
      1,
    );
    await say('undrain', 'node2');
    expect((await lab.godwit.migrate(jobs[0]!, 'node2')).to).toBe('node2');
  });

  it('is not empty where a job is pinned, or has what does not move, which is said', {
    timeout: LIMIT_MS,
  }, async () => {
    const [pinned] = await many(1, ASLEEP, { on: 'node3' });
    await say('pin', pinned!);
    const [stuck] = await many(1, STUCK, { on: 'node3' });
    await expect(say('drain', 'node3')).rejects.toMatchObject({ status: 1 });
    expect((await onNode('node3', [pinned!, stuck!])).length).toBe(2);
    expect((await lab.godwit.placed(pinned!)).because).toBe('pinned');
    expect(await lab.godwit.placed(stuck!)).toMatchObject({ because: 'set-back', lasting: true });
    expect((await lab.godwit.placed(stuck!)).text).toMatch(/EFD_SEMAPHORE/);
    // Nothing was frozen for it.
    expect((await lab.godwit.history(stuck!)).map(({ event }) => event)).toEqual(['launched']);
    await say('undrain', 'node3');
  });
});

describe('a person’s word', () => {
  it('`--nodes` holds at the launch and for each move', { timeout: LIMIT_MS }, async () => {
    const job = await lab.launched(ASLEEP, { nodes: ['node2', 'node3'] });
    expect(['node2', 'node3']).toContain((await lab.godwit.job(job)).node);
    await restartAgent(lab.name, 'node1');
    await expect(lab.godwit.migrate(job, 'node1')).rejects.toThrow(/is to be on node2, node3 only/);
    const { obstacles } = await lab.godwit.why(job, 'node1');
    expect(obstacles.map(({ code }) => code)).toEqual(['not-on-node']);
    await expect(lab.godwit.run(ASLEEP, { nodes: ['node9'] })).rejects.toThrow(/no node "node9"/);
    await expect(lab.godwit.run(ASLEEP, { nodes: ['node2'], on: 'node1' })).rejects.toThrow(/node2 only/);
  });

  it('`bring` brings home what is away', { timeout: LIMIT_MS }, async () => {
    const jobs = [...(await many(1, ASLEEP, { on: 'node2' })), ...(await many(1, ASLEEP, { on: 'node3' }))];
    await say('bring');
    expect((await onNode('node1', jobs)).length).toBe(2);
    expect(await say('bring')).toBe('no job is away\n');
  });

  it('`speed` counts for what is measured, until `auto`', { timeout: LIMIT_MS }, async () => {
    const speed = async () => (await lab.godwit.nodes())[0]!.speed;
    const measured = await speed();
    await say('speed', 'node1', '0.5');
    expect(await speed()).toBe(0.5);
    await say('speed', 'node1', 'auto');
    expect(await speed()).toBe(measured);
  });

  it('about nodes is root’s; a user brings home what is theirs', { timeout: LIMIT_MS }, async () => {
    const ann = godwitOf(ANN, lab.name, lab.folder);
    for (const words of [
      ['balance', 'on'],
      ['drain', 'node2'],
      ['undrain', 'node2'],
      ['speed', 'node1', '2'],
    ])
      await expect(ann.text(words)).rejects.toThrow(/is root's to ask for/);
    const [roots] = await many(1, ASLEEP, { on: 'node2' });
    const { id } = await ann.run(ASLEEP, { on: 'node2', cwd: '/' });
    expect(await ann.text(['bring'], LIMIT_MS)).toMatch(new RegExp(`^job ${id} moved from node2 to node1`));
    expect((await lab.godwit.job(roots!)).node).toBe('node2');
    await ann.kill(id);
  });
});
