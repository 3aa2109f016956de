/** Allocations: what Slurm's commands print, what follows of it for a node, and what their users see. */
import { EventEmitter } from 'node:events';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ClusterSnapshot } from '../../agent/api/client-events';
import type { CallerConnection } from '../../agent/api/contract';
import { GodwitError } from '../../agent/api/errors';
import { type Job, ROOT, type User } from '../../agent/api/model';
import type { Allocation, AllocationSource } from '../../agent/daemon/allocations/allocation';
import { Allocations } from '../../agent/daemon/allocations/allocations';
import { Scopes } from '../../agent/daemon/allocations/scopes';
import { readDraining, readParts, readQueue, sharesOf } from '../../agent/daemon/allocations/slurm-text';
import { chooseNode } from '../../agent/daemon/requests/choice';

const ANN: User = { name: 'ann', uid: 5, gid: 5, groups: [5] };
const BOB: User = { name: 'bob', uid: 9, gid: 9, groups: [9] };

describe('what Slurm prints', () => {
  it('of jobs: the states that count, and no other line', () => {
    expect(
      readQueue('3|5|RUNNING|node[1-2]\n4|9|COMPLETING|node3\n5|5|SUSPENDED|node3\n6|5|PENDING|\n'),
    ).toEqual([
      { id: '3', uid: 5, active: true, over: false, nodes: 'node[1-2]' },
      { id: '4', uid: 9, active: false, over: true, nodes: 'node3' },
      { id: '5', uid: 5, active: false, over: false, nodes: 'node3' },
      { id: '6', uid: 5, active: false, over: true, nodes: '' },
    ]);
    expect(readQueue('')).toEqual([]);
    for (const line of [
      '3|5|RUNNING',
      '3|ann|RUNNING|node1',
      '3|5|RUNNING|node1|x',
      '|5|RUNNING|node1',
      'slurm: error',
    ])
      expect(() => readQueue(line)).toThrow("can't be used");
    // Of a state that a later Slurm has nothing is guessed: neither that it is over, nor that it is not.
    expect(() => readQueue('3|5|DREAMING|node1')).toThrow('the state DREAMING, which is not known');
  });

  it('of their parts: CPUs and memory of each node', () => {
    const said =
      'JobId=2 JobName=x JOB_GRES=(null)   Nodes=node1 CPU_IDs=0-1,4 Mem=100 GRES=   Nodes=node[2-3] CPU_IDs=0 Mem=2G GRES= MinCPUsNode=1';
    expect(readParts(said)).toEqual([
      { nodes: 'node1', cpus: 3, memory: 100 * 2 ** 20 },
      { nodes: 'node[2-3]', cpus: 1, memory: 2 * 2 ** 30 },
    ]);
    expect(readParts('Nodes=node1 CPU_IDs=0 Mem=0 GRES=')).toEqual([{ nodes: 'node1', cpus: 1 }]);
  });

  it('of a job whose owner has written more is used by nobody', () => {
    const told = (name: string) =>
      `JobId=2 JobName=${name} UserId=ann(5)   Nodes=node1 CPU_IDs=0 Mem=100 GRES= MinCPUsNode=1`;
    const shares = (name: string) =>
      sharesOf(
        '2',
        ['node1'],
        readParts(told(name)).map(({ nodes, ...share }) => ({ ...share, names: [nodes] })),
      );
    expect(shares('x')).toEqual(new Map([['node1', { cpus: 1, memory: 100 * 2 ** 20 }]]));
    expect(() => shares('x Nodes=node1 CPU_IDs=0-63 Mem=0')).toThrow('is not in one piece');
    expect(() => shares('x Nodes=node9 CPU_IDs=0-63 Mem=0')).toThrow('what Slurm says of node9');
    expect(() => sharesOf('2', ['node1', 'node2'], [{ names: ['node1'] }])).toThrow(
      'what job 2 has of node2',
    );
  });

  it('whatever a name is: what is used is what is true, or nothing', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[\w =[\],|-]{0,60}$/), (name) => {
        const told = `JobId=2 JobName=${name} JOB_GRES=(null)   Nodes=node1 CPU_IDs=0 Mem=100 GRES= Comment=${name}`;
        const parts = readParts(told).map(({ nodes, ...share }) => ({ ...share, names: [nodes] }));
        try {
          expect(sharesOf('2', ['node1'], parts)).toEqual(
            new Map([['node1', { cpus: 1, memory: 100 * 2 ** 20 }]]),
          );
        } catch (error) {
          expect(error).toBeInstanceOf(GodwitError);
        }
      }),
    );
  });

  it('of nodes that take nothing new', () => {
    const said =
      'node1|mixed\nnode2|draining\nnode2|draining\nnode3|drained*\nnode4|down\nnode5|idle~\nnode6|completing\n';
    expect([...readDraining(said)]).toEqual(['node2', 'node3', 'node4']);
  });
});

