/** Godwit on nodes that Slurm gives: a real controller, a real slurmd on each node, and two users. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { killAgent, restartAgent } from '../../agent/lab/lab';
import { findHierarchy } from '../../agent/machine/cgroup/hierarchy';
import { findControllers } from '../../agent/machine/cgroup/limits';
import { type Person, Stage } from '../attacks/stage';
import { compile, lineOf } from '../support/c-programs';
import { processesOf } from '../support/processes';
import { inProject } from '../support/project';
import { Slurm } from './slurm';

const NODES = ['node1', 'node2', 'node3'];
const COUNTER = inProject('test', 'slurm', 'counter.c');

let stage: Stage;
let slurm: Slurm;
let counter: string;

beforeAll(async () => {
  stage = await Stage.up('slurm');
  slurm = await Slurm.up(stage);
  counter = await compile(COUNTER, stage.folder);
}, 600_000);

afterEach(async () => {
  slurm.epilog = true;
  await slurm.clear();
  await stage.until('nothing is allocated', async () => (await slurm.states()) === 'idle');
});

afterAll(async () => {
  await slurm?.down();
  await stage?.down();
  expect(processesOf(stage.folder)).toEqual([]);
});

const jobsOf = async (person: Person, allocation?: string) => {
  const { stdout } = await slurm.godwit(person, ['ps', '-a', '--json'], allocation);
  return JSON.parse(stdout) as { id: string; name: string; node: string; state: string; exit: unknown }[];
};
const alive = async (person: Person, allocation?: string) =>
  (await jobsOf(person, allocation)).filter(({ state }) => state !== 'ended').map(({ name }) => name);

async function launch(person: Person, allocation: string, argv: string[], ...options: string[]) {
  const args = ['run', '--detach', '--json', ...options, '--', ...argv];
  const { status, stdout, stderr } = await slurm.godwit(person, args, allocation);
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as { id: string; node: string; home: string };
}

const refusal = async (person: Person, args: string[], allocation?: string) => {
  const { status, stderr } = await slurm.godwit(person, args, allocation);
  return { status, stderr: stderr.trim() };
};

/** Everything that a job of an allocation may have left in cgroups. */
async function groupsOf(allocation: string): Promise<string[]> {
  const mounts = [await findHierarchy(), ...(await findControllers()).map(({ at }) => at)];
  return [...new Set(mounts)].flatMap((at) =>
    NODES.map((node) => join(at!, 'godwit', `${stage.lab}-${node}`, `allocation_${allocation}`)).filter(
      existsSync,
    ),
  );
}

const wait = async (person: Person, job: string) => {
  const { stdout } = await slurm.godwit(person, ['wait', job, '--json']);
  return JSON.parse(stdout) as { exit: number; signal: string | null; reason?: string };
};

const consoleOf = (job: string, home = 'node1') =>
  readFileSync(join(stage.paths(home).state, 'jobs', job, 'console'), 'utf8');

describe('A user', () => {
  it('without an allocation runs nothing', async () => {
    const { status, stderr } = await refusal('ann', ['run', '--', 'true']);
    expect(status).toBe(1);
    expect(stderr).toContain('no allocation of yours is in force');
  });

  it('whose home takes no part in it runs nothing on a node that does', async () => {
    const { allocations, ...without } = stage.configOf('node1');
    await stage.configure('node1', { allocations: undefined });
    expect(without).not.toHaveProperty('allocations');
    const { stderr } = await refusal('ann', ['run', '--on', 'node2', '--', 'true']);
    expect(stderr).toContain('node2 runs jobs of users in their allocations only');
    await stage.configure('node1', { allocations });
  });

  it('uses no allocation of another’s', async () => {
    const ann = await slurm.allocate('ann', '-N1');
    await launch('ann', ann, ['sleep', '1000']);
    expect(await jobsOf('bob', ann)).toEqual([]);
    expect(JSON.parse((await slurm.godwit('bob', ['nodes', '--json'], ann)).stdout)).toEqual([]);
    expect((await refusal('bob', ['run', '--', 'true'], ann)).stderr).toBe(
      `godwit: the allocation ${ann} is over, not in force just now, or none of yours; see \`squeue --me\``,
    );
  });

  it('with one allocation need not say which', async () => {
    const ann = await slurm.allocate('ann', '-N1', '-w', 'node3');
    const { stdout } = await slurm.godwit('ann', ['run', '--detach', '--json', '--', 'sleep', '1000']);
    expect(JSON.parse(stdout)).toMatchObject({ home: 'node1', node: 'node3' });
    const other = await slurm.allocate('ann', '-N1');
    expect((await refusal('ann', ['run', '--', 'true'])).stderr).toContain(`are in force: ${ann}, ${other};`);
    const named = [
      'env',
      `GODWIT_ALLOCATION=${other}`,
      join(slurm.folder, 'godwit'),
      'run',
      '--',
      'echo',
      'there',
    ];
    expect((await slurm.as('ann', named)).stdout).toBe('there\n');
  });

  it('gains nothing by a job’s name', async () => {
    const name = 'x UserId=root(0) Nodes=node3 CPU_IDs=0-63 Mem=0 GRES=';
    const ann = await slurm.allocate('ann', '-N1', '-w', 'node1', '-J', name);
    const { stderr } = await refusal('ann', ['run', '--on', 'node3', '--', 'true'], ann);
    expect(stderr).toContain("what Slurm says of an allocation can't be used: ");
  });
});

