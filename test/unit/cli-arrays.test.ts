/** The command on arrays and on what is queued: what it asks of an agent, what it prints, with which status it exits. */
import { describe, expect, it } from 'vitest';
import { GodwitError, isArray } from '../../agent/api/errors';
import { aJob, aReport, FakeAgent, FakeJob } from './cli-fixture';

const IDS = ['aaaaaaaaaa', 'bbbbbbbbbb', 'cccccccccc'];
const STAGES = ['over', 'living', 'queued'] as const;
const refuse = () => {
  throw isArray('sweep', 3);
};
const array = {
  ...{ id: 'sweepsweep', name: 'sweep', count: 3 },
  jobs: IDS.map((id, index) => ({ id, name: `sweep.${index}`, index, stage: STAGES[index]! })),
};
const found = { 'jobs.array': () => ({ array }) };
/** An array by its name, one job by its id. */
const either =
  <P extends { job: string }, R>(answer: (params: P) => R) =>
  (params: P) =>
    params.job === 'sweep' ? refuse() : answer(params);

describe('run', () => {
  it('--count asks for an array, and prints its id', async () => {
    const jobs = IDS.map((id) => ({ id, name: id, home: 'node1', node: 'node2', pid: 2 }));
    const agent = await FakeAgent.start({ 'jobs.runArray': () => ({ id: array.id, name: 'x', jobs }) });
    const words = ['run', '--detach', '--count', '3', '--queue', '--name', 'sweep'];
    expect(await agent.godwit([...words, '--', 'true'])).toMatchObject({ status: 0, stdout: 'sweepsweep\n' });
    expect(agent.params('jobs.runArray')).toMatchObject([{ count: 3, queue: true, name: 'sweep' }]);
    const { stdout } = await agent.godwit([...words, '--json', '--', 'true']);
    expect(JSON.parse(stdout)).toEqual({ id: 'sweepsweep', jobs });
  });

  it('--count prints lines with their job’s index, and exits with the highest status', async () => {
    const jobs = IDS.map((id) => new FakeJob(id));
    const of = (id: string) => jobs.find((job) => job.id === id)!.answers(() => agent);
    const agent = await FakeAgent.start({
      'jobs.runArray': () => ({
        ...{ id: array.id, name: 'sweep' },
        jobs: IDS.map((id) => ({ id, name: id, home: 'node1', node: 'node1', pid: 2 })),
      }),
      'jobs.console': (params, caller) => of(params.job)['jobs.console']!(params, caller),
      'jobs.wait': (params, caller) => of(params.job)['jobs.wait']!(params, caller),
    });
    const run = agent.run(['run', '--count', '3', '--', 'true']);
    jobs.forEach((job, at) => {
      job.print(`line ${at}\nrest ${at}`);
      job.end([1, 7, 0][at]!);
    });
    expect(await run.status()).toBe(7);
    const lines = run.stdout.split('\n').filter(Boolean).sort();
    expect(lines).toEqual([0, 1, 2].flatMap((at) => [`${at}: line ${at}`, `${at}: rest ${at}`]));
  });

  it('--queue says that it waits', async () => {
    const job = new FakeJob();
    const agent = await FakeAgent.start({});
    const queued = { position: 3, since: '2027-03-05T12:00:00.000Z', why: 'no CPU is free on node1' };
    agent.answer({
      ...job.answers(() => agent),
      'jobs.run': () => aJob({ id: job.id, queued, state: 'starting' }),
    });
    job.end(0);
    const { status, stderr } = await agent.godwit(['run', '--queue', '--', 'true']);
    expect([status, stderr]).toEqual([
      0,
      `godwit: job ${job.id} is queued, number 3: it begins when a node has room\n`,
    ]);
  });

  it.each([
    [['--count', '0'], /whole number/],
    [['--count', '1001', '--detach'], /1000 jobs at most/],
    [['--count', '101'], /add --detach/],
    [['--count', '2', '--tty'], /--tty does not go with --count/],
    [['--count', '2', '--json'], /add --detach/],
  ])('refuses %j', async (options, why) => {
    const agent = await FakeAgent.start({});
    const { status, stderr } = await agent.godwit(['run', ...options, '--', 'true']);
    expect([status, stderr]).toEqual([2, expect.stringMatching(why)]);
    expect(agent.calls).toEqual([]);
  });
});

