/** MPI programs: mpirun and its daemons are jobs, which move in the middle of collective operations, and have one end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { LabOfJobs } from '../support/lab-of-jobs';
import { run } from '../support/processes';
import { inProject } from '../support/project';
import { says } from '../support/rounds';

const LIMIT_MS = 1_200_000;
/** Four commands of Node.js and three daemons begin at once, on a machine that may be busy. */
const SOON_MS = 400_000;

const lab = new LabOfJobs('mpirun');
let program = '';
/** The commands that run, with what each printed. */
const running: ChildProcess[] = [];

beforeAll(async () => {
  program = join(lab.folder, 'allreduce');
  const source = inProject('test', 'programs', 'allreduce.c');
  const { status, stderr } = await run(['mpicc', '-O1', '-g', '-Wall', '-Wextra', '-o', program, source]);
  if (status !== 0) throw new Error(`mpicc: ${stderr}`);
});
afterEach(async () => {
  for (const child of running.splice(0)) child.kill('SIGKILL');
  for (const { id } of await jobs()) await lab.godwit.kill(id).catch(() => {});
});

const jobs = () => lab.godwit.jobs().then((all) => all.filter(({ state }) => state !== 'ended'));

interface Set {
  child: ChildProcess;
  output: string;
  stop: string;
  ended: Promise<unknown[]>;
}

/** Three processes on three nodes, which have come to their first rounds. */
async function begun(name: string): Promise<Set> {
  const [output, stop] = [join(lab.folder, `${name}.out`), join(lab.folder, `${name}.stop`)];
  writeFileSync(output, '');
  const args = ['mpirun', '--on', 'node1,node2,node3', '--name', name, '-n', '3', '--map-by', 'node'];
  const child = spawn(process.execPath, [inProject('dist', 'godwit.cjs'), ...args, program, stop], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      GODWIT_AGENT: lab.agent,
      OMPI_ALLOW_RUN_AS_ROOT: '1',
      OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
      // Three processes that wait for each other on two cores.
      OMPI_MCA_mpi_yield_when_idle: '1',
    },
  });
  running.push(child);
  const file = createWriteStream(output, { flags: 'a' });
  child.stdout!.pipe(file, { end: false });
  child.stderr!.pipe(file, { end: false });
  const ended = once(child, 'exit');
  await says(output, 'round 10\n', SOON_MS);
  return { child, output, stop, ended };
}

/** The last round that it has told of. */
const roundIn = (output: string) =>
  Number(
    readFileSync(output, 'utf8')
      .match(/(?<=^round )\d+$/gm)
      ?.at(-1) ?? -1,
  );

/** It has come further than it was when this was called. */
async function goesOn({ output }: Set): Promise<void> {
  const before = roundIn(output);
  for (const late = Date.now() + SOON_MS; roundIn(output) < before + 20; await sleep(100))
    if (Date.now() > late) throw new Error(`it stands at round ${before}`);
}

async function nothingIsLeft(): Promise<void> {
  for (const late = Date.now() + SOON_MS; ; await sleep(200)) {
    const left = await jobs();
    if (left.length === 0) return;
    if (Date.now() > late) throw new Error(`left: ${left.map(({ name }) => name).join()}`);
  }
}

describe('a set of MPI processes', () => {
  it('moves in the middle of its sums, each daemon and mpirun itself, and all are right', {
    timeout: LIMIT_MS,
  }, async () => {
    const set = await begun('sums');
    const all = await jobs();
    const first = all.find(({ name }) => name === 'sums')!;
    expect(all.map(({ name }) => name).sort()).toEqual(['sums', 'sums.node1', 'sums.node2', 'sums.node3']);
    for (const { group, address } of all) {
      expect(group).toEqual({ id: first.id, name: 'sums' });
      expect(address).not.toBeNull();
    }
    const shown = await lab.godwit.text(['ps']);
    expect(shown.match(/^\w+ +(└ )?sums/gm)?.map((row) => row.includes('└'))).toEqual([
      false,
      true,
      true,
      true,
    ]);
    for (const [name, to] of [
      ['sums.node1', 'node2'],
      ['sums.node2', 'node3'],
      ['sums.node3', 'node1'],
      ['sums', 'node3'],
    ] as const) {
      expect((await lab.godwit.migrate(name, to, SOON_MS)).to).toBe(to);
      await goesOn(set);
    }
    writeFileSync(set.stop, '');
    expect(await set.ended).toEqual([0, null]);
    const said = readFileSync(set.output, 'utf8');
    for (const rank of [0, 1, 2]) expect(said).toContain(`rank ${rank} of 3 on node${rank + 1}\n`);
    expect(said).toContain('right to the end\n');
    await nothingIsLeft();
  });

  it.each([
    ['a daemon is killed', 'ends.node2', 'SIGKILL'],
    ['mpirun is killed', 'ends', 'SIGKILL'],
    ['mpirun is told to end', 'ends', 'SIGTERM'],
  ])('ends as one when %s', { timeout: LIMIT_MS }, async (_what, whom, signal) => {
    const set = await begun('ends');
    await lab.godwit.kill(whom, signal);
    const [status] = await set.ended;
    expect(status).not.toBe(0);
    await nothingIsLeft();
  });

  it('ends as one at Ctrl-C', { timeout: LIMIT_MS }, async () => {
    const set = await begun('cut');
    set.child.kill('SIGINT');
    const [status] = await set.ended;
    expect(status).not.toBe(0);
    await nothingIsLeft();
  });
});

it('where there is no Open MPI it is said what to install', async () => {
  const command = ['env', 'PATH=/nowhere', process.execPath, inProject('dist', 'godwit.cjs'), 'mpirun', 'x'];
  const { status, stderr } = await run(command);
  expect([status, stderr]).toEqual([1, expect.stringMatching(/no mpirun in PATH; .*openmpi-bin/)]);
});
