/** On what terms jobs run, wherever they are: as whom, what others may do with them, and within which limits. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { nodePaths } from '../../agent/lab/description';
import { JobCgroup } from '../../agent/machine/cgroup/cgroup';
import { nodeCgroup } from '../../agent/machine/cgroup/hierarchy';
import { nodePid, parseStat } from '../../agent/machine/proc/processes';
import { Godwit, type Refused } from '../support/godwit';
import { inProject } from '../support/project';
import { untilWithin } from '../support/until';

/** A name that no person's lab has. */
const LAB = `terms-${process.pid}`;
const SOON_MS = 90_000;
/** Debian's user without rights. */
const NAME = 'nobody';
const numbers = (flag: string) =>
  execFileSync('id', [flag, NAME], { encoding: 'utf8' }).trim().split(' ').map(Number);
const user = { uid: numbers('-u')[0]!, gid: numbers('-g')[0]!, groups: numbers('-G') };

let root: Godwit;
let theirs: Godwit;
let folder = '';
const jobs: string[] = [];

beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'godwit-terms-')));
  chmodSync(folder, 0o777);
  // The project's own folder may be closed to them.
  cpSync(inProject('dist', 'godwit.cjs'), join(folder, 'godwit.cjs'));
  root = await Godwit.labUp(LAB, { temp: folder, users: [NAME] });
  const agent = join(nodePaths(LAB, 'node1').userSockets, `${user.uid}`);
  theirs = new Godwit({ agent, temp: folder, user }, join(folder, 'godwit.cjs'));
});
afterEach(async () => {
  for (const job of jobs.splice(0)) await root.kill(job, 'SIGKILL').catch(() => {});
});
afterAll(async () => {
  await Godwit.labDown(LAB);
  rmSync(folder, { recursive: true, force: true });
});

const until = untilWithin(SOON_MS);

const tracerOf = (pid: number) =>
  Number(/^TracerPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (refused: Refused) => refused.line,
  );

/** Prints all that makes a process a user's, at each line that is added to the file `turn`. */
const TELL = `
tell() {
  echo "$1 $(id -u) $(id -g) $(id -G | tr ' ' ,) $(umask) $(pwd) $(ulimit -Hn) $(ulimit -St) $WORD"
  cat "$FOLDER/secret" 2>/dev/null && echo "read a secret"
  : > "$FOLDER/made-$1" && stat -c '%u %g %a' "$FOLDER/made-$1"
  grep -E '^(CapEff|NoNewPrivs)' /proc/self/status | tr -s '\\t\\n' ' '; echo
}
tell start
for turn in 1 2 3; do
  while [ ! -e "$FOLDER/turn-$turn" ]; do sleep 0.2; done
  tell $turn
done`;

