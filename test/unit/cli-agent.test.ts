import { describe, expect, it } from 'vitest';
import { ask, askThroughRestarts } from '../../agent/client/agent';
import { FakeAgent, FakeJob } from './cli-fixture';

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error) => error,
  );

describe('an agent that does not come back', () => {
  it('is given up in the end, and said so', async () => {
    const agent = await FakeAgent.start();
    await agent.stop();
    const before = performance.now();
    const error = await failure(
      askThroughRestarts(agent.path, async () => 1, { accepted: true, giveUpMs: 1_000 }),
    );
    expect(error).toMatchObject({ code: 'agent-gone' });
    expect(error.toLine()).toMatch(/^the agent at \S+ has not come back for 1 s: .*; jobs run on without it/);
    expect(performance.now() - before).toBeGreaterThan(1_000);
  });

  it('is given up too where it ends at each question', async () => {
    const job = new FakeJob();
    const agent: FakeAgent = await FakeAgent.start(job.answers(() => agent));
    agent.answer({
      'jobs.wait': async () => {
        void agent.restart();
        return new Promise(() => {});
      },
    });
    const error = await failure(
      askThroughRestarts(agent.path, (asked) => asked.call('jobs.wait', { job: 'sim' }), { giveUpMs: 600 }),
    );
    expect(error).toMatchObject({ code: 'agent-gone' });
    expect(agent.calls.length).toBeGreaterThan(2);
    expect(agent.calls.length).toBeLessThan(10);
  });
});

it('asks once what is not to be done twice', async () => {
  const agent = await FakeAgent.start();
  agent.answer({
    'jobs.kill': async () => {
      void agent.restart();
      return new Promise(() => {});
    },
  });
  const error = await failure(
    ask(agent.path, (asked) => asked.call('jobs.kill', { job: 'sim', signal: 'SIGTERM' })),
  );
  expect(error).toMatchObject({ code: 'connection-lost', fix: expect.stringContaining('godwit history') });
  expect(agent.calls).toHaveLength(1);
});