describe('Two users', () => {
  it('side by side see nothing of each other', async () => {
    const ann = await slurm.allocate('ann', '-N2', '-w', 'node1,node2');
    const bob = await slurm.allocate('bob', '-N2', '-w', 'node2,node3');
    const hers = await launch('ann', ann, ['sleep', '1000'], '--name', 'hers');
    const his = await launch('bob', bob, ['sleep', '1000'], '--name', 'his');
    expect(his.node).not.toBe('node1');
    expect(await alive('ann', ann)).toEqual(['hers']);
    expect(await alive('ann')).toEqual(['hers']);
    expect(await alive('bob', bob)).toEqual(['his']);
    const nodes = async (person: Person, allocation: string) =>
      (
        JSON.parse((await slurm.godwit(person, ['nodes', '--json'], allocation)).stdout) as { name: string }[]
      ).map(({ name }) => name);
    expect(await nodes('ann', ann)).toEqual(['node1', 'node2']);
    expect(await nodes('bob', bob)).toEqual(['node2', 'node3']);
    for (const verb of [
      ['why', his.id, 'node2'],
      ['wait', 'his'],
      ['gdb', his.id],
      ['logs', 'his'],
      ['kill', his.id],
    ])
      expect((await refusal('ann', verb, ann)).stderr).toContain('no job "');
    const history = await slurm.godwit('ann', ['history', '--json'], ann);
    const events = JSON.parse(history.stdout) as { job: string }[];
    expect(new Set(events.map(({ job }) => job))).toEqual(new Set([hers.id]));
    expect(await jobsOf('bob', ann)).toEqual([]);
  });

  it('see in a second allocation of theirs nothing of the first', async () => {
    const [first, second] = [await slurm.allocate('ann', '-N1'), await slurm.allocate('ann', '-N1')];
    await launch('ann', first, ['sleep', '1000'], '--name', 'one');
    await launch('ann', second, ['sleep', '1000'], '--name', 'two');
    expect(await alive('ann', first)).toEqual(['one']);
    expect(await alive('ann', second)).toEqual(['two']);
    expect((await alive('ann')).sort()).toEqual(['one', 'two']);
  });
});

