/** What a node tries that is a member of the cluster, with a certificate of its own, and hostile. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clientContract } from '../../agent/api/client-contract';
import type { Method, SentParams } from '../../agent/api/contract';
import type { Telling } from '../../agent/api/membership';
import { type Job, type Node, ROOT, type User } from '../../agent/api/model';
import { type PeerContract, peerContract } from '../../agent/api/peer-contract';
import { CALLERS } from '../../agent/daemon/requests/callers';
import { type Client, connectUnix, openStream } from '../../agent/wire/client';
import { outcome } from '../support/outcome';
import { Intruder } from './intruder';
import { Stage } from './stage';

let stage: Stage;
/** node3's own wire; its real agent takes no part in this. */
let rogue: Intruder;
/** Ann's, at home on node1, on node2: nothing that is tried does anything to it. */
let job: Job;
beforeAll(async () => {
  stage = await Stage.up('rogue');
  rogue = new Intruder(stage, 'node3');
  job = await annsJob();
});
afterAll(async () => {
  rogue?.close();
  await stage?.down();
});

const ann = (): User => ({ name: 'ann', ...stage.people.ann });
const annsJob = async (): Promise<Job> => {
  const { id } = await stage.ann.run(['sleep', '1000'], { on: 'node2' });
  return stage.root.job(id);
};
const stillRuns = async () =>
  expect(await stage.root.job(job.id)).toMatchObject({
    state: 'running',
    node: 'node2',
    epoch: 0,
    pinned: false,
  });

const SESSION = randomUUID();
const MACHINE = { arch: 'x64', cpuFlags: [], kernel: '6.0', criu: null };

/** Something of each kind that would do something if it were heard. */
const PAGE = { after: 0, bytes: 10_000 };

const WORDS: { [M in Method<PeerContract>]: (job: Job) => SentParams<PeerContract, M> } = {
  'jobs.kill': ({ id }) => ({ job: id, signal: 'SIGKILL', as: null }),
  'jobs.pin': ({ id }) => ({ job: id, pinned: true, as: null }),
  'jobs.balance': ({ id }) => ({ job: id, balanced: false, as: null }),
  'jobs.type': ({ id }) => ({ job: id, client: '0123456789ab', at: 0, bytes: '', redraw: false, as: null }),
  'jobs.migrate': ({ id }) => ({ job: id, node: 'node3', transfer: 'stop', as: null }),
  'jobs.console': ({ id }) => ({ job: id, offset: 0, follow: false, as: null }),
  'jobs.wait': ({ id }) => ({ job: id, as: null }),
  'jobs.stacks': ({ id }) => ({ job: id, as: null }),
  'jobs.placed': ({ id }) => ({ job: id, as: null }),
  'node.rules': () => ({ draining: true, as: null }),
  'balance.ask': ({ id }) => ({ job: id, demand: 1, memory: 0, worth: { stretch: 0, cost: 0 } }),
  'balance.room': ({ id }) => ({ job: id, cpus: null, memory: null }),
  'balance.leave': ({ id }) => ({ job: id }),
  'balance.over': ({ id }) => ({ job: id }),
  'host.uses': ({ id }) => ({ jobs: [id] }),
  'jobs.why': ({ id }) => ({ job: id, node: 'node3', as: null }),
  'jobs.history': ({ id }) => ({ job: id, as: null }),
  'jobs.show': ({ id }) => ({ job: id, as: null }),
  'home.debug': ({ id }) => ({ job: id, session: SESSION, fresh: true, as: null }),
  'home.debugGone': ({ id }) => ({ job: id, session: SESSION, pid: 2, as: null }),
  'node.status': () => ({}),
  'node.gossip': () => ({ telling: { incarnation: 0, roster: 0, statements: [], loads: [] }, whole: true }),
  'node.changed': () => ({ seen: '' }),
  'node.preflight': ({ id }) => ({
    ...{ job: id, user: ROOT, bytes: 0, limits: {}, machine: MACHINE, ports: [], address: false },
  }),
  'home.view': () => ({}),
  'home.jobs': () => ({ ended: true, ...PAGE }),
  'home.find': ({ id }) => ({ job: id }),
  'home.arrays': ({ id }) => ({ job: id }),
  'home.history': () => ({ as: null, ...PAGE }),
  'home.adopted': ({ id, epoch }) => ({ job: id, epoch: epoch + 1, as: null }),
  'home.launch': ({ id }) => ({
    job: id,
    request: { program: '/bin/true', args: [], cwd: '/', env: {}, node: 'home', stopped: false },
  }),
  'home.ended': ({ id, epoch }) => ({ job: id, epoch, exit: { exit: 0, signal: null }, lost: null }),
  'home.outcome': ({ id, epoch }) => ({ job: id, epoch }),
  'home.files': ({ id, epoch }) => ({ job: id, epoch, wire: 'w' }),
  'cluster.entries': () => ({ since: 0 }),
  'cluster.tell': () => ({ entries: [] }),
  'cluster.moved': () => ({ address: '127.0.0.1', port: 1 }),
  'cluster.renew': () => ({ request: 'x' }),
  'cluster.left': () => ({}),
  'host.launch': ({ id }) => order(id, 'node3', ROOT),
  'host.jobStatus': ({ id }) => ({ jobs: [id] }),
  'host.kill': ({ id }) => ({ job: id, signal: 'SIGKILL' }),
  'host.stacks': ({ id }) => ({ job: id }),
  'host.type': ({ id }) => ({ job: id, client: '0123456789ab', at: 0, bytes: '', redraw: false }),
  'host.preflight': ({ id }) => ({ job: id }),
  'host.debug': ({ id }) => ({ job: id, pid: 2, session: SESSION, fresh: true, by: 'node3' }),
  'host.debugGone': ({ id }) => ({ job: id, pid: 2, session: SESSION }),
  'move.toSource': ({ id, epoch }) => ({ job: id, home: 'node3', message: { type: 'discard', epoch } }),
  'move.toDestination': ({ id, epoch }) => ({
    ...{
      job: id,
      home: 'node3',
      terms: { user: ROOT, limits: {}, address: null, terminal: false },
    },
    message: { type: 'prepare', epoch: epoch + 1, from: 'node1' },
  }),
};

