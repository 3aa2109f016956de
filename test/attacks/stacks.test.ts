/** What a user tries by having the stacks of a job of their own read: what reads them is fed by the job. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { JobCgroup } from '../../agent/machine/cgroup/cgroup';
import { nodeCgroup } from '../../agent/machine/cgroup/hierarchy';
import { nodePid } from '../../agent/machine/proc/processes';
import { compile } from '../support/c-programs';
import type { Godwit } from '../support/godwit';
import { run } from '../support/processes';
import { inProject } from '../support/project';
import { Stage } from './stage';

let stage: Stage;
let ranks = '';
beforeAll(async () => {
  stage = await Stage.up('stacks');
  ranks = await compile(inProject('test/programs/ranks.c'), stage.folder);
});
afterAll(() => stage?.down());

const helpers: ChildProcess[] = [];
afterEach(async () => {
  for (const helper of helpers.splice(0)) {
    helper.kill('SIGTERM');
    if (helper.exitCode === null && helper.signalCode === null) await once(helper, 'close');
  }
});

const stacks = (who: Godwit, id: string) => who.text(['stacks', id]);

/** A process of the job, as this machine numbers it. */
async function processOf(id: string, inner: number): Promise<number> {
  const { node, epoch } = await stage.root.job(id);
  const cgroup = join(await nodeCgroup(`${stage.lab}-${node}`), `${id}.${epoch}`);
  return nodePid(JobCgroup.at(cgroup), inner);
}

async function launched(who: Godwit, argv: string[]): Promise<string> {
  const { id } = await who.run(argv);
  await stage.until('it is ready', async () => (await who.logs(id)) === 'ready\n');
  return id;
}

const field = (pid: number, name: string) =>
  new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]?.trim();