describe('A job', () => {
  it('is moved within its allocation under gdb, by `srun --pty`, and ends with it', async () => {
    const ann = await slurm.allocate('ann', '-N3');
    const { id } = await launch('ann', ann, [counter], '--name', 'count', '--stopped', '--on', 'node1');
    const srun = [
      'srun',
      '--pty',
      '--overlap',
      '-N1',
      '-w',
      'node2',
      join(slurm.folder, 'godwit'),
      'gdb',
      'count',
    ];
    const gdb = slurm.at('ann', [...srun, '--', '-q', '-nx', '-ex', 'set style enabled off'], ann);
    await gdb.shows('(gdb) ');
    gdb.type(`break ${lineOf(COUNTER, 'counted here')}\ncontinue\n`);
    await gdb.shows('Breakpoint 1, ');
    await gdb.shows('(gdb) ');
    for (const [at, node] of ['node2', 'node3', 'node1'].entries()) {
      const { status, stderr } = await slurm.godwit('ann', ['migrate', 'count', node], ann);
      expect(stderr).toBe('');
      expect(status).toBe(0);
      gdb.type(`continue\nprint count\n`);
      await gdb.shows(`= ${at + 2}\r\n`);
      await gdb.shows('(gdb) ');
    }
    await slurm.as('ann', ['scancel', ann]);
    expect(await wait('ann', id)).toMatchObject({ reason: `its allocation ${ann} is over` });
    await gdb.ended;
    await stage.until('nothing of it is left', async () => (await groupsOf(ann)).length === 0);
  });

  it('is moved to no other node', async () => {
    const ann = await slurm.allocate('ann', '-N2', '-w', 'node1,node2');
    const { id } = await launch('ann', ann, ['sleep', '1000'], '--on', 'node1');
    const outside = `node3 is not a node of the allocation ${ann}; its nodes are node1, node2`;
    expect((await refusal('ann', ['migrate', id, 'node3'], ann)).stderr).toContain(outside);
    expect((await refusal('ann', ['run', '--on', 'node3', '--', 'true'], ann)).stderr).toContain(outside);
    const why = JSON.parse((await slurm.godwit('ann', ['why', id, 'node3', '--json'], ann)).stdout);
    expect(why).toMatchObject({ can: false, obstacles: [{ code: 'outside-allocation' }] });
    // Root's word neither.
    await expect(stage.root.migrate(id, 'node3')).rejects.toThrow(outside);
    expect((await slurm.godwit('ann', ['migrate', id, 'best'], ann)).status).toBe(0);
    expect((await jobsOf('ann', ann)).find((job) => job.id === id)!.node).toBe('node2');
  });

  it('comes to no node that Slurm drains', async () => {
    const ann = await slurm.allocate('ann', '-N3');
    const { id } = await launch('ann', ann, ['sleep', '1000'], '--on', 'node1');
    await slurm.command('scontrol', 'update', 'nodename=node2', 'state=drain', 'reason=test');
    const drained = 'node2 takes nothing new: Slurm drains it';
    await stage.until(
      'that is known',
      async () =>
        (await refusal('ann', ['why', id, 'node2', '--json'], ann)).status === 0 &&
        (await slurm.godwit('ann', ['why', id, 'node2'], ann)).stdout.includes(drained),
    );
    expect((await refusal('ann', ['run', '--on', 'node2', '--', 'true'], ann)).stderr).toContain(drained);
    for (let round = 0; round < 4; round++)
      expect((await launch('ann', ann, ['sleep', '1000'], '--on', 'best')).node).not.toBe('node2');
    await slurm.command('scontrol', 'update', 'nodename=node2', 'state=resume');
    expect((await slurm.godwit('ann', ['migrate', id, 'node2'], ann)).status).toBe(0);
  });

  it('has what its allocation has of a node, together with the others in it', async () => {
    const ann = await slurm.allocate('ann', '-N2', '-w', 'node1,node2', '--mem=120', '-n', '3');
    const hold = (megabytes: number, node: string) =>
      launch(
        'ann',
        ann,
        [
          'python3',
          '-c',
          `held = b"x" * (${megabytes} << 20); print("held", flush=True); import signal; signal.pause()`,
        ],
        '--on',
        node,
      );
    const small = await hold(20, 'node1');
    await stage.until('it holds that', () => consoleOf(small.id).includes('held'));
    const large = await hold(115, 'node1');
    expect(await wait('ann', large.id)).toMatchObject({
      signal: 'SIGKILL',
      reason: `ended by the memory of its allocation ${ann}`,
    });
    expect(await alive('ann', ann)).toEqual(['python3']);
    const there = await hold(100, 'node2');
    await stage.until('it holds that', () => consoleOf(there.id).includes('held'));
    const { stderr } = await refusal('ann', ['migrate', there.id, 'node1'], ann);
    expect(stderr).toContain(`the allocation ${ann} has `);
    const cpus = JSON.parse(await slurm.command('sh', '-c', `squeue --noheader --format=%C --jobs=${ann}`));
    expect(cpus).toBe(3);
  });

  it('of a batch script is in its allocation', async () => {
    const script = join(stage.folder, 'ann', 'batch.sh');
    const godwit = join(slurm.folder, 'godwit');
    const text = `#!/bin/sh
${godwit} run -- sh -c 'echo here'
${godwit} nodes --json
srun ${godwit} run --detach --name left -- sleep 1000 >/dev/null
${godwit} ps --json
`;
    await stage.as('ann', 'sh', '-c', `cat >${script} <<'END'\n${text}END`);
    const output = join(stage.folder, 'ann', 'output');
    const options = ['--wait', '-N1', '-w', 'node1', '--chdir=/', `--output=${output}`];
    // A script is no task: what each of its steps gets it has to be told.
    const agent = `GODWIT_AGENT=${stage.socketOf('ann', 'node1')}`;
    const { status, stderr } = await slurm.as('ann', ['sbatch', `--export=ALL,${agent}`, ...options, script]);
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const [said, nodes, jobs] = readFileSync(output, 'utf8').trim().split('\n');
    expect(said).toBe('here');
    expect(JSON.parse(nodes!)).toMatchObject([{ name: 'node1' }]);
    // It has outlived its step, and not the script.
    expect(JSON.parse(jobs!)).toMatchObject([{ name: 'left', state: 'running' }]);
    await stage.until('all has ended', async () => (await alive('ann')).length === 0);
  });
});