describe('a job of a user', () => {
  it('runs as them, with their groups, folder, mask, limits and environment, on every node', async () => {
    writeFileSync(join(folder, 'secret'), 'secret\n', { mode: 0o600 });
    const options = ['--detach', '--name', 'mine', '--env', `FOLDER=${folder}`, '--env', 'WORD=word'];
    const limited = 'umask 027; ulimit -n 3000; ulimit -St 5000; exec "$@"';
    const asked = [process.execPath, join(folder, 'godwit.cjs'), 'run', ...options, '--', 'sh', '-c', TELL];
    const numbersOf = ['--reuid', `${user.uid}`, '--regid', `${user.gid}`, '--groups', user.groups.join()];
    const agent = join(nodePaths(LAB, 'node1').userSockets, `${user.uid}`);
    execFileSync('setpriv', [...numbersOf, 'sh', '-c', limited, 'sh', ...asked], {
      cwd: folder,
      env: { PATH: process.env.PATH, GODWIT_AGENT: agent },
    });
    jobs.push('mine');
    for (const [turn, node] of ['node2', 'node3', 'node1'].entries()) {
      const { from, to } = await theirs.migrate('mine', node);
      expect(to).not.toBe(from);
      writeFileSync(join(folder, `turn-${turn + 1}`), '');
      await until('it has told', async () => (await theirs.logs('mine')).includes(`\n${turn + 1} `));
    }
    expect(await theirs.wait('mine')).toMatchObject({ exit: 0 });
    const who = `${user.uid} ${user.gid} ${user.groups.join()} 0027 ${folder} 3000 5000 word`;
    const made = `${user.uid} ${user.gid} 640`;
    const told = ['start', '1', '2', '3'].map(
      (turn) => `${turn} ${who}\n${made}\nCapEff: 0000000000000000 NoNewPrivs: 1 \n`,
    );
    expect(await theirs.logs('mine')).toBe(told.join(''));
    const listed = (await root.jobs()).find(({ name }) => name === 'mine')!;
    expect(listed.user).toBe(NAME);
    const console = join(nodePaths(LAB, 'node1').state, 'jobs', listed.id, 'console');
    expect(statSync(console)).toMatchObject({ uid: user.uid, mode: 0o100600 });
  });

  it('runs behind the node’s own daemons, and so does its debugger, on every node', async () => {
    const { id } = await theirs.run(['sleep', '1000']);
    jobs.push(id);
    for (const [epoch, node] of ['node1', 'node2', 'node1'].entries()) {
      if (epoch > 0) await theirs.migrate(id, node);
      const { agent, keeper } = nodePaths(LAB, node);
      const levelIn = (pidFile: string) => getPriority(Number(readFileSync(pidFile, 'utf8').split(' ')[0]));
      expect([levelIn(agent.pidFile), levelIn(keeper.pidFile)]).toEqual([-5, -10]);
      const gdb = await theirs.gdb(id);
      try {
        const cgroup = JobCgroup.at(join(await nodeCgroup(`${LAB}-${node}`), `${id}.${epoch}`));
        const pids = await cgroup.pids();
        const tracers = pids.map(tracerOf).filter((pid) => pid > 0);
        expect(tracers).toHaveLength(1);
        for (const pid of [...pids, ...tracers]) {
          expect(getPriority(pid)).toBe(0);
          const group = `/proc/${pid}/autogroup`;
          if (existsSync(group)) expect(readFileSync(group, 'utf8')).toMatch(/nice 0/);
        }
      } finally {
        gdb.kill();
      }
    }
  });

  it('starts in no folder that is closed to them', async () => {
    const closed = mkdtempSync(join(folder, 'closed-'));
    expect(await codeOf(theirs.run(['true'], { cwd: closed }))).toMatch(/Permission denied/);
    expect(await theirs.jobs()).not.toContainEqual(expect.objectContaining({ command: ['true'] }));
  });

  it('is debugged by them, as them', async () => {
    const { id } = await theirs.run(['sleep', '1000']);
    jobs.push(id);
    await theirs.migrate(id, 'node2');
    const gdb = await theirs.gdb(id);
    try {
      expect(await gdb.do('info threads')).toMatch(/Thread 2\.2/);
    } finally {
      gdb.kill();
    }
    await theirs.kill(id, 'SIGKILL');
    expect(await theirs.wait(id)).toMatchObject({ signal: 'SIGKILL' });
  });
});