const order = (job: string, home: string, user: User): SentParams<PeerContract, 'host.launch'> => ({
  ...{ job, home, user, epoch: 0, program: '/bin/sleep', args: ['1000'], cwd: '/', env: {} },
  ...{ stopped: false, allowIoUring: false, terminal: false, limits: {}, address: null, mounts: [] },
  ...{ console: '/dev/null', status: '/dev/null', init: '/bin/true' },
});

const say = (client: Client<PeerContract>, method: Method<PeerContract>, job: Job) =>
  outcome(client.call(method, WORDS[method](job) as never));

/** Where each is to be heard: at the job's home, or at its host. */
const listener = (method: string) => (/^(jobs|home)\./.test(method) ? 'node1' : 'node2');
const methodsOf = (...who: string[]) =>
  (Object.keys(peerContract) as Method<PeerContract>[]).filter((method) => who.includes(CALLERS[method].who));

describe('a node that is neither home nor host of a job', () => {
  it.each(methodsOf('home', 'host'))('says %s for nothing', async (method) => {
    const client = await rogue.dial(listener(method));
    expect(await say(client, method, job)).toBe('not-your-job');
    await stillRuns();
  });

  it('can’t claim to be the home', async () => {
    const client = await rogue.dial('node2');
    for (const method of ['host.launch', 'move.toSource', 'move.toDestination'] as const) {
      const params = { ...(WORDS[method](job) as object), home: 'node1', job: 'aaaaaaaaaa' };
      expect(await outcome(client.call(method, params as never))).toBe('not-home');
    }
    await stillRuns();
  });

  it('learns nothing of the job from its host', async () => {
    const client = await rogue.dial('node2');
    expect(await client.call('host.jobStatus', { jobs: [job.id] })).toEqual({ statuses: [] });
    const home = await rogue.dial('node2', 'node1');
    expect((await home.call('host.jobStatus', { jobs: [job.id] })).statuses).toHaveLength(1);
  });

  it('can’t have its word passed on by a node that others listen to', async () => {
    const client = await rogue.dial('node2');
    // Root of any member is root, unless a node takes no word of it (below).
    for (const method of methodsOf('origin').filter((name) => name !== 'node.rules'))
      expect([method, await say(client, method, job)]).toEqual([method, 'no-such-job']);
    await stillRuns();
  });

  it('asks nothing that only clients ask', async () => {
    const client = await rogue.dial('node2');
    const calls = client as unknown as { call(method: string, params: object): Promise<unknown> };
    const asked = ['cluster.watch', 'nodes.list', 'jobs.list', 'jobs.run', 'debug.open', 'debug.stay'];
    for (const method of asked) {
      // The contract that this side knows has no such method, which is no matter to what is sent.
      Object.assign(peerContract, { [method]: peerContract['node.status'] });
      expect([method, await outcome(calls.call(method, {}))]).toEqual([method, 'no-such-method']);
      delete (peerContract as Record<string, unknown>)[method];
    }
  });
});

