import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { jobEnded, nodeUnreachable, noSuchJob } from '../../agent/api/errors';
import { FakeAgent, FakeJob, type Run, until } from './cli-fixture';

async function scene() {
  const job = new FakeJob();
  const agent: FakeAgent = await FakeAgent.start(job.answers(() => agent));
  return { job, agent };
}

const has = (run: Run, text: string) => until(() => run.stdout.includes(text), `"${text}" on stdout`);

describe('a job in the foreground', () => {
  it.each([
    ['its status', 0, null],
    ['its status', 7, null],
    ['the status of its signal', 143, 'SIGTERM'],
  ])('prints what it prints, and ends with %s', async (_, exit, signal) => {
    const { job, agent } = await scene();
    const run = agent.run(['run', '--', 'sim']);
    job.print('one\n');
    await has(run, 'one\n');
    job.print('two, without an end of line');
    job.end(exit, signal);
    expect(await run.status()).toBe(exit);
    expect(run.stdout).toBe('one\ntwo, without an end of line');
    expect(run.stderr).toBe('');
  });

  it('says how to go on with one that is stopped', async () => {
    const { job, agent } = await scene();
    job.end();
    const { status, stdout, stderr } = await agent.godwit(['run', '--stopped', '--', 'sim']);
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
    expect(stderr).toMatch(/^godwit: job abcdefghij is stopped on node2 [^\n]*`godwit gdb abcdefghij`\n$/);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('passes %s on, once', async (signal) => {
    const { job, agent } = await scene();
    const run = agent.run(['run', '--', 'sim']);
    job.print('up\n');
    await has(run, 'up\n');
    run.child.kill(signal);
    await until(() => agent.params('jobs.kill').length > 0);
    job.print('down\n');
    job.end(5);
    expect(await run.status()).toBe(5);
    expect(run.stdout).toBe('up\ndown\n');
    expect(run.stderr).toBe('');
    expect(agent.params('jobs.kill')).toEqual([{ job: 'abcdefghij', signal }]);
  });

  it('is left alone at the second signal', async () => {
    const { job, agent } = await scene();
    const run = agent.run(['run', '--', 'sim']);
    job.print('up\n');
    await has(run, 'up\n');
    run.child.kill('SIGINT');
    await until(() => agent.params('jobs.kill').length > 0);
    run.child.kill('SIGINT');
    expect(await run.status()).toBe(130);
    expect(run.stderr).toMatch(/^godwit: job abcdefghij runs on; [^\n]+\n$/);
    expect(agent.params('jobs.kill')).toHaveLength(1);
  });

  it('gets a signal that came while it was launched', async () => {
    const { job, agent } = await scene();
    const { 'jobs.run': launch } = job.answers(() => agent);
    let launching = () => {};
    const launched = new Promise<void>((resolve) => {
      launching = resolve;
    });
    agent.answer({
      'jobs.run': async (params, caller) => {
        await launched;
        return launch!(params, caller);
      },
      'jobs.kill': ({ signal }) => {
        job.end(130, signal);
        return { id: job.id };
      },
    });
    const run = agent.run(['run', '--', 'sim']);
    await until(() => agent.params('jobs.run').length > 0);
    run.child.kill('SIGINT');
    await sleep(100);
    launching();
    expect(await run.status()).toBe(130);
    expect(run.stderr).toBe('');
    expect(agent.params('jobs.kill')).toEqual([{ job: 'abcdefghij', signal: 'SIGINT' }]);
  });

  it.each([
    ['too late', jobEnded('abcdefghij'), ''],
    [
      'in vain',
      noSuchJob('abcdefghij'),
      'godwit: SIGINT did not reach job abcdefghij: no job "abcdefghij"\n',
    ],
  ])('is signalled %s', async (_, refusal, told) => {
    const { job, agent } = await scene();
    agent.answer({
      'jobs.kill': () => {
        throw refusal;
      },
    });
    const run = agent.run(['run', '--', 'sim']);
    job.print('up\n');
    await has(run, 'up\n');
    run.child.kill('SIGINT');
    await until(() => agent.params('jobs.kill').length > 0);
    await sleep(50);
    job.end(0);
    expect(await run.status()).toBe(0);
    expect(run.stderr).toBe(told);
  });
});

describe('the console', () => {
  it('is what there is now', async () => {
    const { job, agent } = await scene();
    job.print(randomBytes(700_000));
    const run = agent.run(['logs', 'sim']);
    expect(await run.status()).toBe(0);
    expect(run.bytes.equals(job.console)).toBe(true);
  });

  it('of a job that does not exist', async () => {
    const { agent } = await scene();
    agent.answer({
      'jobs.console': () => {
        throw noSuchJob('sim');
      },
    });
    for (const args of [
      ['logs', 'sim'],
      ['logs', '-f', 'sim'],
    ]) {
      const { status, stderr } = await agent.godwit(args);
      expect({ status, stderr }).toEqual({ status: 1, stderr: `godwit: ${noSuchJob('sim').toLine()}\n` });
    }
  });

  it("is not waited for when the job's home is away from the beginning", async () => {
    const { agent } = await scene();
    agent.answer({
      'jobs.console': () => {
        throw nodeUnreachable('node2', 'no answer');
      },
    });
    const { status, stderr } = await agent.godwit(['logs', '-f', 'sim']);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^godwit: node node2 can't be reached/);
    expect(agent.calls).toHaveLength(1);
  });

  it('ends quietly when its reader has gone', async () => {
    const { job, agent } = await scene();
    for (const args of [
      ['logs', '-f', 'sim'],
      ['run', '--', 'sim'],
    ]) {
      const run = agent.run(args);
      job.print('one\n');
      await has(run, 'one\n');
      run.child.stdout!.destroy();
      job.print('two\n');
      expect(await run.status()).toBe(141);
      expect(run.stderr).toBe('');
    }
  });
});

describe('an agent that restarts', () => {
  it.each([
    ['logs', ['logs', '-f', 'sim'], 0],
    ['run', ['run', '--', 'sim'], 9],
  ])('%s: each byte once', async (_, args, expected) => {
    const { job, agent } = await scene();
    const run = agent.run(args);
    for (let round = 0; round < 4; round++) {
      job.print(randomBytes(300_000));
      // Cut in the middle of it, at its end, while there is no agent.
      if (round !== 1) await until(() => run.bytes.length > job.console.length - 290_000);
      if (round === 2) await until(() => run.bytes.length === job.console.length);
      await agent.stop();
      job.print(`round ${round}\n`);
      await sleep(round * 100);
      await agent.start();
    }
    job.print('the end');
    job.end(9);
    expect(await run.status()).toBe(expected);
    expect(run.stderr).toBe('');
    expect(run.bytes.length).toBe(job.console.length);
    expect(run.bytes.equals(job.console)).toBe(true);
    expect(new Set(job.offsets).size).toBeGreaterThan(2);
    expect(agent.params('jobs.run').length).toBeLessThanOrEqual(1);
  });

  it('logs -f goes on with the job that it began with', async () => {
    const { job, agent } = await scene();
    const run = agent.run(['logs', '-f', 'sim']);
    job.print('one\n');
    await has(run, 'one\n');
    await agent.restart();
    await until(() => agent.params('jobs.console').length > 1);
    job.end();
    expect(await run.status()).toBe(0);
    expect(agent.params('jobs.console')).toEqual([
      { job: 'sim', offset: 0, follow: true },
      { job: 'abcdefghij', offset: 4, follow: true },
    ]);
  });

  it("run: the home's agent takes its time", async () => {
    const { job, agent } = await scene();
    const { 'jobs.console': open } = job.answers(() => agent);
    const run = agent.run(['run', '--', 'sim']);
    job.print('one\n');
    await has(run, 'one\n');
    let refused = 0;
    agent.answer({
      'jobs.console': (params, caller) => {
        if (++refused <= 3) throw nodeUnreachable('node1', 'it is coming up');
        return open!(params, caller);
      },
    });
    await agent.restart();
    job.print('two\n');
    job.end(4);
    expect(await run.status()).toBe(4);
    expect(run.stdout).toBe('one\ntwo\n');
  });

  it('wait', async () => {
    const { job, agent } = await scene();
    const run = agent.run(['wait', 'sim']);
    for (let round = 1; round < 4; round++) {
      await until(() => agent.params('jobs.wait').length === round);
      await agent.stop();
      await sleep(150);
      await agent.start();
    }
    await until(() => agent.params('jobs.wait').length === 4);
    job.end(137, 'SIGKILL');
    expect(await run.status()).toBe(137);
    expect(run.stdout).toBe('job abcdefghij was ended by SIGKILL\n');
    expect(run.stderr).toBe('');
  });

  it('a signal reaches the job all the same', async () => {
    const { job, agent } = await scene();
    const run = agent.run(['run', '--', 'sim']);
    job.print('up\n');
    await has(run, 'up\n');
    await agent.stop();
    run.child.kill('SIGTERM');
    await sleep(200);
    await agent.start();
    await until(() => agent.params('jobs.kill').length > 0);
    job.end(143, 'SIGTERM');
    expect(await run.status()).toBe(143);
  });

  it('and knows nothing of the job any more', async () => {
    const { job, agent } = await scene();
    const run = agent.run(['wait', 'sim']);
    await until(() => agent.params('jobs.wait').length === 1);
    agent.answer({
      'jobs.wait': () => {
        throw noSuchJob('sim');
      },
    });
    await agent.restart();
    expect(await run.status()).toBe(1);
    expect(run.stderr).toBe(`godwit: ${noSuchJob('sim').toLine()}\n`);
    expect(job.offsets).toEqual([]);
  });
});