it('what is root’s is not theirs, and what is theirs is root’s too', async () => {
  const { id } = await root.run(['sleep', '1000']);
  const { id: own } = await theirs.run(['sleep', '1000']);
  jobs.push(id, own);
  const ids = (await theirs.jobs()).map((job) => job.id);
  expect(ids).toEqual(expect.arrayContaining([id, own]));
  const tried = {
    kill: () => theirs.kill(id),
    migrate: () => theirs.migrate(id, 'node2'),
    logs: () => theirs.logs(id),
    pin: () => theirs.text(['pin', id]),
    gdb: () => theirs.text(['rsp', id, '--listen', join(folder, 'line')]),
  };
  for (const [what, work] of Object.entries(tried))
    expect(await codeOf(work()), what).toMatch(/job \w+ is root's; do it as root/);
  // By way of another node it is the same: the home judges.
  const elsewhere = join(nodePaths(LAB, 'node2').userSockets, `${user.uid}`);
  const far = new Godwit({ agent: elsewhere, temp: folder, user }, join(folder, 'godwit.cjs'));
  expect(await codeOf(far.kill(id))).toMatch(/is root's/);
  expect(await codeOf(far.logs(id))).toMatch(/is root's/);
  expect(await codeOf(far.text(['pin', id]))).toMatch(/is root's/);
  expect((await root.job(id)).state).toBe('running');
  expect(await codeOf(far.kill(own, 'SIGTERM'))).toBe('done');
  expect(await root.wait(own)).toMatchObject({ signal: 'SIGTERM' });
  // Root's own socket does not open for them.
  const { socket } = nodePaths(LAB, 'node1').agent;
  const wrong = new Godwit({ agent: socket, temp: folder, user }, join(folder, 'godwit.cjs'));
  expect(await codeOf(wrong.jobs())).toMatch(/is not admitted/);
  expect(statSync(join(nodePaths(LAB, 'node1').state, 'journal.db')).mode & 0o077).toBe(0);
});

describe('a job with limits', () => {
  const run = async (limits: string[], ...program: string[]) => {
    const started = await root.text(['run', '--detach', ...limits, '--', ...program]);
    jobs.push(started.trim());
    return started.trim();
  };

  it('keeps within its CPUs, on every node', async () => {
    const id = await run(['--cpus', '0.2'], 'sh', '-c', 'while :; do :; done');
    for (const node of ['node2', 'node3']) {
      await root.migrate(id, node);
      const before = process.hrtime.bigint();
      const begun = await ticksOf(id);
      await sleep(2_000);
      const used = (await ticksOf(id)) - begun;
      const cpus = used / 100 / (Number(process.hrtime.bigint() - before) / 1e9);
      // A loop alone would use a whole one; a busy machine can only make it less.
      expect(cpus).toBeLessThan(0.35);
      expect(cpus).toBeGreaterThan(0);
    }
    expect((await root.job(id)).limits).toEqual({ cpus: 0.2 });
  });

  it('has as many processes as it may and no more, on every node', async () => {
    const script =
      'echo ready; while [ ! -e "$1" ]; do sleep 0.1; done; for i in 1 2 3 4; do sleep 9 & done; wait';
    const go = join(folder, 'fork');
    const id = await run(['--processes', '3'], 'sh', '-c', script, 'sh', go);
    await until('it runs', async () => (await root.logs(id)).includes('ready'));
    for (const node of ['node3', 'node2']) await root.migrate(id, node);
    writeFileSync(go, '');
    expect(await root.wait(id)).toMatchObject({ exit: 2 });
    expect(await root.logs(id)).toMatch(/Cannot fork/);
  });

  it('that wants more memory than it may have is ended, which is told', async () => {
    const more = join(folder, 'more');
    const script = `
import os, sys, time
held = b"x" * (30 << 20)
print("ready", flush=True)
while not os.path.exists(sys.argv[1]): time.sleep(0.05)
held += b"y" * (90 << 20)`;
    const id = await run(['--memory', '80M'], 'python3', '-c', script, more);
    await until('it holds some', async () => (await root.logs(id)).includes('ready'));
    expect((await root.job(id)).rss).toBeGreaterThan(30 << 20);
    await root.migrate(id, 'node2');
    writeFileSync(more, '');
    const reason = 'ended by its memory limit of 84 MB';
    expect(await root.wait(id)).toEqual({ id, exit: 137, signal: 'SIGKILL', reason });
    expect((await root.history(id)).at(-1)?.exit?.reason).toBe(reason);
    expect(await root.text(['history', id])).toContain(reason);
  });

  it('leaves no group behind', async () => {
    const groups = () => {
      const names = ['node1', 'node2', 'node3'].map((node) => `godwit/${LAB}-${node}`);
      const folders = ['cpu', 'memory', 'pids', 'unified'].flatMap((controller) =>
        names.map((name) => join('/sys/fs/cgroup', controller, name)),
      );
      return folders
        .filter(existsSync)
        .flatMap((path) => readdirSync(path).filter((name) => /\.\d+$/.test(name)));
    };
    await until('all are gone', () => groups().length === 0);
  });
});

/** CPU time of the job's program, hundredths of a second (proc_pid_stat(5)). */
async function ticksOf(id: string): Promise<number> {
  const { node, epoch } = await root.job(id);
  const cgroup = JobCgroup.at(join(await nodeCgroup(`${LAB}-${node}`), `${id}.${epoch}`));
  const pid = await nodePid(cgroup, 2);
  return parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1')).ticks;
}

it('a user who is no longer named is no longer served, and one who is named again is served again', async () => {
  const { config, agent } = nodePaths(LAB, 'node3');
  const socket = join(nodePaths(LAB, 'node3').userSockets, `${user.uid}`);
  const third = new Godwit({ agent: socket, temp: folder, user }, join(folder, 'godwit.cjs'));
  const served = () =>
    third.jobs().then(
      () => true,
      () => false,
    );
  expect(await served()).toBe(true);
  const pid = Number(readFileSync(agent.pidFile, 'utf8').split(' ')[0]);
  const { users, ...rest } = JSON.parse(readFileSync(config, 'utf8'));
  for (const [list, isServed] of [
    [[], false],
    [users, true],
  ] as const) {
    writeFileSync(config, JSON.stringify({ ...rest, users: list }));
    process.kill(pid, 'SIGHUP');
    await until(`they are ${isServed ? '' : 'not '}served`, async () => (await served()) === isServed);
  }
});
