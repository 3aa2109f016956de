/** A node is gone for good: what it has left may run on, or is cleared away, by a person's word; and the node comes back. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { asGodwitError } from '../../agent/api/errors';
import type { HistoryEvent, Job } from '../../agent/api/model';
import { ADOPTION_POINTS, type FaultPoint } from '../../agent/daemon/migration/fault-points';
import { FaultLab } from '../support/fault-lab';
import { Gdb } from '../support/gdb';
import { Godwit, Refused } from '../support/godwit';
import { LONG } from '../support/long';
import { membersKnownTo } from '../support/members';
import { run } from '../support/processes';
import { inProject } from '../support/project';

/** Debian's own accounts, admitted to the lab. */
const [ANN, BOB] = ['games', 'news'];

/** Where all nodes see the same files: the program and what it writes. */
let common: string;
let lab: FaultLab;
let files = 0;

beforeAll(async () => {
  lab = await FaultLab.up(`adopt${process.pid}`, { users: [ANN, BOB] });
  chmodSync(lab.folder, 0o755);
  common = join(lab.folder, 'common');
  mkdirSync(common);
  chmodSync(common, 0o1777);
  const source = inProject('test', 'programs', 'alone.c');
  const { status, stderr } = await run(['gcc', '-static', '-g', '-O0', '-o', join(common, 'alone'), source]);
  if (status !== 0) throw new Error(stderr);
  for (const node of lab.nodes) {
    const { config } = lab.paths(node);
    const known = JSON.parse(readFileSync(config, 'utf8'));
    writeFileSync(config, JSON.stringify({ ...known, sharedPaths: [common] }));
    await lab.restart(node);
  }
});
afterAll(() => lab?.down());
afterEach(() => lab.recover());

/** A job that holds nothing of its home but the console. */
class Alone {
  private constructor(
    readonly id: string,
    readonly file: string,
  ) {}

  static async run(home: string, host: string, ...args: string[]): Promise<Alone> {
    const file = join(common, `lines${++files}`);
    const request = { program: join(common, 'alone'), args: [file, ...args], cwd: common, env: {} };
    const { id } = await lab.ask(home, 'jobs.run', { ...request, stopped: false, node: host, name: 'alone' });
    const job = new Alone(id, file);
    await job.goesOn();
    return job;
  }

  get lines(): string[] {
    return existsSync(this.file) ? readFileSync(this.file, 'utf8').split('\n').slice(0, -1) : [];
  }

  async goesOn(): Promise<void> {
    const before = this.lines.length;
    await lab.comesTo(async () =>
      this.lines.length > before + 2 ? null : `it stands at ${this.lines.at(-1)}`,
    );
  }

  /** Its home is `node` now: it ends there as it was told to, and of no line is there more than `copies`. */
  async ends(node: string): Promise<void> {
    // A move that was cut may still be being undone.
    await lab.comesTo(async () => {
      await lab.ask(node, 'jobs.kill', { job: this.id, signal: 'SIGTERM' });
      return null;
    });
    expect(await lab.ask(node, 'jobs.wait', { job: this.id })).toMatchObject({ exit: 7, signal: null });
  }

  /** Not a line is missing, or there twice: it was one process all along. */
  isWhole(): void {
    const lines = this.lines.filter((line) => line.startsWith('line'));
    expect(lines).toEqual(lines.map((_, index) => `line ${index}`));
  }

  copies(): Promise<string[]> {
    return lab.copies().then((all) => all.filter((copy) => copy.includes(`/${this.id}.`)));
  }

  async isOnlyOn(node: string): Promise<void> {
    await lab.comesTo(async () => {
      const copies = await this.copies();
      return copies.length === 1 && copies[0]!.startsWith(`${node}/`)
        ? null
        : `its copies: ${copies.join(', ')}`;
    });
  }

  history(node: string): Promise<HistoryEvent[]> {
    return lab.ask(node, 'jobs.history', { job: this.id }).then(({ events }) => events);
  }
}

