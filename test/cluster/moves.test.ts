/** Programs of several kinds, moved from node to node while they run: they must end and print as without Godwit. */
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { compile } from '../support/c-programs';
import { Godwit, type RunOptions } from '../support/godwit';
import { copiesOf, run } from '../support/processes';
import { inProject } from '../support/project';
import { untilWithin } from '../support/until';

/** A name that no person's lab has. */
const LAB = `moves-${process.pid}`;
const ROUND = ['node2', 'node3', 'node1'] as const;
/** What a slow machine may need to see what is about to be so. */
const SOON_MS = 90_000;

const fixture = (...parts: string[]) => inProject('test', 'fixtures', ...parts);

let godwit: Godwit;
let folder = '';
const jobs: string[] = [];

beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'godwit-moves-')));
  for (const name of ['count', 'shared']) await compile(fixture('moves', `${name}.c`), folder);
  await compile(fixture('ticker.c'), folder);
  godwit = await Godwit.labUp(LAB, { temp: folder });
});
afterEach(async () => {
  for (const job of jobs.splice(0)) await godwit.kill(job, 'SIGKILL').catch(() => {});
});
afterAll(async () => {
  await Godwit.labDown(LAB);
  rmSync(folder, { recursive: true, force: true });
});

const built = (name: string) => join(folder, name);

async function launch(argv: string[], options: RunOptions = {}): Promise<string> {
  const { id } = await godwit.run(argv, options);
  jobs.push(id);
  return id;
}

const until = untilWithin(SOON_MS);

/** The fixtures' last step waits until it is said that they may leave. */
const leave = (what: string) => join(folder, `leave-${what.replace(/\W/g, '-')}`);
const lasting = (what: string, argv: readonly string[]) => ['env', `UNTIL=${leave(what)}`, ...argv];
const mayLeave = (what: string) => writeFileSync(leave(what), '');

const printed = (job: string, text: string) =>
  until(`it has printed "${text}"`, async () => (await godwit.logs(job)).includes(text));

async function goRound(job: string, nodes: readonly string[] = ROUND): Promise<void> {
  for (const node of nodes) {
    const { from, to, freezeMs, totalMs } = await godwit.migrate(job, node);
    expect(to).toBe(node);
    expect(from).not.toBe(node);
    expect(freezeMs).toBeLessThanOrEqual(totalMs);
    expect((await godwit.job(job)).node).toBe(node);
  }
}

/** The one process that runs `program`, as this machine numbers it. */
const processOf = (program: string) => {
  const [pid, ...more] = copiesOf(program);
  expect(more).toEqual([]);
  return pid!;
};
/** The letter of proc_pid_stat(5) for its state. */
const stateOf = (pid: number) => readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '')[0];

describe('a program that is moved while it runs ends and prints as without Godwit', () => {
  const programs: Record<string, () => string[]> = {
    'C, one thread': () => [built('count'), '400', '5'],
    'a tree of processes with threads': () => [built('ticker'), '700'],
    'data in /dev/shm': () => [built('shared'), '400'],
    'Python 3 with a thread and subprocesses': () => ['python3', fixture('moves', 'grow.py'), '360'],
    'Node.js of the PATH, with timers and files': () => ['node', fixture('moves', 'timers.cjs'), '360'],
    'Node.js 24, which likes io_uring': () => [process.execPath, fixture('moves', 'timers.cjs'), '360'],
    'a shell script with a pipeline': () => ['sh', fixture('moves', 'pipeline.sh'), '320'],
  };
  for (const [what, argv] of Object.entries(programs)) {
    it(what, async () => {
      const alone = run([...argv(), `alone-${process.pid}`]);
      const job = await launch(lasting(what, [...argv(), `moved-${process.pid}`]));
      await printed(job, '\n');
      await goRound(job);
      mayLeave(what);
      const outcome = await godwit.wait(job);
      const { status, stdout, stderr } = await alone;
      expect(stderr).toBe('');
      expect(outcome).toEqual({ id: job, exit: status, signal: null });
      expect(await godwit.logs(job)).toBe(stdout);
    });
  }
});

