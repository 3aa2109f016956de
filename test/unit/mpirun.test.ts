/** What `godwit mpirun` makes of its words, with an mpirun that only says who it is. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { settings } from '../../agent/command/mpi/open-mpi';
import { aJob, aNode, FakeAgent } from './cli-fixture';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-mpirun-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function mpirunThatSays(words: string) {
  const file = join(folder, 'mpirun');
  writeFileSync(file, `#!/bin/sh\necho '${words}'\n`);
  chmodSync(file, 0o755);
}
const OPEN_MPI = 'mpirun (Open MPI) 4.1.4';

async function asked(words: string[]) {
  const agent = await FakeAgent.start({
    'nodes.list': () => ({
      nodes: [
        aNode({ name: 'node1', cpus: 4 }),
        aNode({ name: 'node2', cpus: 0.5 }),
        aNode({ name: 'node3', state: 'draining' }),
      ],
    }),
    'jobs.run': () => aJob({ id: 'abcdefghij' }),
  });
  const path = `${folder}:${process.env.PATH}`;
  const { stderr } = await agent.godwit(['mpirun', ...words], {
    env: { PATH: path, OMPI_MCA_btl: 'self,vader' },
  });
  return { stderr, request: agent.params('jobs.run')[0] as Record<string, unknown> | undefined };
}

it('takes its own leading options, and leaves all others to mpirun', async () => {
  mpirunThatSays(OPEN_MPI);
  const words = ['-n', '2', '--on', 'here', 'sim', '--json', '--name', 'x'];
  const { request } = await asked(['--on', 'node2,node1', '--name', 'set', ...words]);
  expect(request).toMatchObject({
    program: join(folder, 'mpirun'),
    args: ['-H', 'node2:1,node1:4', ...words],
    ...{ name: 'set', group: 'set', address: 'auto', hostname: 'godwit-mpirun' },
  });
  const { env } = request as { env: Record<string, string> };
  expect(env).toMatchObject({ OMPI_MCA_plm: 'rsh', OMPI_MCA_btl: 'self,vader', OMPI_MCA_pml: 'ob1' });
  expect(env.OMPI_MCA_plm_rsh_agent).toMatch(/ mpi-daemon$/);
});

it('goes over the nodes that take jobs', async () => {
  mpirunThatSays(OPEN_MPI);
  expect((await asked(['sim'])).request).toMatchObject({ args: ['-H', 'node1:4,node2:1', 'sim'] });
});

it.each([
  [
    'mpirun (Open MPI) 5.0.1',
    [],
    /is none of Open MPI 4: it says "mpirun \(Open MPI\) 5.0.1"; .*openmpi-bin/,
  ],
  ['HYDRA build details:', [], /is none of Open MPI 4/],
  [OPEN_MPI, ['--on', 'node9'], /no node "node9"; the nodes are node1, node2, node3/],
])('launches nothing with %s %j', async (version, words, why) => {
  mpirunThatSays(version);
  const { stderr, request } = await asked([...words, 'sim']);
  expect(stderr).toMatch(why);
  expect(request).toBeUndefined();
});

it('is not installed where a space would take its command apart', () => {
  expect(() => settings({}, ['/usr/bin/node', '/my folder/godwit', 'mpi-daemon'])).toThrow(/at spaces/);
});