/** Its home is `node` now: it was one process all along, and ends with nothing left behind. */
async function endsWhole(node: string, job: Alone): Promise<void> {
  await job.ends(node);
  job.isWhole();
  await lab.leavesNothing();
}

const failure = async (call: Promise<unknown>) => asGodwitError(await failureOf(call));

async function failureOf(call: Promise<unknown>): Promise<unknown> {
  const outcome = await call.then(
    (value) => ({ value }),
    (error) => ({ error }),
  );
  if ('error' in outcome) return outcome.error;
  throw new Error(`it should have failed, but: ${JSON.stringify(outcome.value)}`);
}

/** The state of `node` as the node `by` has it. */
const comesToBe = (by: string, node: string, state: string) =>
  lab.comesTo(async () => {
    const { nodes } = await lab.ask(by, 'nodes.list', {});
    const now = nodes.find(({ name }) => name === node)?.state;
    return now === state ? null : `${node} is ${now}`;
  });

/** It does not come back until the test says so. */
async function gone(node: string, by: string): Promise<void> {
  await lab.kill(node);
  await comesToBe(by, node, 'down');
}

const adopt = (node: string, job: string, confirmed = true) =>
  lab.ask(node, 'jobs.adopt', { job, confirmed });
const forget = (node: string, job: string, confirmed = true) =>
  lab.ask(node, 'jobs.forget', { job, confirmed });
const listed = async (node: string, id: string): Promise<Job[]> =>
  (await lab.ask(node, 'jobs.list', { ended: false })).jobs.filter((job) => job.id === id);

const stands = (node: string, point: FaultPoint) =>
  lab.comesTo(async () => (lab.stands(node, point) ? null : `nothing comes by ${point}`));

/**
 * A move that comes to this point, where its agent stands while that of `victim` is killed for good. No node that waits
 * for the home's decision has asked for it by then.
 */
async function cutAt(
  job: Alone,
  { home, to, victim }: { home: string; to: string; victim: string },
  node: string,
  point: FaultPoint,
) {
  lab.arm(node, point);
  const moved = lab.ask(home, 'jobs.migrate', { job: job.id, node: to, transfer: 'stop' });
  moved.catch(() => {});
  await stands(node, point);
  await lab.kill(victim);
  lab.disarm();
}