describe('a host', () => {
  it('can’t say that a job ended as soon as it is no longer there', async () => {
    const { id } = await stage.ann.run(['sleep', '1000'], { on: 'node3' });
    await stage.ann.migrate(id, 'node2');
    const client = await rogue.dial('node1');
    expect(await say(client, 'home.ended', await stage.root.job(id))).toBe('not-your-job');
    expect(await stage.root.job(id)).toMatchObject({ state: 'running', node: 'node2' });
    await stage.ann.kill(id);
  });

  it('opens no stream with a ticket that another node was given', async () => {
    const asNode2 = new Intruder(stage, 'node2');
    try {
      const client = await asNode2.dial('node1');
      const asked = { job: job.id, offset: 0, follow: false, as: ann() };
      const { ticket } = await client.call('jobs.console', asked);
      const stolen = openStream(await rogue.endpoint('node1', rogue.tls('node3')), ticket);
      expect(await outcome(stolen)).toBe('ticket-refused');
      const own = await openStream(await asNode2.endpoint('node1', asNode2.tls('node2')), ticket);
      own.destroy();
    } finally {
      asNode2.close();
    }
  });
});

describe('users and root of a node', () => {
  it('have there the rights of who they are said to be, and root under any name is root', async () => {
    const client = await rogue.dial('node1');
    const bob = { name: 'bob', ...stage.people.bob };
    const kill = (as: User | null) =>
      outcome(client.call('jobs.kill', { job: job.id, signal: 'SIGKILL', as }));
    expect(await kill(bob)).toBe('not-yours');
    for (const uid of [2 ** 32, 2 ** 32 - 1, -1]) expect(await kill({ ...bob, uid })).toBe('bad-message');
    await stillRuns();
    const { id } = await annsJob();
    const asked = { job: id, signal: 'SIGKILL', as: { ...bob, uid: 0 } };
    expect(await outcome(client.call('jobs.kill', asked))).toBe('done');
  });

  it('ask nothing of a node that accepts nothing from theirs, and are told so', async () => {
    await stage.reconfigure('node1', (config) => ({ ...config, acceptFrom: ['node2'] }));
    try {
      const client = await rogue.dial('node1');
      for (const method of methodsOf('origin'))
        expect([method, await say(client, method, job)]).toEqual([method, 'not-accepted']);
      const launched = client.call('host.launch', order('aaaaaaaaaa', 'node3', ann()));
      expect(await outcome(launched)).toBe('not-accepted');
      const { terms, message } = WORDS['move.toDestination'](job);
      const moved = client.call('move.toDestination', { job: 'aaaaaaaaaa', home: 'node3', terms, message });
      expect(await outcome(moved)).toBe('not-accepted');
      await stillRuns();
    } finally {
      await stage.reconfigure('node1', ({ acceptFrom: _, ...config }) => config);
    }
  });

  it('root of another node has no rights where no jobs of root are taken', async () => {
    const roots = await stage.root.run(['sleep', '1000'], { on: 'node2' });
    await stage.reconfigure('node1', (config) => ({ ...config, acceptRootJobs: false }));
    try {
      const client = await rogue.dial('node1');
      for (const method of methodsOf('origin'))
        expect([method, await say(client, method, job)]).toEqual([method, 'root-refused']);
      const asked = { job: roots.id, signal: 'SIGKILL', as: { ...ROOT, name: 'ann' } };
      expect(await outcome(client.call('jobs.kill', asked))).toBe('root-refused');
      // Said before anything is frozen, by name; and a node that does not ask first is refused all the same.
      const { obstacles } = await stage.root.why(roots.id, 'home');
      expect(obstacles).toEqual([expect.objectContaining({ code: 'root-jobs-refused' })]);
      await expect(stage.root.migrate(roots.id, 'home')).rejects.toThrow(/node1 runs no jobs of root/);
      await expect(stage.root.run(['true'])).rejects.toThrow(/node1 runs no jobs of root/);
      const launched = client.call('host.launch', order('aaaaaaaaaa', 'node3', { ...ann(), uid: 0 }));
      expect(await outcome(launched)).toBe('root-jobs-refused');
      const { terms, message } = WORDS['move.toDestination'](job);
      const moved = client.call('move.toDestination', { job: 'aaaaaaaaaa', home: 'node3', terms, message });
      expect(await outcome(moved)).toBe('root-jobs-refused');
      await stillRuns();
      // Its own root is root, and users' jobs come and go.
      await stage.root.kill(roots.id);
      const { id } = await stage.ann.run(['sleep', '1000'], { on: 'node2' });
      expect((await stage.ann.migrate(id, 'node1')).to).toBe('node1');
      await stage.ann.kill(id);
    } finally {
      await stage.reconfigure('node1', ({ acceptRootJobs: _, ...config }) => config);
    }
  });
});