describe('The end of an allocation', () => {
  /** Ends at a SIGTERM, after it has written something; or never. */
  const POLITE = ['sh', '-c', 'trap "echo asked; exit 3" TERM; echo ready; while :; do sleep 0.1; done'];
  const STUBBORN = ['sh', '-c', 'trap "" TERM; echo ready; while :; do sleep 0.1; done'];

  it.each([
    ['told by the epilog', true],
    ['found out by the agents', false],
  ])('%s asks its jobs on all nodes to end, then ends them', async (_, epilog) => {
    slurm.epilog = epilog;
    const ann = await slurm.allocate('ann', '-N3');
    const bob = await slurm.allocate('bob', '-N3');
    const polite = await launch('ann', ann, POLITE, '--on', 'node2');
    const stubborn = await launch('ann', ann, STUBBORN, '--on', 'node3');
    const stopped = await launch('ann', ann, POLITE, '--on', 'node1', '--stopped');
    await launch('bob', bob, STUBBORN, '--on', 'node2', '--name', 'his');
    for (const { id } of [polite, stubborn])
      await stage.until('it is ready', () => consoleOf(id).includes('ready'));
    await slurm.as('ann', ['scancel', ann]);
    expect(await wait('ann', polite.id)).toEqual({ id: polite.id, exit: 3, signal: null });
    expect(consoleOf(polite.id)).toBe('ready\nasked\n');
    const reason = `its allocation ${ann} is over`;
    expect(await wait('ann', stubborn.id)).toMatchObject({ signal: 'SIGKILL', reason });
    expect(await wait('ann', stopped.id)).toMatchObject({ signal: 'SIGTERM', reason });
    await stage.until('nothing of it is left', async () => (await groupsOf(ann)).length === 0);
    expect(await alive('bob', bob)).toEqual(['his']);
    // With the epilog the nodes are not another's before.
    await stage.until('nothing begins any more', async () => {
      const { stderr } = await refusal('ann', ['run', '--', 'true'], ann);
      expect(stderr).not.toBe('');
      return stderr.includes(`the allocation ${ann} is over`);
    });
  });

  it.each([
    ['by the epilog', true],
    ['without it', false],
  ])('is carried through, %s, by an agent that was killed meanwhile', async (_, epilog) => {
    slurm.epilog = epilog;
    const ann = await slurm.allocate('ann', '-N2', '-w', 'node1,node2');
    const { id } = await launch('ann', ann, STUBBORN, '--on', 'node2');
    await stage.until('it is ready', () => consoleOf(id).includes('ready'));
    await killAgent(stage.lab, 'node2');
    await slurm.as('ann', ['scancel', ann]);
    const state = epilog ? 'CG' : '';
    await stage.until(
      'Slurm has ended it',
      async () => (await slurm.command('squeue', '--noheader', '--format=%t')) === state,
    );
    expect(await alive('ann')).toEqual(['sh']);
    await restartAgent(stage.lab, 'node2');
    expect(await wait('ann', id)).toMatchObject({ signal: 'SIGKILL' });
    await stage.until('the nodes are idle, and not drained', async () => (await slurm.states()) === 'idle');
  });

  it('in the middle of a move ends the job where it is then', async () => {
    const ann = await slurm.allocate('ann', '-N2', '-w', 'node1,node2');
    const { id } = await launch('ann', ann, STUBBORN, '--on', 'node1');
    await stage.until('it is ready', () => consoleOf(id).includes('ready'));
    stage.arm('node2', 'destination.restored');
    const moving = slurm.godwit('ann', ['migrate', id, 'node2'], ann);
    await stage.stands('node2', 'destination.restored');
    await slurm.as('ann', ['scancel', ann]);
    await stage.until(
      'Slurm ends it',
      async () => (await slurm.command('squeue', '--noheader', '--format=%t')) === 'CG',
    );
    stage.letGo('node2');
    expect(await wait('ann', id)).toMatchObject({
      signal: 'SIGKILL',
      reason: `its allocation ${ann} is over`,
    });
    await moving;
    await stage.until('nothing of it is left', async () => (await groupsOf(ann)).length === 0);
  });

  it('on one node of it is that of the jobs there', async () => {
    const ann = await slurm.allocate('ann', '-N2', '-w', 'node1,node2');
    const there = await launch('ann', ann, ['sleep', '1000'], '--on', 'node2');
    const here = await launch('ann', ann, ['sleep', '1000'], '--on', 'node1', '--name', 'here');
    await slurm.command('scontrol', 'update', `jobid=${ann}`, 'nodelist=node1');
    expect(await wait('ann', there.id)).toMatchObject({ signal: 'SIGTERM' });
    expect(await alive('ann', ann)).toEqual(['here']);
    expect((await refusal('ann', ['migrate', here.id, 'node2'], ann)).stderr).toContain(
      'node2 is not a node of',
    );
  });

  it('is not its being suspended: then nothing begins', async () => {
    const ann = await slurm.allocate('ann', '-N1', '-w', 'node1');
    await launch('ann', ann, ['sleep', '1000'], '--name', 'goes on');
    await slurm.command('scontrol', 'suspend', ann);
    const begins = async () => (await refusal('ann', ['run', '--', 'true'], ann)).status === 0;
    await stage.until('that is known', async () => !(await begins()));
    const { stderr } = await refusal('ann', ['run', '--', 'true'], ann);
    expect(stderr).toContain('is over, not in force just now');
    expect(await alive('ann', ann)).toEqual(['goes on']);
    await slurm.command('scontrol', 'resume', ann);
    expect(await begins()).toBe(true);
  });

  it('is never guessed: while Slurm does not answer its jobs run on, and none begins', async () => {
    const ann = await slurm.allocate('ann', '-N1', '-w', 'node1');
    const { id } = await launch('ann', ann, POLITE, '--on', 'node1');
    await slurm.endController();
    const said = () => stage.log('node1').includes(`whether allocation ${ann} is over is not known`);
    await stage.until('the agent has asked in vain', said);
    const { stderr } = await refusal('ann', ['run', '--', 'true'], ann);
    expect(stderr).toContain('Slurm does not say which allocations there are');
    // What is there can be looked at and ended.
    expect((await jobsOf('ann', ann)).find((job) => job.id === id)!.state).toBe('running');
    await slurm.startController();
    await stage.until(
      'it answers again',
      async () => (await refusal('ann', ['run', '--on', 'node1', '--', 'true'], ann)).status === 0,
    );
    expect((await jobsOf('ann', ann)).find((job) => job.id === id)!.state).toBe('running');
  });
});

describe('Root', () => {
  it('needs no allocation, and sees all', async () => {
    const ann = await slurm.allocate('ann', '-N1');
    await launch('ann', ann, ['sleep', '1000'], '--name', 'hers');
    const { id } = await stage.root.run(['sleep', '1000'], { on: 'node3', name: 'own' });
    const names = (await stage.root.jobs()).filter(({ ended }) => ended === null).map(({ name }) => name);
    expect(names.sort()).toEqual(['hers', 'own']);
    const hers = (await stage.root.jobs()).find(({ name, ended }) => name === 'hers' && ended === null);
    expect(hers!.allocation).toBe(ann);
    await stage.root.kill(id);
  });
});
