/**
 * Agents of two versions: one takes the other's place under a job and its debugger, and they work together in a cluster,
 * or say by name what they can't do together.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { readLab } from '../../agent/lab/description';
import { isSupervised, startAgent } from '../../agent/lab/node';
import { isAlive, readIdentity } from '../../agent/machine/proc/identity';
import { FaultLab } from '../support/fault-lab';
import type { Gdb } from '../support/gdb';
import { laterBuild } from '../support/later-build';
import { inProject } from '../support/project';
import { attachedTo, debugsOn, letGo } from '../support/stepping';

const ALL_MS = 600_000;
const FIRST = { oldest: 1, newest: 1 };

let lab: FaultLab;
/** One version on, and two. */
let next: string;
let nextButOne: string;
const gdbs: Gdb[] = [];

beforeAll(async () => {
  lab = await FaultLab.up(`upgrade${process.pid}`);
  next = await laterBuild(join(lab.folder, 'next'), {
    ...{ version: '0.2.0', protocol: { oldest: 1, newest: 2 }, checkpoint: FIRST, keeper: 3 },
  });
  nextButOne = await laterBuild(join(lab.folder, 'next-but-one'), {
    ...{
      version: '0.3.0',
      protocol: { oldest: 2, newest: 3 },
      checkpoint: { oldest: 1, newest: 2 },
      keeper: 4,
    },
  });
}, ALL_MS);
afterAll(() => lab?.down());
afterEach(async () => {
  for (const gdb of gdbs.splice(0)) gdb.kill();
  await lab.recover();
});

/** The agent of another version takes the place of the one that is there, and is what is started again from now on. */
async function install(node: string, folder: string): Promise<void> {
  const known = (await readLab(lab.name))!;
  const programs = {
    ...known.programs,
    agent: join(folder, 'agent.cjs'),
    keeper: join(folder, 'keeper.cjs'),
  };
  await startAgent({ ...known, programs }, known.nodes.find(({ name }) => name === node)!);
}
const installThis = (node: string) => install(node, inProject('dist'));

/** One that this version can't speak with, which therefore can't find that it answers. */
async function installUnasked(node: string, folder: string): Promise<void> {
  await expect(install(node, folder)).rejects.toMatchObject({ code: 'node-did-not-start' });
  expect(await isSupervised(lab.name, node)).toBe(true);
}

const says = (node: string, what: RegExp) =>
  lab.comesTo(async () => (what.test(logOf(node)) ? null : `its log does not say ${what}`));

const keeperOf = async (node: string) => (await readIdentity(lab.paths(node).keeper.pidFile))!;
const logOf = (node: string) => readFileSync(lab.paths(node).agent.log, 'utf8');

/** Another keeper than this one is there. */
const replaced = (node: string, before: { pid: number }) =>
  lab.comesTo(async () => {
    const now = await keeperOf(node);
    return now.pid === before.pid || !(await isAlive(now))
      ? `the keeper of ${node} is ${now.pid} still`
      : null;
  });

const attached = (job: { id: string }, node: string) => attachedTo(lab, job, node, gdbs);

/** All are up for `node`, which has heard of each within the last seconds. */
const seesAll = (node: string) =>
  lab.comesTo(async () => {
    const { nodes } = await lab.ask(node, 'nodes.list', {});
    const bad = nodes.filter(({ state, age = 0, cpus }) => state !== 'up' || age > 20_000 || cpus === 0);
    return bad.length === 0 && nodes.length === 3 ? null : JSON.stringify(bad);
  });

const why = (home: string, job: string, node: string) => lab.ask(home, 'jobs.why', { job, node });

it(
  'an agent of the next version takes the place of one under a job and gdb; its keeper when gdb has gone',
  async () => {
    const job = await lab.run('node1', 'node1');
    const gdb = await attached(job, 'node1');
    const before = await keeperOf('node1');
    await install('node1', next);
    await debugsOn(gdb);
    expect(await keeperOf('node1')).toEqual(before);
    await says('node1', /the keeper of version \S+ stays: it holds a debugger of job/);

    await letGo(gdb);
    await replaced('node1', before);
    expect(await isAlive(before)).toBe(false);
    await job.goesOn();
    job.checkLines();
    // By the next keeper, of the same job, whose supervisor the one before had started.
    await letGo(await attached(job, 'node1'));
    await job.ends();
    await lab.leavesNothing();
  },
  ALL_MS,
);

it(
  'a job and its debugger move between versions, both ways, and all nodes hear of each other',
  async () => {
    const job = await lab.run('node2', 'node2');
    const gdb = await attached(job, 'node3');
    // To a later version's node, whose helper is another, and back; then to one that neither was.
    for (const node of ['node1', 'node2', 'node1', 'node3']) {
      await job.migrate(node);
      await debugsOn(gdb);
    }
    expect(readdirSync(lab.paths('node1').state).filter((name) => /^helper-/.test(name))).toHaveLength(2);
    for (const node of lab.nodes) await seesAll(node);
    await letGo(gdb);
    await job.ends();
    await lab.leavesNothing();
  },
  ALL_MS,
);

it(
  'a node goes back to the version before, keeper included, under a job that is away from home',
  async () => {
    const job = await lab.run('node2', 'node1');
    const before = await keeperOf('node1');
    await installThis('node1');
    await replaced('node1', before);
    await job.goesOn();
    await job.migrate('node3');
    await job.migrate('node1');
    await job.ends();
    await lab.leavesNothing();
  },
  ALL_MS,
);

it(
  'what versions can not do together is refused by name before anything is frozen',
  async () => {
    // Two versions at once: its keeper can't be asked any more, which is said; by way of the one between all is well.
    await installUnasked('node3', nextButOne);
    await says(
      'node3',
      /the keeper can't be asked: the other side speaks protocol 1, this one 2 to 3; install the version between/,
    );
    const first = await keeperOf('node3');
    await install('node3', next);
    await replaced('node3', first);
    const second = await keeperOf('node3');
    await installUnasked('node3', nextButOne);
    await replaced('node3', second);
    const here = await lab.run('node1', 'node1');
    // Two versions apart: they can't speak with each other.
    expect(await why('node1', here.id, 'node3')).toMatchObject({
      can: false,
      obstacles: [{ code: 'wrong-version', what: 'the other side speaks protocol 2 to 3, this one 1' }],
    });
    await expect(here.migrate('node3')).rejects.toMatchObject({ code: 'wrong-version' });
    here.checkLines();

    // The home speaks with both of them, who do not speak with each other.
    await install('node1', next);
    await here.migrate('node2');
    expect((await why('node1', here.id, 'node3')).obstacles).toMatchObject([
      { code: 'wrong-version', what: 'node2 speaks protocol 1, and node3 2 to 3' },
    ]);

    // One version on it goes by way of the home; and stays, as the one before does not read such checkpoints.
    await here.migrate('node1');
    await here.migrate('node3');
    expect((await why('node1', here.id, 'node1')).obstacles).toMatchObject([
      { code: 'wrong-version', what: "the source's checkpoints are of version 2, and node1 reads 1" },
    ]);
    await expect(here.migrate('node1')).rejects.toMatchObject({ code: 'wrong-version' });
    await here.ends();
  },
  ALL_MS,
);