describe('a node', () => {
  it('does not come to be where another is', async () => {
    const client = await rogue.dial('node1');
    for (const other of ['node1', 'node2']) {
      const { host: address, port } = stage.configOf(other).listen;
      expect(await outcome(client.call('cluster.moved', { address, port }))).toBe('place-taken');
    }
    expect(await nodesSeen()).toEqual(['node1', 'node2', 'node3']);
  });
});

describe('a node that is taken off the list', () => {
  beforeAll(() => stage.listMembers());

  it('is cut off at once, calls and streams, and heard no more; put back it is a member again', async () => {
    const client = await rogue.dial('node1');
    const asked = { job: job.id, offset: 0, follow: true, as: null };
    const { ticket } = await client.call('jobs.console', asked);
    const stream = await openStream(await rogue.endpoint('node1', rogue.tls('node3')), ticket);
    const cut = new Promise((resolve) => stream.once('close', resolve));
    const members = stage.configOf('node1').members!;

    await stage.reconfigure('node1', (config) => ({
      ...config,
      members: members.filter(({ name }) => name !== 'node3'),
    }));
    try {
      await client.closed;
      await cut;
      expect(await outcome(rogue.dial('node1'))).toBe('not-a-member');
      const again = openStream(await rogue.endpoint('node1', rogue.tls('node3')), ticket);
      expect(await outcome(again)).toBe('not-a-member');
      expect(stage.log('node1')).toMatch(/connection was refused: node3 is none of the nodes/);
      expect(await nodesSeen()).toEqual(['node1', 'node2']);
      await expect(stage.root.migrate(job.id, 'node3')).rejects.toThrow(/no node "node3"/);
    } finally {
      await stage.reconfigure('node1', (config) => ({ ...config, members }));
    }
    expect(await outcome(rogue.dial('node1'))).toBe('done');
    const { id } = await stage.ann.run(['sleep', '1000'], { on: 'node3' });
    await stage.ann.kill(id);
  });

  it('or whose key is another now, too', async () => {
    const client = await rogue.dial('node1');
    const members = stage.configOf('node1').members!;
    const key = `sha256:${'0'.repeat(64)}`;
    await stage.reconfigure('node1', (config) => ({
      ...config,
      members: members.map((member) => (member.name === 'node3' ? { ...member, key } : member)),
    }));
    try {
      await client.closed;
      expect(await outcome(rogue.dial('node1'))).toBe('not-a-member');
      // Nor is it spoken to.
      await expect(stage.root.run(['true'], { on: 'node3' })).rejects.toThrow(/has the key .*0000 is pinned/);
    } finally {
      await stage.reconfigure('node1', (config) => ({ ...config, members }));
    }
  });

  it('stays off it when the next configuration can’t be read', async () => {
    const { members = [], ...rest } = stage.configOf('node1');
    await stage.reconfigure('node1', () => ({
      ...rest,
      members: members.filter(({ name }) => name !== 'node3'),
    }));
    try {
      for (const broken of [
        '{',
        JSON.stringify({ ...rest, members: [] }),
        JSON.stringify({ ...rest, members, name: 'node2' }),
      ]) {
        await stage.reconfigure('node1', broken);
        expect(stage.log('node1')).toContain('the configuration stays as it was: ');
        expect(await outcome(rogue.dial('node1'))).toBe('not-a-member');
      }
    } finally {
      await stage.reconfigure('node1', () => ({ ...rest, members }));
    }
    expect(await outcome(rogue.dial('node1'))).toBe('done');
  });
});