describe('the home of a job is gone', () => {
  test('the host of one that needs nothing of it becomes its home, and the old home hears of it', async () => {
    const job = await Alone.run('node1', 'node2', 'aloud');
    expect((await failure(adopt('node2', job.id))).code).toBe('home-answers');
    await gone('node1', 'node2');
    // Every node tells of it, and how long its home has been away.
    await comesToBe('node3', 'node1', 'down');
    for (const node of ['node2', 'node3']) {
      const seen = async () => (await listed(node, job.id)).find(({ asOf }) => asOf === undefined)!;
      const before = await seen();
      expect(before).toMatchObject({ home: 'node1', node: 'node2', state: 'running', name: 'alone' });
      expect(before.homeSilentMs).toBeGreaterThan(0);
      expect((await seen()).homeSilentMs).toBeGreaterThan(before.homeSilentMs!);
    }
    const risk = await failure(adopt('node2', job.id, false));
    expect(risk.code).toBe('not-confirmed');
    expect(risk.message).toMatch(/node1, the home of job .* has not answered for .* loses the job to node2/);
    expect((await failure(adopt('node3', job.id))).code).toBe('not-here');
    expect(await adopt('node2', job.id)).toEqual({ id: job.id, node: 'node2' });
    expect(await listed('node3', job.id)).toMatchObject([{ home: 'node2', node: 'node2', epoch: 1 }]);
    await job.goesOn();
    // What it had of its home's files is gone, its console foremost.
    await lab.comesTo(async () =>
      job.lines.includes('not printed: ENOTCONN') ? null : 'it does not know that it is not heard',
    );
    // It can't go where its files are not.
    const why = await lab.ask('node2', 'jobs.why', { job: job.id, node: 'node3' });
    expect(why.obstacles.map(({ code }) => code)).toContain('home-unreachable');
    await lab.restart('node1');
    await lab.comesTo(async () => {
      const events = await job.history('node2');
      return events.some(({ reason }) => reason?.includes('node1, its home before')) ? null : 'not told yet';
    });
    expect(await listed('node1', job.id)).toMatchObject([{ home: 'node2' }]);
    expect(await job.history('node1')).toContainEqual(
      expect.objectContaining({ event: 'adopted', node: 'node2', epoch: 1 }),
    );
    await job.isOnlyOn('node2');
    await job.goesOn();
    await endsWhole('node1', job);
  });

  test('one that needs its files is refused by name; cleared away, its home hears of it', async () => {
    const job = await lab.run('node1', 'node2');
    await gone('node1', 'node2');
    const refused = await failure(adopt('node2', job.id));
    expect(refused.code).toBe('needs-home-files');
    expect(refused.message).toContain(lab.program);
    expect((await failure(forget('node2', job.id, false))).code).toBe('not-confirmed');
    expect(await forget('node2', job.id)).toEqual({ id: job.id, node: 'node2' });
    expect(await lab.copies()).toEqual([]);
    expect(await listed('node2', job.id)).toEqual([]);
    await lab.restart('node1');
    await lab.comesTo(async () => ((await job.seen()).state === 'lost' ? null : 'not told yet'));
    const { events } = await lab.ask('node1', 'jobs.history', { job: job.id });
    expect(events.at(-1)).toMatchObject({ event: 'lost', reason: expect.stringContaining('a person') });
    await lab.leavesNothing();
  });
});