const allocation = (id: string, user: User, nodes: string[], more: Partial<Allocation> = {}): Allocation => ({
  ...{ id, uid: user.uid, active: true, over: false },
  nodes: new Map(nodes.map((node) => [node, { cpus: 1 }])),
  ...more,
});

class FakeSource implements AllocationSource {
  readonly name = 'Slurm';
  asked = 0;
  away = false;
  drained = new Set<string>();
  constructor(public all: Allocation[]) {}
  async find(id: string) {
    this.asked++;
    if (this.away) throw new GodwitError({ code: 'allocations-unknown', message: 'no answer' });
    return this.all.find((one) => one.id === id) ?? null;
  }
  async of(uid: number) {
    this.asked++;
    if (this.away) throw new GodwitError({ code: 'allocations-unknown', message: 'no answer' });
    return this.all.filter((one) => one.uid === uid && !one.over);
  }
  async draining() {
    return this.drained;
  }
}

const ON_NODE1 = () => [
  allocation('1', ANN, ['node1', 'node2']),
  allocation('2', BOB, ['node1']),
  allocation('3', ANN, ['node3']),
  allocation('4', ANN, ['node1'], { active: false, over: true, nodes: new Map() }),
  allocation('5', ANN, ['node1'], { active: false }),
];
const at = (source: FakeSource | null, required = true, node = 'node1') =>
  new Allocations({ node, source, required });
const codeOf = async (allocations: Allocations, user: User, id: string | null) =>
  (await allocations.refusal({ user, allocation: id }))?.code ?? 'taken';

