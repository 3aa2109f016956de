/** What keeps an agent up where no systemd is: `godwit agent --start` and `--stop`. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { killPid, startOf } from '../../agent/machine/proc/identity';
import { Godwit } from '../support/godwit';
import { LoneNode } from '../support/lone-node';
import { inProject } from '../support/project';

/** As long as a busy machine may take; what is waited for comes in a second. */
const SOON = { timeout: 120_000, interval: 50 };
let count = 0;
let node: LoneNode;
let godwit: Godwit;
let ours: ChildProcess | null = null;

beforeEach(async () => {
  node = await LoneNode.make(`t${process.pid}-service${count++}`);
  godwit = new Godwit({ agent: node.socket });
});
afterEach(async () => {
  ours?.kill('SIGKILL');
  ours = null;
  for (const { id, state } of await godwit.jobs().catch(() => []))
    if (state !== 'ended') await godwit.kill(id).catch(() => {});
  await vi.waitFor(async () => expect(await node.agent('--stop')).toMatchObject({ status: 0 }), SOON);
  expect(node.traces()).toEqual([]);
  node.remove();
});

const start = () => node.agent('--start', '--no-service');
/** The agent that answers next; there may be none for a moment. */
const anotherAgent = (before: number) =>
  vi.waitFor(async () => {
    expect(node.pid('agent')).not.toBe(before);
    await godwit.jobs();
    return node.pid('agent');
  }, SOON);
const lives = async (pid: number) => (await startOf(pid)) !== null;

describe('an agent that is kept up without systemd', () => {
  it('is started detached, and the person is told what to have run at each boot', async () => {
    const { status, stdout } = await start();
    expect(status).toBe(0);
    const [said, boot] = stdout.trim().split('\n');
    expect(said).toBe(`started the agent, its log is ${node.folder}/state/agent.log`);
    const [, command] = /have this run at each boot: (.*)$/.exec(boot!)!;
    expect(await godwit.jobs()).toEqual([]);
    const before = node.pid('agent');
    // What was told starts nothing where all is up, and all of it after a boot.
    const atBoot = () => once(spawn('sh', ['-c', command!], { stdio: 'ignore' }), 'exit');
    expect(await atBoot()).toEqual([0, null]);
    expect(node.pid('agent')).toBe(before);
    await node.agent('--stop');
    expect(node.traces()).toEqual([]);
    expect(await atBoot()).toEqual([0, null]);
    expect(await godwit.jobs()).toEqual([]);
  });

  it('is up again when it was killed, its keeper and a job untouched', async () => {
    await start();
    const job = await godwit.run(['sleep', '1000']);
    const [agent, keeper] = [node.pid('agent'), node.pid('keeper')];
    killPid(agent);
    await anotherAgent(agent);
    expect(node.pid('keeper')).toBe(keeper);
    expect(await lives(keeper)).toBe(true);
    expect(await godwit.job(job.id)).toMatchObject({ state: 'running', pid: job.pid });
  });

  it('is up again after its supervisor and it were killed, by the same command', async () => {
    await start();
    const job = await godwit.run(['sleep', '1000']);
    for (const of of ['supervisor', 'agent'] as const) killPid(node.pid(of));
    await vi.waitFor(async () => expect(await godwit.jobs().catch(() => 'none')).toBe('none'), SOON);
    expect(await start()).toMatchObject({ status: 0 });
    expect(await godwit.job(job.id)).toMatchObject({ state: 'running', pid: job.pid });
  });

  it('is started anew when asked to, under a job', async () => {
    expect(await node.agent('--restart')).toMatchObject({ status: 0, stdout: '' });
    await start();
    const job = await godwit.run(['sleep', '1000']);
    const agent = node.pid('agent');
    expect(await node.agent('--restart')).toMatchObject({ status: 0 });
    await anotherAgent(agent);
    expect(await godwit.job(job.id)).toMatchObject({ state: 'running', pid: job.pid });
  });

  it('is not ended while jobs run on it', async () => {
    await start();
    const job = await godwit.run(['sleep', '1000']);
    const agent = node.pid('agent');
    const { status, stderr } = await node.agent('--stop');
    expect([status, stderr]).toEqual([1, expect.stringContaining(`jobs run on ${node.name}`)]);
    expect(node.pid('agent')).toBe(agent);
    expect(await godwit.job(job.id)).toMatchObject({ state: 'running', pid: job.pid });
  });

  it('is not a second one beside what a person has started', async () => {
    ours = spawn(process.execPath, [inProject('dist', 'godwit.cjs'), 'agent', '--config', node.config], {
      stdio: 'ignore',
    });
    await vi.waitFor(() => godwit.jobs(), SOON);
    for (const option of ['--start', '--stop'])
      expect(await node.agent(option)).toMatchObject({
        status: 1,
        stderr: expect.stringContaining('started by a person'),
      });
    ours.kill('SIGTERM');
    await once(ours, 'exit');
  });

  it('that can’t start says why', async () => {
    const config = JSON.parse(readFileSync(node.config, 'utf8'));
    writeFileSync(node.config, JSON.stringify({ ...config, tls: { ...config.tls, key: '/no/such.key' } }));
    const { status, stderr } = await start();
    expect([status, stderr]).toEqual([1, expect.stringMatching(/does not start: .*no\/such\.key/)]);
  });
});