describe('what a job is, it is everywhere', () => {
  it('knows its environment, its folder, and the host name of its home', async () => {
    const script =
      'while [ ! -e "$FOLDER/go" ]; do sleep 0.2; done; echo "$WORD|$(pwd)|$(hostname)|$(cat /proc/1/comm)"; exit 42';
    const { id } = JSON.parse(
      await godwit.text([
        ...['run', '--detach', '--json', '--on', 'node2', '--cwd', folder],
        ...['--env', `FOLDER=${folder}`, '--env', 'WORD=two words = one', '--', 'sh', '-c', script],
      ]),
    );
    jobs.push(id);
    expect(await godwit.job(id)).toMatchObject({ home: 'node1', node: 'node2', state: 'running' });
    await goRound(id, ['node3', 'node1', 'node2']);
    await run(['touch', join(folder, 'go')]);
    expect(await godwit.wait(id)).toMatchObject({ exit: 42, signal: null });
    expect(await godwit.logs(id)).toMatch(
      new RegExp(`^two words = one\\|${folder}\\|node1\\|godwit-init\n$`),
    );
    rmSync(join(folder, 'go'));
  });

  it('keeps a host name of its own, wherever it is', async () => {
    const script = 'while [ ! -e "$UNTIL" ]; do sleep 0.2; done; hostname; uname -n';
    const options = ['run', '--detach', '--json', '--hostname', 'rank-0.sim', '--cwd', folder];
    const { id } = JSON.parse(
      await godwit.text([...options, '--', ...lasting('named', ['sh', '-c', script])]),
    );
    jobs.push(id);
    await goRound(id, ['node2', 'node3']);
    mayLeave('named');
    expect(await godwit.wait(id)).toMatchObject({ exit: 0 });
    expect(await godwit.logs(id)).toBe('rank-0.sim\nrank-0.sim\n');
  });

  it.each([
    ['SIGSEGV', 139],
    ['SIGTERM', 143],
    ['SIGKILL', 137],
  ])('dies of %s as anywhere', async (signal, exit) => {
    const job = await launch(['sleep', '1000']);
    await goRound(job, ['node2']);
    await godwit.kill(job, signal);
    expect(await godwit.wait(job)).toEqual({ id: job, exit, signal });
    expect((await godwit.job(job)).exit).toEqual({ exit, signal });
  });

  it('ends with the status of a fault of its own', async () => {
    const script = 'while [ ! -e "$UNTIL" ]; do sleep 0.2; done; kill -s SEGV $$';
    const job = await launch(lasting('fault', ['sh', '-c', script]));
    await goRound(job, ['node3']);
    mayLeave('fault');
    expect(await godwit.wait(job)).toEqual({ id: job, exit: 139, signal: 'SIGSEGV' });
  });

  it('stays stopped when it was stopped, and goes on when it is told to', async () => {
    const job = await launch([built('count'), '500', '0']);
    await printed(job, 'step 5,');
    await godwit.kill(job, 'SIGSTOP');
    await until('it stands still', () => stateOf(processOf(built('count'))) === 'T');
    const before = await godwit.logs(job);
    for (const node of ROUND) {
      await goRound(job, [node]);
      expect((await godwit.job(job)).state).toBe('stopped');
      expect(stateOf(processOf(built('count')))).toBe('T');
    }
    expect(await godwit.logs(job)).toBe(before);
    await godwit.kill(job, 'SIGCONT');
    expect(await godwit.wait(job)).toMatchObject({ exit: 0, signal: null });
    expect((await godwit.logs(job)).split('\n')).toHaveLength(501);
  });

  it('stays stopped before its first instruction, wherever it is taken, until it is let go', async () => {
    const job = await launch([built('count'), '3', '6'], { stopped: true });
    for (const node of ROUND) {
      await goRound(job, [node]);
      expect((await godwit.job(job)).state).toBe('stopped');
    }
    await sleep(200);
    expect(await godwit.logs(job)).toBe('');
    await godwit.kill(job, 'SIGCONT');
    expect(await godwit.wait(job)).toMatchObject({ exit: 6, signal: null });
    expect((await godwit.logs(job)).split('\n')).toHaveLength(4);
  });

  it('runs once: nothing of it is left where it was', async () => {
    const job = await launch([built('count'), '100000', '0']);
    await printed(job, 'step 2,');
    for (const node of ROUND) {
      await goRound(job, [node]);
      await until('one copy is left', () => copiesOf(built('count')).length === 1);
    }
    // In the network of the node that it is on.
    const namespace = readlinkSync(`/proc/${processOf(built('count'))}/ns/mnt`);
    expect(namespace).not.toBe(readlinkSync('/proc/self/ns/mnt'));
    await godwit.kill(job, 'SIGKILL');
    await godwit.wait(job);
    await until('no copy is left', () => copiesOf(built('count')).length === 0);
  });
});