describe('on an array', () => {
  it('kill takes out what is queued before it ends what runs', async () => {
    const agent = await FakeAgent.start({ ...found, 'jobs.kill': either(({ job }) => ({ id: job })) });
    expect(await agent.godwit(['kill', 'sweep', '-s', 'INT'])).toMatchObject({
      ...{ status: 0, stdout: 'SIGINT sent to the jobs of array sweep\n' },
    });
    const killed = agent.params('jobs.kill').map((params) => (params as { job: string }).job);
    expect(killed).toEqual(['sweep', 'cccccccccc', 'bbbbbbbbbb']);
  });

  it('wait gives the end of each, and the highest status', async () => {
    const ends = [0, 3, 1];
    const agent = await FakeAgent.start({
      ...found,
      'jobs.wait': either(({ job }) => ({ id: job, exit: ends[IDS.indexOf(job)]!, signal: null })),
    });
    const { status, stdout } = await agent.godwit(['wait', 'sweep', '--json']);
    expect(status).toBe(3);
    expect(JSON.parse(stdout)).toEqual({
      ...{ id: 'sweepsweep', exit: 3, signal: null },
      jobs: IDS.map((id, at) => ({ id, exit: ends[at], signal: null })),
    });
  });

  it('a job that is lost counts as failed, and is named', async () => {
    const agent = await FakeAgent.start({
      ...found,
      'jobs.wait': either(({ job }) => {
        if (job === IDS[1]) throw new GodwitError({ code: 'job-lost', message: `job ${job} is lost` });
        return { id: job, exit: 0, signal: null };
      }),
    });
    const { status, stdout, stderr } = await agent.godwit(['wait', 'sweep']);
    expect([status, stdout]).toEqual([1, 'array sweep has ended: 1 of its 3 jobs failed\n']);
    expect(stderr).toBe('godwit: job bbbbbbbbbb is lost\n');
  });

  it('migrate moves those that run, and pin is for those that are queued, too', async () => {
    const agent = await FakeAgent.start({
      ...found,
      'jobs.migrate': either(({ job }) => aReport({ job })),
      'jobs.pin': either(({ job }) => ({ id: job })),
    });
    const moved = await agent.godwit(['migrate', 'sweep', 'node2', '--json']);
    expect(JSON.parse(moved.stdout)).toEqual([aReport({ job: 'bbbbbbbbbb' })]);
    expect(await agent.godwit(['pin', 'sweep', '--json'])).toMatchObject({
      ...{ status: 0, stdout: '{"id":"sweepsweep","pinned":true}\n' },
    });
    expect(agent.params('jobs.pin')).toHaveLength(3);
  });

  it('what is refused for one of its jobs is said, and the others are done', async () => {
    const agent = await FakeAgent.start({
      ...found,
      'jobs.pin': either(({ job }) => {
        if (job === IDS[1])
          throw new GodwitError({ code: 'not-yours', message: 'it is another’s', fix: 'ask' });
        return { id: job };
      }),
    });
    const { status, stdout, stderr } = await agent.godwit(['unpin', 'sweep']);
    expect([status, stdout, stderr]).toEqual([1, '', 'godwit: sweep.1: it is another’s; ask\n']);
  });

  it('a verb for one job says so', async () => {
    const agent = await FakeAgent.start({ 'jobs.placed': refuse });
    const { status, stderr } = await agent.godwit(['why', 'sweep']);
    expect([status, stderr]).toEqual([
      1,
      'godwit: sweep is an array of 3 jobs; name one of them, like sweep.0\n',
    ]);
  });

  it('ps shows its jobs in their order, with their places in the queue', async () => {
    const queued = { position: 2, since: '2027-03-05T12:00:00.000Z', why: 'others come first' };
    const part = (index: number) => ({ id: 'sweepsweep', name: 'sweep', index, count: 3 });
    const jobs = [
      aJob({ id: IDS[2]!, name: 'sweep.2', array: part(2), state: 'starting', queued }),
      aJob({ id: 'other00000' }),
      aJob({ id: IDS[0]!, name: 'sweep.0', array: part(0) }),
    ];
    const agent = await FakeAgent.start({
      ...{ ...found, 'jobs.show': refuse, 'jobs.list': () => ({ jobs, next: null }) },
    });
    const { stdout } = await agent.godwit(['ps', 'sweep']);
    const [titles, ...rows] = stdout.trim().split('\n');
    expect(titles).toMatch(/^ID +NAME +ARRAY +USER +STATE/);
    expect(rows[0]).toMatch(/^aaaaaaaaaa +sweep\.0 +sweepsweep +root +running +node1 +node2 /);
    expect(rows[1]).toMatch(/^cccccccccc +sweep\.2 +sweepsweep +root +queued 2 +node1 +- /);
    expect(rows).toHaveLength(2);
    const shown = JSON.parse((await agent.godwit(['ps', 'sweep', '--json'])).stdout);
    expect(shown[1]).toMatchObject({ state: 'starting', queued });
  });
});
