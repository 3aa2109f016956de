/** A client that watches one agent is told of every job of the cluster, wherever its home and its host are. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { clientContract } from '../../agent/api/client-contract';
import { type ClusterSnapshot, clientEvents } from '../../agent/api/client-events';
import type { Job } from '../../agent/api/model';
import { nodePaths } from '../../agent/lab/description';
import { connectUnix } from '../../agent/wire/client';
import { Godwit } from '../support/godwit';

const LAB = `watch-${process.pid}`;
/** What a person does not call late; a watcher that only looked each second would be late by half of one. */
const SOON_MS = 250;
const PATIENCE_MS = 90_000;
/** For one snapshot an agent asks each of three nodes for several things, which others have to ask for in turn. */
const QUESTIONS = 10;
/** Whatever is slept through: enough for moves, and over by itself should a test leave it. */
const SLEEPER = ['/bin/sleep', '120'];

const socketOf = (node: string) => nodePaths(LAB, node).agent.socket;
/** Asks the home of the jobs. */
const godwit = new Godwit({ agent: socketOf('node2') });
/** A folder that the home has, as it has no other of this machine's. */
const cwd = '/';
const endings: (() => void)[] = [];

beforeAll(() => Godwit.labUp(LAB));
afterEach(() => {
  for (const end of endings.splice(0)) end();
});
afterAll(() => Godwit.labDown(LAB));

/** Everything that an agent says, from the moment it is asked to. */
async function watch(node: string) {
  const events = clientEvents;
  const client = await connectUnix(socketOf(node), {
    name: 'test',
    kind: 'client',
    contract: clientContract,
    events,
  });
  endings.push(() => client.close());
  const snapshots: ClusterSnapshot[] = [];
  client.on('cluster', (snapshot) => snapshots.push(snapshot));
  await client.call('cluster.watch', {});
  /** The first snapshot, from the `from`th on, in which the job is as asked for. */
  const see = async (
    what: string,
    id: string,
    is: (job: Job, snapshot: ClusterSnapshot) => boolean,
    from = 0,
  ) => {
    const deadline = performance.now() + PATIENCE_MS;
    for (; performance.now() < deadline; await sleep(10)) {
      const found = snapshots.slice(from).find((snapshot) => {
        const job = snapshot.jobs.find((one) => one.id === id);
        return job !== undefined && is(job, snapshot);
      });
      if (found) return found;
    }
    throw new Error(`never seen: ${what}; last: ${JSON.stringify(snapshots.at(-1))}`);
  };
  return { client, snapshots, see };
}

const late = (snapshot: ClusterSnapshot, time: string) => Date.parse(snapshot.time) - Date.parse(time);
const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

it('sees launches, moves and ends of jobs of another home, soon after they happen', async () => {
  const { client, snapshots, see } = await watch('node3');
  const lateness: number[] = [];
  const answers: number[] = [];
  for (let round = 0; round < 3; round++) {
    const { id } = await godwit.run(SLEEPER, { name: `round${round}`, cwd });
    const launched = await see('launched', id, ({ state }) => state === 'running');
    expect(launched.jobs.find((job) => job.id === id)).toMatchObject({ home: 'node2', node: 'node2' });

    await godwit.migrate(id, 'node1');
    const moving = await see('moving', id, ({ state }, { moves }) => state === 'moving' && moves.length > 0);
    expect(moving.moves).toMatchObject([{ job: id, from: 'node2', to: 'node1', epoch: 1 }]);
    const moved = await see('moved', id, ({ node, state }) => node === 'node1' && state === 'running');
    expect(moved.moves).toEqual([]);

    await godwit.kill(id, 'SIGTERM');
    await godwit.wait(id);
    const ended = await see('ended', id, ({ state }) => state === 'ended');
    expect(ended.jobs.find((job) => job.id === id)!.exit).toEqual({ exit: 143, signal: 'SIGTERM' });

    const asked = performance.now();
    await client.call('jobs.list', { ended: true });
    answers.push(performance.now() - asked);
    const history = await godwit.history(id);
    const timeOf = (event: string) => history.find((one) => one.event === event)!.time;
    lateness.push(late(launched, timeOf('launched')), late(moving, timeOf('move-intent')));
    lateness.push(late(moved, timeOf('move-thawed')), late(ended, timeOf('ended')));
  }
  expect(Math.min(...lateness)).toBeGreaterThanOrEqual(0);
  // On a machine on which each question takes long, so does each that a watch asks.
  expect(median(lateness)).toBeLessThan(Math.max(SOON_MS, QUESTIONS * median(answers)));
  const phases = new Set(snapshots.flatMap(({ moves }) => moves.map(({ phase }) => phase)));
  expect(phases).toContain('sending');
  expect(phases).toContain('restoring');
});

it('sees a program stop and go on', async () => {
  const { id } = await godwit.run(SLEEPER, { on: 'node1', cwd });
  const { snapshots, see } = await watch('node3');
  await see('running', id, ({ state }) => state === 'running');
  await godwit.kill(id, 'SIGSTOP');
  await see('stopped', id, ({ state }) => state === 'stopped');
  const then = snapshots.length;
  await godwit.kill(id, 'SIGCONT');
  await see('going on', id, ({ state }) => state === 'running', then);
  await godwit.kill(id, 'SIGTERM');
});

it('tells each second how busy the nodes are, to everyone who watches', async () => {
  const [one, other] = [await watch('node1'), await watch('node1')];
  const { id } = await godwit.run(['/bin/sh', '-c', 'while :; do :; done'], { on: 'node3', cwd });
  const busy = await one.see('busy', id, ({ cpu }) => cpu > 0.1);
  expect(busy.nodes.map(({ name, state }) => `${name} ${state}`)).toEqual([
    'node1 up',
    'node2 up',
    'node3 up',
  ]);
  await other.see('busy', id, ({ cpu }) => cpu > 0.1);
  const before = one.snapshots.length;
  await sleep(3_000);
  expect(one.snapshots.length - before).toBeGreaterThanOrEqual(2);
  await godwit.kill(id);
});

it('says nothing to those who have gone, and everything to those who come back', async () => {
  const { snapshots, see, client } = await watch('node1');
  const { id } = await godwit.run(SLEEPER, { cwd });
  await see('running', id, ({ state }) => state === 'running');
  client.close();
  const heard = snapshots.length;
  await godwit.kill(id, 'SIGTERM');
  await godwit.wait(id);
  expect(snapshots).toHaveLength(heard);
  // A client that connects again is told at once.
  const again = await watch('node1');
  await again.see('ended', id, ({ state }) => state === 'ended');
});