describe('a node', () => {
  it('takes jobs of users in their own allocations, while these are in force here', async () => {
    const here = at(new FakeSource(ON_NODE1()));
    expect(await codeOf(here, ANN, '1')).toBe('taken');
    expect(await codeOf(here, ANN, null)).toBe('allocation-required');
    expect(await codeOf(here, ROOT, null)).toBe('taken');
    expect(await codeOf(here, ANN, '2')).toBe('allocation-over');
    expect(await codeOf(here, ROOT, '1')).toBe('allocation-over');
    expect(await codeOf(here, ANN, '3')).toBe('outside-allocation');
    expect(await codeOf(here, ANN, '4')).toBe('allocation-over');
    expect(await codeOf(here, ANN, '5')).toBe('allocation-over');
    expect(await codeOf(here, ANN, '6')).toBe('allocation-over');
  });

  it('that requires none still keeps to those that are named', async () => {
    const here = at(new FakeSource(ON_NODE1()), false);
    expect(await codeOf(here, ANN, null)).toBe('taken');
    expect(await codeOf(here, ANN, '3')).toBe('outside-allocation');
  });

  it('that knows of none takes no job out of one', async () => {
    expect(await codeOf(at(null), ANN, null)).toBe('taken');
    expect(await codeOf(at(null), ANN, '1')).toBe('outside-allocation');
  });

  it('that is drained takes nothing', async () => {
    const source = new FakeSource(ON_NODE1());
    source.drained.add('node1');
    expect(await codeOf(at(source), ANN, '1')).toBe('node-draining');
  });

  it('takes nothing while nobody says which there are, and ends nothing', async () => {
    const source = new FakeSource(ON_NODE1());
    source.away = true;
    const here = at(source);
    expect(await codeOf(here, ANN, '1')).toBe('allocations-unknown');
    await expect(here.hasLeft('1')).rejects.toThrow('no answer');
    source.away = false;
    expect(await codeOf(here, ANN, '1')).toBe('taken');
  });

  it('asks once for all that wants to know at once, and not for what a user only names', async () => {
    const source = new FakeSource(ON_NODE1());
    const here = at(source);
    await Promise.all([codeOf(here, ANN, '1'), here.share('1'), here.hasLeft('1')]);
    expect(source.asked).toBe(2);
    const named = Array.from({ length: 100 }, (_, index) => `${100 + index}`);
    const codes = await Promise.all(named.map((id) => codeOf(here, ANN, id)));
    expect(new Set(codes)).toEqual(new Set(['allocation-over']));
    expect(source.asked).toBe(3);
  });

  it('hears of one that has come, or has come into force, since it has asked last', async () => {
    const source = new FakeSource(ON_NODE1());
    const here = at(source);
    expect(await codeOf(here, BOB, '2')).toBe('taken');
    expect(await here.share('5')).toEqual({ cpus: 1 });
    source.all = [allocation('5', ANN, ['node1']), allocation('7', BOB, ['node1'])];
    expect(await here.only(BOB)).toBe('7');
    expect(await codeOf(here, BOB, '7')).toBe('taken');
    expect(await codeOf(here, ANN, '5')).toBe('taken');
    source.all.push(allocation('8', { ...BOB, uid: 10 }, ['node1']));
    expect(await here.nodesOf({ ...BOB, uid: 10 }, '8')).toEqual(['node1']);
  });

  it('has jobs end that are in an allocation which is over, or has this node no more', async () => {
    const here = at(new FakeSource(ON_NODE1()));
    const left = await Promise.all(['1', '3', '4', '5', '6'].map((id) => here.hasLeft(id)));
    // One that is held up for a while is not over.
    expect(left).toEqual([false, true, true, false, true]);
    expect(await at(null).hasLeft('1')).toBe(false);
  });

  it('lets nothing begin after root said that it is over here', async () => {
    const here = at(new FakeSource(ON_NODE1()));
    expect(await codeOf(here, ANN, '1')).toBe('taken');
    here.end('1');
    expect(await codeOf(here, ANN, '1')).toBe('outside-allocation');
    expect(await here.hasLeft('1')).toBe(true);
    // It may go on elsewhere.
    expect((await here.placement(ANN, '1')).nodes).toEqual(['node2']);
  });

  it('has a user run in the only allocation that they have', async () => {
    const source = new FakeSource([allocation('2', BOB, ['node1'])]);
    expect(await at(source).only(BOB)).toBe('2');
    expect(await at(source).only(ROOT)).toBeNull();
    expect(await at(source, false).only(BOB)).toBeNull();
    await expect(at(source).only(ANN)).rejects.toThrow('no allocation of yours is in force');
    await expect(at(new FakeSource(ON_NODE1())).only(ANN)).rejects.toThrow(
      'several allocations of yours are in force: 1, 3',
    );
  });
});

describe('a node that is chosen', () => {
  /** The best of those that are allowed, in this order. */
  const ORDER = ['node3', 'node2', 'node1'];
  const choosing = {
    node: 'node1',
    peers: { names: ['node1', 'node2', 'node3'] },
    rules: { now: { balancing: false, draining: false, speed: null } },
    balancer: {
      place: async (only: readonly string[] | null) => ORDER.find((name) => only?.includes(name) ?? true),
    },
  } as never as Parameters<typeof chooseNode>[0];
  const allocation = { id: '1', nodes: ['node1', 'node2'], open: async () => ['node1'] };
  const choose = (wanted: string, more: object | null = {}, only: string[] | null = null) =>
    chooseNode(choosing, wanted, { only, allocation: more && { ...allocation, ...more } });

  it('is of the allocation', async () => {
    expect(await choose('best', null)).toBe('node3');
    expect(await choose('best', { open: async () => allocation.nodes })).toBe('node2');
    expect(await choose('best')).toBe('node1');
    expect(await choose('home')).toBe('node1');
    await expect(choose('node3')).rejects.toThrow('node3 is not a node of the allocation 1');
    await expect(choose('best', { open: async () => [] })).rejects.toThrow('no node of the allocation 1');
  });

  it('is one that the job may be on, of those', async () => {
    expect(await choose('best', { open: async () => allocation.nodes }, ['node1', 'node3'])).toBe('node1');
    expect(await choose('auto')).toBe('node1');
    expect(await choose('auto', { nodes: ['node2'], open: async () => ['node2'] })).toBe('node2');
    expect(await choose('auto', null, ['node2'])).toBe('node2');
    await expect(choose('best', {}, ['node2'])).rejects.toThrow('no node of the allocation 1');
  });
});