describe('what is said of it', () => {
  it('ps, nodes, why, history and logs agree', async () => {
    const job = await launch([built('count'), '100000', '0'], { name: 'counting' });
    await printed(job, 'step 5,');
    expect(await godwit.job(job)).toMatchObject({
      name: 'counting',
      command: [built('count'), '100000', '0'],
      state: 'running',
      home: 'node1',
      node: 'node1',
      pid: 2,
      migrations: 0,
      debugged: false,
      exit: null,
    });
    const preflight = await godwit.why('counting', 'node2');
    expect(preflight).toMatchObject({ can: true, obstacles: [] });
    expect(preflight.bytes).toBeGreaterThan(0);
    await goRound(job, ['node2', 'node3']);
    const seen = await godwit.job(job);
    expect(seen).toMatchObject({ state: 'running', node: 'node3', migrations: 2, epoch: 2 });
    expect(seen.rss).toBeGreaterThan(0);
    const where = async () => {
      const nodes: { name: string; jobs: number }[] = JSON.parse(await godwit.text(['nodes', '--json']));
      return nodes.map(({ name, jobs: count }) => `${name} ${count}`).join(', ');
    };
    await until('the nodes say where it is', async () => (await where()) === 'node1 0, node2 0, node3 1');
    for (const table of [await godwit.text(['ps']), await godwit.text(['history', job])])
      expect(table).toContain(job);
    await godwit.kill(job, 'SIGTERM');
    await godwit.wait(job);
    expect(await godwit.text(['ps'])).not.toContain(job);
    expect(await godwit.text(['ps', '-a'])).toMatch(new RegExp(`${job} .*ended.*SIGTERM`));

    const events = await godwit.history(job);
    const move = ['move-intent', 'move-committed', 'move-thawed', 'move-finished'];
    expect(events.map(({ event }) => event)).toEqual(['launched', ...move, ...move, 'ended']);
    expect(events.at(-1)).toMatchObject({ node: 'node3', exit: { exit: 143, signal: 'SIGTERM' } });
    const reports = events.flatMap(({ move: report }) => (report ? [report] : []));
    expect(reports.map(({ from, to, epoch }) => [from, to, epoch])).toEqual([
      ['node1', 'node2', 1],
      ['node2', 'node3', 2],
    ]);
    const times = events.map(({ time }) => time);
    expect(times).toEqual([...times].sort());
    const lines = (await godwit.logs(job)).trimEnd().split('\n');
    expect(lines.map((line) => Number(/^step (\d+),/.exec(line)?.[1]))).toEqual(lines.map((_, at) => at));
  });

  it('`run` streams what it prints through its moves, and exits as it does', async () => {
    const name = `streamed-${process.pid}`;
    const streamed = godwit
      .text(['run', '--name', name, '--', ...lasting(name, [built('count'), '400', '9'])])
      .catch((refused: { status: number; line: string }) => refused);
    const found = async () => (await godwit.jobs()).find((job) => job.name === name);
    await until('it runs', async () => (await found())?.state === 'running');
    await goRound((await found())!.id);
    mayLeave(name);
    expect(await streamed).toMatchObject({ status: 9, line: '' });
    const { stdout } = await run([built('count'), '400', '9']);
    expect(await godwit.logs(name)).toBe(stdout);
  });
});

it('leaves nothing behind of jobs that have ended', async () => {
  const leftovers = () =>
    ROUND.flatMap((node) =>
      ['images', 'roots', 'reports'].map((part) => join('/var/lib/godwit/labs', LAB, node, part)),
    ).filter((path) => existsSync(path) && readdirSync(path).length > 0);
  await until('no images, roots or reports are left', () => leftovers().length === 0);
});