describe('a move was cut', () => {
  test('its home is gone before the commit: the frozen copy at the source runs on, the other goes when the home is back', async () => {
    const job = await Alone.run('node1', 'node2');
    await cutAt(job, { home: 'node1', to: 'node3', victim: 'node1' }, 'node3', 'destination.restored-noted');
    for (const node of ['node2', 'node3']) await comesToBe(node, 'node1', 'down');
    expect(await listed('node2', job.id)).toMatchObject([
      { home: 'node1', node: 'node2', state: 'moving' },
      { home: 'node1', node: 'node3', state: 'moving' },
    ]);
    const [before] = job.lines.slice(-1);
    expect((await failure(adopt('node2', job.id, false))).message).toContain('another copy may be running');
    expect(await adopt('node2', job.id)).toEqual({ id: job.id, node: 'node2' });
    await job.goesOn();
    expect(job.lines).toContain(before);
    // Here it is not, and its home still decides about it there.
    expect(await job.copies()).toHaveLength(2);
    await lab.restart('node1');
    await job.isOnlyOn('node2');
    await job.goesOn();
    await endsWhole('node2', job);
  });

  test('a debugger that was attached when the move was cut goes on with the adopted copy', async () => {
    const job = await Alone.run('node1', 'node2');
    const argv = [process.execPath, inProject('dist', 'godwit.cjs'), 'gdb', job.id, '--', '-q', '-nx'];
    const gdb = new Gdb(argv, { GODWIT_AGENT: lab.socket('node2') });
    try {
      await gdb.ready();
      await gdb.do('break say');
      expect(await gdb.do('continue')).toContain('say (');
      await cutAt(
        job,
        { home: 'node1', to: 'node3', victim: 'node1' },
        'node3',
        'destination.restored-noted',
      );
      await comesToBe('node2', 'node1', 'down');
      const [before] = job.lines.slice(-1);
      await adopt('node2', job.id);
      expect(await gdb.do('finish')).toContain('main (');
      expect(job.lines.at(-1)).not.toBe(before);
      expect(await gdb.do('continue')).toContain('say (');
      await gdb.do('delete');
      await gdb.do('detach');
      await gdb.quit();
    } finally {
      gdb.kill();
    }
    await job.goesOn();
    await lab.restart('node1');
    await job.isOnlyOn('node2');
    await endsWhole('node2', job);
  });

  test('so does the restored copy at the destination, where the home was the source', async () => {
    const job = await Alone.run('node1', 'node1');
    await cutAt(job, { home: 'node1', to: 'node2', victim: 'node1' }, 'node2', 'destination.restored-noted');
    await comesToBe('node2', 'node1', 'down');
    expect(await adopt('node2', job.id)).toEqual({ id: job.id, node: 'node2' });
    await job.goesOn();
    // The old home knows nothing of it at first, and takes its own copy up; then it hears of the other.
    await lab.restart('node1');
    await job.isOnlyOn('node2');
    await lab.comesTo(async () => {
      const events = await job.history('node1');
      return events.some(({ event, to }) => event === 'adopted' && to === 'node2') ? null : 'not told yet';
    });
    await job.goesOn();
    await job.ends('node2');
    await lab.leavesNothing();
  });

  test('one that was still arriving can only be cleared away', async () => {
    const job = await Alone.run('node1', 'node1');
    await cutAt(job, { home: 'node1', to: 'node2', victim: 'node1' }, 'node1', 'home.prepared-received');
    await comesToBe('node2', 'node1', 'down');
    expect((await failure(adopt('node2', job.id))).code).toBe('copy-incomplete');
    await forget('node2', job.id);
    await lab.restart('node1');
    await job.isOnlyOn('node1');
    await job.goesOn();
    await endsWhole('node1', job);
  });

  test('a cleared frozen copy is not taken for the job when the home is back', async () => {
    const job = await Alone.run('node1', 'node2');
    await cutAt(job, { home: 'node1', to: 'node3', victim: 'node1' }, 'node3', 'destination.restored-noted');
    await comesToBe('node2', 'node1', 'down');
    await lab.comesTo(async () => {
      await forget('node2', job.id);
      return null;
    });
    await lab.restart('node1');
    await lab.comesTo(async () => {
      const [seen] = await listed('node1', job.id);
      return seen?.state === 'lost' ? null : `it is ${seen?.state}`;
    });
    await lab.leavesNothing();
  });

  test('its destination is gone after the commit: the source’s runs on by the home, and the destination’s is ended', async () => {
    const job = await Alone.run('node1', 'node1');
    await cutAt(job, { home: 'node1', to: 'node2', victim: 'node2' }, 'node2', 'destination.thawing-noted');
    expect((await failure(adopt('node1', job.id))).code).toBe('nothing-to-adopt');
    await comesToBe('node1', 'node2', 'down');
    const risk = await failure(adopt('node1', job.id, false));
    expect(risk.message).toMatch(/node2, to which job .* was moving, has not answered .* may have run there/);
    expect(await adopt('node1', job.id)).toEqual({ id: job.id, node: 'node1' });
    await job.goesOn();
    await lab.restart('node2');
    await job.isOnlyOn('node1');
    await job.goesOn();
    await job.ends('node1');
    await lab.leavesNothing();
  });

  test('or both are given up', async () => {
    const job = await Alone.run('node1', 'node1');
    await cutAt(job, { home: 'node1', to: 'node2', victim: 'node2' }, 'node2', 'destination.thawing-noted');
    await comesToBe('node1', 'node2', 'down');
    const waits = failure(lab.ask('node1', 'jobs.wait', { job: job.id }));
    expect(await forget('node1', job.id)).toEqual({ id: job.id, node: 'node1' });
    expect((await waits).code).toBe('job-lost');
    await job.isOnlyOn('node2');
    await lab.restart('node2');
    await lab.leavesNothing();
    expect((await job.history('node1')).at(-1)).toMatchObject({ event: 'forgotten' });
  });
});

