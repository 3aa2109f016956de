/** A cluster that is upgraded machine by machine: who joins whom, and what a person is told meanwhile. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { compile } from '../support/c-programs';
import type { Gdb } from '../support/gdb';
import { laterBuild } from '../support/later-build';
import { Machines } from '../support/machines';
import { inProject } from '../support/project';

const ALL_MS = 600_000;
const SOON = { timeout: 120_000, interval: 100 };
const CLUSTER = `upgraded${process.pid}`;
const FIRST = { oldest: 1, newest: 1 };

let machines: Machines;
/** Where machines see it that have files of their own. */
let folder: string;
let next: string;
let nextButOne: string;
let numbers: string;
const gdbs: Gdb[] = [];

beforeAll(async () => {
  folder = mkdtempSync('/var/lib/godwit/upgraded-');
  next = await laterBuild(join(folder, 'next'), {
    ...{ version: '0.2.0', protocol: { oldest: 1, newest: 2 }, checkpoint: FIRST, keeper: 3 },
  });
  nextButOne = await laterBuild(join(folder, 'next-but-one'), {
    ...{ version: '0.3.0', protocol: { oldest: 2, newest: 3 }, checkpoint: FIRST, keeper: 4 },
  });
  numbers = await compile(inProject('test', 'fixtures', 'programs', 'numbers.c'), folder);
  machines = await Machines.make(CLUSTER, 4);
}, ALL_MS);
afterEach(() => {
  for (const gdb of gdbs.splice(0)) gdb.kill();
});
afterAll(async () => {
  await machines?.remove();
  rmSync(folder, { recursive: true, force: true });
});

const said = async (number: number, ...args: string[]) => {
  const { status, stdout, stderr } = await machines.command(number, ...args);
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
};
const at = (number: number) => ['--agent', machines.machine(number).socket, '--json'];
const name = (number: number) => machines.machine(number).name;
const token = async (): Promise<string> => (await said(1, 'cluster', 'token', ...at(1))).token;
const joins = async (number: number) =>
  machines.command(number, 'cluster', 'join', await token(), ...machines.options(number));
/** From where its programs are now. */
async function restart(number: number): Promise<void> {
  const { config } = machines.machine(number);
  const { status, stderr } = await machines.command(
    ...([number, 'agent', '--config', config, '--start', '--no-service'] as const),
  );
  expect([status, stderr]).toEqual([0, expect.anything()]);
}
/** `numbers`, asked to end: `wait` has its own status. */
async function endsWell(job: string, number: number): Promise<void> {
  await said(number, 'kill', job, ...at(number));
  expect((await machines.command(number, 'wait', job, ...at(number))).status).toBe(7);
}
const allUp = (number: number, count: number) =>
  vi.waitFor(async () => {
    const nodes: { state: string; age?: number }[] = await said(number, 'nodes', ...at(number));
    expect(nodes.filter(({ state, age = 0 }) => state === 'up' && age < 20_000)).toHaveLength(count);
  }, SOON);

it(
  'a machine of the next version joins one of this, and jobs move between them',
  async () => {
    await said(1, 'cluster', 'init', ...machines.options(1));
    machines.install(2, next);
    const { status, stderr } = await joins(2);
    expect([status, stderr]).toEqual([0, expect.anything()]);
    for (const number of [1, 2]) await allUp(number, 2);
    const job = (await said(1, 'run', '--detach', ...at(1), '--', numbers)).id;
    for (const to of [2, 1]) await said(2, 'migrate', job, name(to), ...at(2));
    await endsWell(job, 2);
  },
  ALL_MS,
);

it(
  'one of a version that has nothing in common with it is refused by name, and nothing is left of that',
  async () => {
    machines.install(3, nextButOne);
    const { status, stderr } = await joins(3);
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /the other side speaks protocol 1, this one 2 to 3.*upgrade the older of the two/s,
    );
    const { state } = machines.machine(3);
    const left = existsSync(state) ? readdirSync(state).filter((file) => file !== 'software') : [];
    expect(left).toEqual([]);
    expect(await said(1, 'nodes', ...at(1))).toHaveLength(2);
  },
  ALL_MS,
);

it(
  'the first machine is upgraded under a job that is debugged: who asks is told of its keeper until that has gone',
  async () => {
    const job = (await said(1, 'run', '--detach', ...at(1), '--', numbers)).id;
    const gdb = await machines.godwit(1).gdb(job);
    gdbs.push(gdb);
    await gdb.do('break say');
    expect(await gdb.do('continue')).toContain('say ()');
    machines.install(1, next);
    await restart(1);
    const keeper = async () => (await said(1, 'cluster', 'status', ...at(1))).keeper;
    await vi.waitFor(async () => {
      expect(await keeper()).toEqual({
        version: expect.any(String),
        holds: `it holds a debugger of job ${job}`,
      });
    }, SOON);
    const { stdout } = await machines.command(1, 'cluster', 'status', ...at(1).slice(0, 2));
    expect(stdout).toMatch(/^keeper of \S+: of version \S+, stays as it holds a debugger of job/m);
    expect(await gdb.do('next')).toContain('printf("line');
    await gdb.do('delete');
    await gdb.do('detach');
    await gdb.quit();
    await vi.waitFor(async () => expect(await keeper()).toBeUndefined(), SOON);
    await endsWell(job, 2);
  },
  ALL_MS,
);

it(
  'to the upgraded one a machine of this version joins, and one of the next but one',
  async () => {
    for (const number of [3, 4]) expect(await joins(number)).toMatchObject({ status: 0 });
    for (const number of [1, 2, 3, 4]) {
      // By datagrams all hear of all, also those who could not call each other.
      await allUp(number, 4);
    }
    const job = (await said(1, 'run', '--detach', ...at(1), '--', numbers)).id;
    await said(1, 'migrate', job, name(4), ...at(1));
    const { can, obstacles } = await said(1, 'why', job, name(3), ...at(1));
    expect([can, obstacles.map(({ code }: { code: string }) => code)]).toEqual([false, ['wrong-version']]);
    await said(1, 'migrate', job, name(2), ...at(1));
    await said(1, 'migrate', job, name(3), ...at(1));
    await endsWell(job, 3);
  },
  ALL_MS,
);
