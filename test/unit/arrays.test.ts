/** Arrays: launched whole or not at all, found by what a person says, their output in lines with a number. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HomedArray } from '../../agent/api/array';
import { GodwitError } from '../../agent/api/errors';
import { type Job, type JobSpec, type LaunchRequest, ROOT, type User } from '../../agent/api/model';
import { each, endingOrder } from '../../agent/client/arrays';
import { Labelled } from '../../agent/client/labelled';
import { Arrays, type ArraysParts, ofPart } from '../../agent/daemon/jobs/arrays';
import { newId } from '../../agent/daemon/jobs/home';
import { resolveArray } from '../../agent/daemon/jobs/reference';
import type { HomedJob, Journal } from '../../agent/daemon/journal/journal';
import { openJournal } from '../../agent/daemon/journal/open';
import { logTo } from '../../agent/log';

const REQUEST: LaunchRequest = {
  ...{ program: '/bin/sim', args: [], cwd: '/', env: {}, node: 'auto', stopped: false, name: 'sweep' },
};

describe('an array', () => {
  let folder: string;
  let journal: Journal;
  let arrays: Arrays;
  let killed: string[];
  let failing: string | null;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'godwit-arrays-'));
    journal = openJournal(join(folder, 'journal.db'));
    killed = [];
    failing = null;
    const home = {
      specOf: (request: LaunchRequest, user: User, allocation: string | null) => ({
        ...{ ...request, limits: {}, allowIoUring: false, user, address: null, allocation },
      }),
      newJob: (spec: JobSpec, host: string) => ({
        ...{ id: newId(), name: spec.name!, spec, host, launchedStopped: false },
      }),
      begin: async ({ id, name }: HomedJob) => {
        if (name === failing) throw new GodwitError({ code: 'cannot-launch', message: 'no such program' });
        await journal.running(id, 2);
      },
      unlaunch: ({ id }: HomedJob) => journal.unlaunched(id),
      wait: async (id: string) => (await journal.job(id)).exit!,
    };
    const call = async (_node: string, _method: string, { job }: { job: string }) => {
      killed.push(job);
      await journal.ended(job, 0, { exit: 137, signal: 'SIGKILL' });
    };
    const addresses = { with: (_: unknown, work: (address: null) => unknown) => work(null) };
    arrays = new Arrays({
      ...{ node: 'node1', journal, home, addresses, peers: { call }, log: logTo(() => {}) },
    } as unknown as ArraysParts);
  });
  afterEach(() => {
    journal.close();
    rmSync(folder, { recursive: true });
  });
  const hosts = (count: number) => Array.from({ length: count }, (_, at) => `node${(at % 2) + 1}`);
  const states = async () =>
    (await journal.jobs({ ended: true })).map(({ name, state }) => `${name} ${state}`);

  it('is launched whole, each job on its node, with its number', async () => {
    const { id, jobs } = await arrays.run(REQUEST, ROOT, hosts(3), null);
    expect(jobs.map(({ name, node }) => `${name} ${node}`)).toEqual([
      ...['sweep.0 node1', 'sweep.1 node2', 'sweep.2 node1'],
    ]);
    const { spec } = await journal.job(jobs[2]!.id);
    expect(spec.array).toEqual({ id, name: 'sweep', index: 2, count: 3 });
    expect(ofPart({ ...spec, env: { A: '1' } } as unknown as JobSpec).env).toEqual({
      ...{ A: '1', GODWIT_INDEX: '2', GODWIT_COUNT: '3' },
    });
    expect(await journal.unsettledArrays()).toEqual([]);
  });

  it('of which one can not be launched is taken back, and says which and why', async () => {
    failing = 'sweep.10';
    await expect(arrays.run(REQUEST, ROOT, hosts(20), null)).rejects.toMatchObject({
      code: 'array-not-launched',
      message: "array sweep is not launched, as its job 10 can't be: no such program",
    });
    const left = await states();
    expect(left.filter((state) => !state.endsWith(' ended'))).toEqual([]);
    expect(killed.length).toBe(left.length);
    expect(await journal.unsettledArrays()).toEqual([]);
  });

  it('that an agent was launching when it ended is taken back by the next', async () => {
    await arrays.withJobs(
      { ...REQUEST, user: ROOT } as unknown as JobSpec,
      undefined,
      hosts(3),
      async (jobs) => {
        await journal.launchArray(jobs[0]!.spec.array!.id, jobs);
        for (const { id } of jobs.slice(0, 2)) await journal.running(id, 2);
        await journal.unlaunched(jobs[2]!.id);
      },
    );
    await arrays.takeBackUnsettled();
    expect(await states()).toEqual(['sweep.0 ended', 'sweep.1 ended']);
    expect(await journal.unsettledArrays()).toEqual([]);
  });
});

describe('what is meant', () => {
  const array = (
    id: string,
    name: string,
    stage: 'living' | 'over' = 'living',
    started = '1',
  ): HomedArray => ({
    ...{ id, name, count: 1, user: 'root', allocation: null, started },
    jobs: [{ id: `${id}0`, name: `${name}.0`, index: 0, stage }],
  });
  const job = (id: string, name: string, state: Job['state'] = 'running', started = '1') =>
    ({ id, name, state, started }) as Job;
  const meant = (reference: string, arrays: HomedArray[], jobs: Job[]) =>
    resolveArray(reference, arrays, jobs)?.id ?? null;

  it('is an array by its name, though ids begin so', () => {
    expect(meant('q', [array('aaa', 'q')], [job('qqq', 'x')])).toBe('aaa');
    expect(meant('q', [array('qaa', 'x')], [job('bbb', 'q')])).toBeNull();
  });

  it('is what lives', () => {
    expect(meant('s', [array('aaa', 's', 'over'), array('bbb', 's')], [])).toBe('bbb');
    expect(meant('s', [array('aaa', 's', 'over')], [job('ccc', 's')])).toBeNull();
    expect(meant('s', [array('aaa', 's')], [job('ccc', 's', 'ended')])).toBe('aaa');
  });

  it('is the latest of what is over', () => {
    const old = array('aaa', 's', 'over', '1');
    expect(meant('s', [old, array('bbb', 's', 'over', '2')], [])).toBe('bbb');
    expect(meant('s', [old], [job('ccc', 's', 'ended', '3')])).toBeNull();
  });

  it('is asked for where it may be several', () => {
    const ambiguous = expect.objectContaining({ code: 'ambiguous-job' });
    expect(() => meant('s', [array('aaa', 's'), array('bbb', 's')], [])).toThrow(ambiguous);
    expect(() => meant('s', [array('aaa', 's')], [job('ccc', 's')])).toThrow(ambiguous);
    expect(() => meant('a', [array('aaa', 's')], [job('abc', 'x')])).toThrow(ambiguous);
  });
});

describe('lines of several jobs', () => {
  const printed = async (chunks: string[], index = 3, count = 12) => {
    let all = '';
    const lines = new Labelled(index, count, async (bytes) => {
      all += bytes.toString();
    });
    for (const chunk of chunks) await lines.write(Buffer.from(chunk));
    const before = all;
    await lines.end();
    return { before, all };
  };

  it('have their job’s number, each once, and come when they are whole', async () => {
    expect(await printed(['a\nb', 'c\n\nd'])).toEqual({
      ...{ before: ' 3: a\n 3: bc\n 3: \n', all: ' 3: a\n 3: bc\n 3: \n 3: d\n' },
    });
  });

  it('that are very long come in pieces', async () => {
    const { before } = await printed(['x'.repeat(150_000)], 0, 2);
    expect(before.split('\n').map((line) => line.length)).toEqual([65_539, 65_539, 0]);
  });

  it('lose no byte that is no text', async () => {
    const out: Buffer[] = [];
    const lines = new Labelled(0, 1, async (bytes) => void out.push(Buffer.from(bytes)));
    await lines.write(Buffer.from([0xff, 0x00, 0x0a, 0xc3]));
    await lines.write(Buffer.from([0xa9, 0x0a]));
    expect(Buffer.concat(out)).toEqual(Buffer.from('0: \xff\x00\n0: \xc3\xa9\n', 'latin1'));
  });
});

describe('what is done to all jobs of an array', () => {
  const part = (index: number, stage: 'queued' | 'living') => ({
    id: `${index}`,
    name: `s.${index}`,
    index,
    stage,
  });

  it('ends what is queued first, the last first', () => {
    const jobs = [part(0, 'living'), part(1, 'queued'), part(2, 'queued')];
    expect(endingOrder(jobs).map(({ index }) => index)).toEqual([2, 1, 0]);
  });

  it('has an outcome for each, in their order, some at once', async () => {
    let [now, most] = [0, 0];
    const outcomes = await each(
      [0, 1, 2, 3, 4].map((index) => part(index, 'living')),
      async ({ index }) => {
        most = Math.max(most, ++now);
        await Promise.resolve();
        now--;
        if (index === 3) throw new GodwitError({ code: 'job-ended', message: 'over' });
        return index;
      },
      2,
    );
    expect(most).toBe(2);
    expect(outcomes.map(({ result }) => ('ok' in result ? result.ok : result.error.code))).toEqual([
      ...[0, 1, 2, 'job-ended', 4],
    ]);
  });
});