describe('the host of a job is gone', () => {
  test('nothing is left to adopt; given up, what comes back with the host is ended', async () => {
    const job = await Alone.run('node1', 'node2');
    expect((await failure(forget('node1', job.id))).code).toBe('job-running');
    await gone('node2', 'node1');
    const refused = await failure(adopt('node1', job.id));
    expect(refused.toLine()).toMatch(/only copy was on node2, which is down; .*godwit forget/);
    expect(await forget('node1', job.id)).toEqual({ id: job.id, node: 'node2' });
    expect(await listed('node1', job.id)).toMatchObject([{ state: 'lost' }]);
    expect((await job.history('node1')).at(-1)).toMatchObject({
      event: 'forgotten',
      reason: expect.stringContaining('node2'),
    });
    await job.goesOn();
    await lab.restart('node2');
    await lab.leavesNothing();
  });
});

describe('by whose word', () => {
  const as = (user: string, node: string) => {
    const uid = execFileSync('id', ['-u', user], { encoding: 'utf8' }).trim();
    return new Godwit({ agent: join(lab.paths(node).userSockets, uid), temp: lab.folder });
  };
  const refusal = async (call: Promise<unknown>) => {
    const error = await failureOf(call);
    if (!(error instanceof Refused)) throw error;
    expect(error.status).toBe(1);
    return error.line;
  };

  test('its user’s or root’s, where the copy is, who has been told the risk', async () => {
    const file = join(common, `lines${++files}`);
    const argv = [join(common, 'alone'), file];
    const { id } = await as(ANN, 'node1').run(argv, { on: 'node2', name: 'anns', cwd: common });
    const here = await lab.run('node1', 'node1');
    // Who has asked before has seen it; who has it tells of it.
    await as(ANN, 'node3').jobs();
    await gone('node1', 'node2');
    await comesToBe('node3', 'node1', 'down');

    const listed = await as(BOB, 'node3').jobs();
    expect(listed.find((job) => job.id === here.id)).toMatchObject({
      home: 'node1',
      asOf: expect.stringMatching(/^20/),
    });
    expect(listed.find((job) => job.id === id)).not.toHaveProperty('asOf');
    const { stdout, stderr } = await as(BOB, 'node3').said(['ps']);
    expect(stdout).toMatch(new RegExp(`${id} +anns +${ANN} +running +node1 \\(silent for \\d+ s\\) +node2`));
    expect(stdout).toMatch(new RegExp(`${here.id} .* node1 \\(as of 20.*\\) +node1`));
    expect(stderr).toMatch(
      /^godwit: node1 has not answered for \d+ s: its jobs are shown as others have them/,
    );
    expect((await as(BOB, 'node3').said(['history'])).stderr).toContain('node1 has not answered for');

    for (const verb of ['adopt', 'forget']) {
      expect(await refusal(as(BOB, 'node2').text([verb, id, '--yes']))).toContain(`job ${id} is ${ANN}'s`);
      expect(await refusal(as(ANN, 'node3').text([verb, id, '--yes']))).toContain('nothing of job');
      expect(await refusal(as(ANN, 'node2').text([verb, id]))).toMatch(
        /node1, the home of job .* has not answered for .*; if it is gone for good, do it with --yes/,
      );
    }
    const terminal = (answer: string) => {
      const asked = as(ANN, 'node2').at(['adopt', 'anns']);
      return asked.shows('(yes/no)').then(async (risk) => {
        expect(risk.replaceAll(/\s+/g, ' ')).toContain('loses the job to node2');
        asked.type(`${answer}\r`);
        return asked.ended;
      });
    };
    expect(await terminal('no')).toBe(1);
    expect((await as(ANN, 'node2').job(id)).home).toBe('node1');
    expect(await terminal('yes')).toBe(0);
    expect((await as(ANN, 'node2').job(id)).home).toBe('node2');
    await lab.restart('node1');
    await here.goesOn();
    // Its old home has it by the word of its user.
    await lab.comesTo(async () => {
      const told = await as(ANN, 'node2').history(id);
      return told.some(({ reason }) => reason?.includes('node1, its home before')) ? null : 'not told yet';
    });
    await as(ANN, 'node1').kill(id);
    await here.ends();
    await lab.leavesNothing();
  });
});