describe('what a node says of others', () => {
  const nodesOfNode1 = async (): Promise<Node[]> => {
    const client = await connectUnix(stage.paths('node1').agent.socket, {
      ...{ name: 'test', kind: 'client', contract: clientContract },
    });
    const { nodes } = await client.call('nodes.list', {});
    client.close();
    return nodes;
  };
  const say = (client: Client<PeerContract>, telling: Partial<Telling>) => {
    const plain = { incarnation: 0, roster: 0, statements: [], loads: [] };
    return client.call('node.gossip', { telling: { ...plain, ...telling }, whole: true });
  };
  const ofNode2 = async () => (await nodesOfNode1()).find(({ name }) => name === 'node2')!;

  it('makes none that answers down, in whatever incarnation, and is void when that one objects', async () => {
    const client = await rogue.dial('node1');
    const seen = new Set<string>();
    for (let lie = 0; lie < 100; lie++) {
      const { telling } = await say(client, {});
      const known = telling.statements.find(([name]) => name === 'node2')?.[2] ?? 0;
      for (const incarnation of [known, known + 1, Number.MAX_SAFE_INTEGER])
        await say(client, { statements: [['node2', 'dead', incarnation, 'node1']] });
      seen.add((await ofNode2()).state);
    }
    expect(seen).toContain('suspect');
    expect(seen).not.toContain('down');
    await stage.until('node2 up again', async () => (await ofNode2()).state === 'up');
  });

  it('is nothing about nodes that are not listed, nor about the one that it is told to', async () => {
    const client = await rogue.dial('node1');
    await say(client, {
      statements: [
        ['node9', 'alive', 3, 'node9'],
        ['node1', 'dead', 0, 'node3'],
      ],
      loads: [
        ['node9', 0, 1, 1, 0, 1, 1, 0],
        ['node1', 0, 4_096, 1, 0, 1, 1, 0],
      ],
    });
    const nodes = await nodesOfNode1();
    expect(nodes.map(({ name }) => name)).toEqual(['node1', 'node2', 'node3']);
    expect(nodes[0]).toMatchObject({ state: 'up' });
    expect(nodes[0]!.cpus).toBeLessThan(4_096);
  });

  it('about another’s load is what that one says, as soon as it does', async () => {
    const client = await rogue.dial('node1');
    await say(client, { loads: [['node2', 0, 4_096, 1, 0, 1, 1, 0]] });
    await stage.until('node2’s own figures', async () => (await ofNode2()).cpus < 4_096);
  });
});

async function nodesSeen(): Promise<string[]> {
  const client = await connectUnix(stage.paths('node1').agent.socket, {
    ...{ name: 'test', kind: 'client', contract: clientContract },
  });
  const { nodes } = await client.call('nodes.list', {});
  client.close();
  return nodes.map(({ name }) => name);
}