describe('a client', () => {
  const connection = () => Object.assign(new EventEmitter(), { unsent: 0 }) as unknown as CallerConnection;
  const job = (id: string, user: User, allocation?: string) => ({ id, user: user.name, allocation }) as Job;
  const hers = job('a', ANN, '1');
  const other = job('b', ANN, '3');
  const his = job('c', BOB, '2');
  const roots = job('d', ROOT);
  const seenBy = (scopes: Scopes, asker: Parameters<Scopes['of']>[0]) =>
    [hers, other, his, roots]
      .filter((one) => scopes.of(asker).sees(one))
      .map(({ id }) => id)
      .join('');

  const nodesSeenBy = async (scopes: Scopes, asker: Parameters<Scopes['of']>[0]) => {
    const sees = await scopes.nodes(asker);
    return ['node1', 'node2', 'node3'].filter(sees);
  };

  it('sees of the jobs what is its user’s, within an allocation what is in it', async () => {
    const scopes = new Scopes(at(new FakeSource(ON_NODE1())));
    const asker = { user: ANN, connection: connection() };
    expect(seenBy(scopes, asker)).toBe('ab');
    expect(await nodesSeenBy(scopes, asker)).toHaveLength(3);
    expect(scopes.enter(asker, '1')).toBe(true);
    expect(seenBy(scopes, asker)).toBe('a');
    expect(await nodesSeenBy(scopes, asker)).toEqual(['node1', 'node2']);
    expect(scopes.of(asker).narrowed).toEqual({ allocation: '1', uid: 5 });
    // Others are not narrowed by that.
    expect(seenBy(scopes, { user: ANN, connection: connection() })).toBe('ab');
    expect(seenBy(scopes, { connection: connection() })).toBe('abcd');
    expect(scopes.of({ connection: connection() }).narrowed).toBeUndefined();
  });

  it('gains nothing by the name of another user’s', async () => {
    const scopes = new Scopes(at(new FakeSource(ON_NODE1())));
    const asker = { user: BOB, connection: connection() };
    scopes.enter(asker, '1');
    expect(seenBy(scopes, asker)).toBe('');
    expect(await nodesSeenBy(scopes, asker)).toEqual([]);
    await expect(scopes.placement(asker)).rejects.toThrow('none of yours');
    const root = { connection: connection() };
    scopes.enter(root, '1');
    expect(seenBy(scopes, root)).toBe('a');
    expect(await nodesSeenBy(scopes, root)).toEqual(['node1', 'node2']);
    await expect(scopes.placement(root)).rejects.toThrow('none of yours');
  });

  it('looks at its own jobs also while it is not known which allocations there are', async () => {
    const source = new FakeSource(ON_NODE1());
    source.away = true;
    const scopes = new Scopes(at(source));
    const [ann, bob] = [ANN, BOB].map((user) => ({ user, connection: connection() }));
    for (const asker of [ann!, bob!]) scopes.enter(asker, '1');
    expect(seenBy(scopes, ann!)).toBe('a');
    expect(seenBy(scopes, bob!)).toBe('');
    expect(await nodesSeenBy(scopes, ann!)).toHaveLength(3);
    await expect(scopes.placement(ann!)).rejects.toThrow('no answer');
  });

  it('gets snapshots of that alone', async () => {
    const scopes = new Scopes(at(new FakeSource(ON_NODE1())));
    const asker = { user: ANN, connection: connection() };
    scopes.enter(asker, '1');
    const whole = {
      time: '',
      jobs: [hers, other, his, roots],
      nodes: [{ name: 'node1' }, { name: 'node3' }],
      moves: [{ job: 'a' }, { job: 'c' }],
    } as unknown as ClusterSnapshot;
    const { jobs, nodes, moves } = scopes.of(asker).snapshot(whole, await scopes.nodes(asker));
    expect(jobs).toEqual([hers]);
    expect(nodes.map(({ name }) => name)).toEqual(['node1']);
    expect(moves.map(({ job }) => job)).toEqual(['a']);
  });

  it('where there are no allocations is narrowed by nothing', async () => {
    const scopes = new Scopes(at(null));
    const asker = { user: ANN, connection: connection() };
    expect(scopes.enter(asker, '1')).toBe(false);
    expect(seenBy(scopes, asker)).toBe('abcd');
    expect(await scopes.placement(asker)).toBeNull();
  });
});