describe('a node is only cut off', () => {
  test('the home has its job run on meanwhile; when they hear of each other one copy is left, and both say so', async () => {
    const job = await Alone.run('node1', 'node2');
    // The source does not hear that the move is over, and keeps its frozen copy.
    lab.arm('node2', 'source.killing');
    await lab.ask('node1', 'jobs.migrate', { job: job.id, node: 'node1', transfer: 'stop' });
    await stands('node2', 'source.killing');
    await lab.link('node2', 'down');
    await lab.kill('node2');
    await lab.restart('node2');
    await comesToBe('node2', 'node1', 'down');
    await job.goesOn();
    expect(await adopt('node2', job.id)).toEqual({ id: job.id, node: 'node2' });
    expect(await job.copies()).toHaveLength(2);
    await lab.link('node2', 'up');
    await job.isOnlyOn('node2');
    // One history: what its old home knows of it is a part of it.
    expect(await job.history('node3')).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ event: 'launched', node: 'node2' }),
        expect.objectContaining({ event: 'adopted', node: 'node1', to: 'node2' }),
      ]),
    );
    await lab.comesTo(async () => {
      const said = (await job.history('node2')).map(({ reason }) => reason ?? '');
      return said.some((text) => text.includes('the copy that ran on node1 is ended')) ? null : said.join();
    });
    await job.goesOn();
    await job.ends('node3');
    await lab.leavesNothing();
  });
});

describe('the agent is killed while it adopts', () => {
  /** Of what follows of any ledger, which moves are tested for as well. */
  const furtherPoints: FaultPoint[] = [
    'source.thawing',
    'source.unparked',
    'source.hosting-noted',
    'home.resumed-received',
  ];
  const points = [...ADOPTION_POINTS, ...(LONG ? furtherPoints : [])];

  test.for(points)(
    'at %s: the job is frozen under its old home, or runs under its new one',

    async (point) => {
      const job = await Alone.run('node1', 'node2');
      await cutAt(
        job,
        { home: 'node1', to: 'node3', victim: 'node1' },
        'node3',
        'destination.restored-noted',
      );
      await comesToBe('node2', 'node1', 'down');
      lab.arm('node2', point);
      const adopted = adopt('node2', job.id);
      adopted.catch(() => {});
      if (point === 'adoption.told') await lab.restart('node1');
      await stands('node2', point);
      await lab.kill('node2');
      await lab.restart('node2');
      if (point === 'adoption.intended') {
        await comesToBe('node2', 'node1', 'down');
        expect(await listed('node2', job.id)).toContainEqual(
          expect.objectContaining({ home: 'node1', node: 'node2' }),
        );
        await adopt('node2', job.id);
      }
      await job.goesOn();
      expect((await listed('node2', job.id)).filter(({ home }) => home === 'node2')).toHaveLength(1);
      await lab.restart('node1');
      await job.isOnlyOn('node2');
      await endsWhole('node2', job);
    },
  );
});

// The last: its home never hears of it.
test('where the home is a member no more all of the copy is cleared away at once', async () => {
  const job = await Alone.run('node1', 'node2');
  await lab.kill('node1');
  const { config, state } = lab.paths('node2');
  const known = readFileSync(config, 'utf8');
  const members = (await membersKnownTo(state)).filter(({ name }) => name !== 'node1');
  writeFileSync(config, JSON.stringify({ ...JSON.parse(known), members }));
  await lab.restart('node2');
  expect(await listed('node2', job.id)).toMatchObject([{ home: 'node1', node: 'node2' }]);
  expect(await forget('node2', job.id)).toEqual({ id: job.id, node: 'node2' });
  const left = (await lab.leftovers()).filter((one) => one.includes(job.id) && !one.includes('node1'));
  expect(left).toEqual([]);
  writeFileSync(config, known);
});