/** What reads the stacks of a job, with a program in gdb's place. */
async function helper(
  id: string,
  whose: string[],
  seconds: number,
  program: string[],
): Promise<ChildProcess> {
  const init = await processOf(id, 1);
  const child = spawn(
    inProject('dist/godwit-helper'),
    [
      ...['take-stacks', '--init', `${init}`, ...whose, '--preload', inProject('dist/godwit-confined.so')],
      ...['--script', inProject('dist/godwit-stacks.py'), '--seconds', `${seconds}`, '--process', '2'],
      ...['--', ...program],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  helpers.push(child);
  return child;
}

/** That program, as it is when all that is read of the job has been taken. */
async function reader(
  id: string,
  whose: string[],
  seconds = 600,
): Promise<{ pid: number; closed: Promise<unknown[]> }> {
  const started = await helper(id, whose, seconds, ['sleep', '100000']);
  const closed = once(started, 'close');
  const lines: string[] = [];
  createInterface({ input: started.stdout! }).on('line', (line) => lines.push(line));
  const child = () =>
    Number(readFileSync(`/proc/${started.pid}/task/${started.pid}/children`, 'utf8').split(' ')[0]);
  const isThere = () => existsSync(`/proc/${child()}/comm`);
  await stage.until(
    'all has been taken',
    () =>
      lines.includes('{"taken":true}') &&
      isThere() &&
      readFileSync(`/proc/${child()}/comm`, 'utf8') === 'sleep\n',
  );
  expect(lines[0]).toMatch(/^\{"process":2,"ms":[\d.]+,"threads":\[\[2,0,"/);
  await stage.until(
    'it is confined',
    () => field(child(), 'Seccomp') === '2' && field(child(), 'Seccomp_filters') === '2',
  );
  return { pid: child(), closed };
}

describe('stacks', () => {
  it('are told the user of the job and root, wherever it is, and no other user', async () => {
    const id = await launched(stage.ann, [ranks, '1', '2', '0']);
    for (const node of ['node1', 'node2']) {
      if (node !== 'node1') await stage.ann.migrate(id, node);
      for (const who of [stage.ann, stage.root])
        expect(await stacks(who, id)).toContain('2 threads in exchange()');
      await expect(stacks(stage.bob, id)).rejects.toThrow(/is games's/);
    }
    await stage.ann.kill(id);
  });
});

describe('who reads them', () => {
  it("is the job's user without any capability, in a place where nothing can be written", async () => {
    const { uid, gid, groups } = stage.people.ann;
    const id = await launched(stage.ann, [ranks, '1', '2', '0']);
    const { pid } = await reader(id, ['--uid', `${uid}`, '--gid', `${gid}`, '--groups', groups.join()]);
    expect(field(pid, 'Uid')).toBe(Array(4).fill(uid).join('\t'));
    expect(field(pid, 'Gid')).toBe(Array(4).fill(gid).join('\t'));
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
      expect([set, field(pid, set)]).toEqual([set, '0'.repeat(16)]);
    expect(field(pid, 'NoNewPrivs')).toBe('1');
    const mounts = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').trim().split('\n');
    const writable = mounts.map((line) => line.split(' ')).filter(([, , , , , how]) => !/^ro,/.test(how!));
    expect(writable.map(([, , , , at]) => at)).toEqual(['/cores']);
    expect(readdirSync(`/proc/${pid}/root/cores`).sort()).toEqual(['2', '2.maps']);
    // What is not dumpable is root's in /proc, and no process of the job's user may look into it.
    const looked = await stage.as('ann', 'ls', `/proc/${pid}/root/`);
    expect(looked).toMatchObject({ status: 2, stderr: expect.stringContaining('ermission denied') });
    await stage.ann.kill(id);
  });

  it('of a job of root’s has of its powers the one to read', async () => {
    const id = await launched(stage.root, [ranks, '1', '2', '0']);
    const { pid } = await reader(id, ['--uid', '0']);
    // CAP_DAC_READ_SEARCH (capability.h) is the third.
    for (const set of ['CapPrm', 'CapEff', 'CapBnd'])
      expect([set, field(pid, set)]).toEqual([set, '0000000000000004']);
    await stage.root.kill(id);
  });

  it('has no children, which would be the job’s when it ends', async () => {
    const id = await launched(stage.ann, [ranks, '1', '2', '0']);
    const { uid, gid, groups } = stage.people.ann;
    const tries = ['os.fork()', 'os.posix_spawn("/bin/true", ["true"], {})'];
    const program = `import os, threading
def tried(what):
    try: eval(what)
    except PermissionError: print("refused")
for what in ${JSON.stringify(tries)}: tried(what)
thread = threading.Thread(target=print, args=["a thread"]); thread.start(); thread.join()`;
    const whose = ['--uid', `${uid}`, '--gid', `${gid}`, '--groups', groups.join()];
    const child = await helper(id, whose, 600, ['python3', '-c', program]);
    let said = '';
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    await once(child, 'close');
    expect(said).toMatch(/"taken":true\}\nrefused\nrefused\na thread\n$/);
    await stage.ann.kill(id);
  });

  it('is ended when it takes too long, and when the job ends', async () => {
    const id = await launched(stage.root, [ranks, '1', '2', '0']);
    const late = await reader(id, ['--uid', '0'], 5);
    const [code] = await late.closed;
    expect(code).toBe(124);
    expect(existsSync(`/proc/${late.pid}`)).toBe(false);
    const other = await reader(id, ['--uid', '0']);
    await stage.root.kill(id);
    await other.closed;
    expect(existsSync(`/proc/${other.pid}`)).toBe(false);
    expect(await stage.root.wait(id)).toMatchObject({ signal: 'SIGKILL' });
  });
});

describe('a program of a user’s', () => {
  it('that its user may not read is not read', async () => {
    const closed = join(stage.folder, 'closed');
    copyFileSync(ranks, closed);
    chmodSync(closed, 0o711);
    const id = await launched(stage.ann, [closed, '1', '1', '0']);
    await expect(stacks(stage.ann, id)).rejects.toThrow(/its user may not look into it/);
    await stage.ann.kill(id);
  });

  it.each([
    [
      'with quotes, a variable and an option',
      'open "to; \\',
      '-o 0x10 $(touch x)',
      /^3 threads in exchange\(\)/,
    ],
    // Such a path can't be told gdb: without symbols the program's own functions have no names.
    [
      'with commands in lines of their own',
      'a\nquit\n',
      'b\npython gdb.execute("quit")',
      /^3 threads in .+\+0x/,
    ],
  ])('brings along no commands for gdb: names %s, a script beside it', async (_, folder, name, expected) => {
    mkdirSync(join(stage.folder, folder), { mode: 0o755 });
    const program = join(stage.folder, folder, name);
    copyFileSync(ranks, program);
    chmodSync(program, 0o755);
    writeFileSync(`${program}-gdb.py`, 'import os\nos._exit(3)\n', { mode: 0o755 });
    writeFileSync(`${program}-gdb.gdb`, 'quit\n', { mode: 0o755 });
    const id = await launched(stage.ann, [program, '1', '3', '0']);
    const text = await stacks(stage.ann, id);
    expect(text).toMatch(expected);
    expect(text.split('\n').filter((line) => /^(quit|python)/.test(line))).toEqual([]);
    await stage.ann.kill(id);
  });

  it('whose debug information is garbage ends nothing but its own reader', { timeout: 600_000 }, async () => {
    const good = readFileSync(ranks);
    const { stdout } = await run(['readelf', '-SW', ranks]);
    // What is not loaded can be anything while the program runs.
    const sections = [
      ...stdout.matchAll(/ (\.debug_\w+|\.symtab|\.strtab) +\w+ +0+ ([0-9a-f]+) ([0-9a-f]+) /g),
    ];
    expect(sections.length).toBeGreaterThan(5);
    let seed = 7;
    const random = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return seed % below;
    };
    for (let round = 0; round < 10; round++) {
      const bad = Buffer.from(good);
      for (const [, , at, size] of sections)
        for (let times = 0; times < 40 && round > 0; times++)
          bad[Number.parseInt(at!, 16) + random(Number.parseInt(size!, 16))] = random(256);
      const program = join(stage.folder, `bad-${round}`);
      writeFileSync(program, bad, { mode: 0o755 });
      const id = await launched(stage.ann, [program, '1', '1', '0']);
      const told = await stacks(stage.ann, id).catch((error: Error) => error.message);
      expect(told).toMatch(/thread in |could not be read|took too long|is not shown/);
      expect((await stage.ann.job(id)).state).toBe('running');
      await stage.ann.kill(id);
    }
    // Nothing else has noticed.
    const id = await launched(stage.bob, [ranks, '1', '1', '0']);
    expect(await stacks(stage.bob, id)).toContain('1 thread in exchange()');
    await stage.bob.kill(id);
  });
});
