import { describe, expect, it } from 'vitest';
import type { ClusterSnapshot } from '../../agent/api/client-events';
import type { Job, Node } from '../../agent/api/model';
import { jobById, resolveJob } from '../../extension/cluster/jobs';
import { Asked } from '../../extension/tree/asked';
import { SteadyFigures } from '../../extension/tree/figures';
import { buildTree, changedElements, EMPTY, meantBy, parentOf, ROOT } from '../../extension/tree/model';

const node = (name: string, more: Partial<Node> = {}): Node => ({
  name,
  address: '10.0.0.1',
  state: 'up',
  cpus: 2,
  speed: 1,
  load: 0.98,
  memTotal: 8e9,
  memFree: 3.1e9,
  jobs: 1,
  ...more,
});

const job = (id: string, more: Partial<Job> = {}): Job => ({
  id,
  name: `name-${id}`,
  command: ['/bin/sim', '100'],
  user: 'root',
  state: 'running',
  home: 'node1',
  node: 'node1',
  pid: 2,
  address: null,
  cpu: 0.5,
  rss: 12_000_000,
  migrations: 0,
  debugged: false,
  pinned: false,
  exit: null,
  started: '2030-01-01T00:00:00.000Z',
  ended: null,
  epoch: 0,
  ...more,
});

const snapshot = (jobs: Job[], more: Partial<ClusterSnapshot> = {}): ClusterSnapshot => ({
  time: '2030-01-01T00:00:10.000Z',
  nodes: [node('node1'), node('node2')],
  jobs,
  moves: [],
  ...more,
});

const move = {
  job: 'a',
  from: 'node1',
  to: 'node2',
  epoch: 1,
  phase: 'sending',
  since: '2030-01-01T00:00:09.000Z',
} as const;
const over = (id: string, ended: string, exit = 0) =>
  job(id, { state: 'ended', ended, exit: { exit, signal: exit === 143 ? 'SIGTERM' : null } });

describe('the view of a snapshot', () => {
  it('has each job under the node it is on', () => {
    const { children } = buildTree(snapshot([job('a'), job('b', { node: 'node2' }), job('c')]));
    expect(children.get(ROOT)).toEqual(['node:node1', 'node:node2']);
    expect(children.get('node:node1')).toEqual(['job:a', 'job:c']);
    expect(children.get('node:node2')).toEqual(['job:b']);
  });

  it('says of nodes and jobs what is worth knowing', () => {
    const { items } = buildTree(snapshot([job('a')]));
    expect(items.get('node:node1')).toMatchObject({
      label: 'node1',
      description: '0.98 of 2 CPUs · 3.1 GB free',
      context: 'node up',
      fold: 'open',
    });
    expect(items.get('job:a')).toMatchObject({
      label: 'name-a',
      description: 'running · 0.5 CPU · 12 MB',
      context: 'job settled loose',
      fold: 'none',
    });
  });

  it('says where a moving job comes from and goes to, and lets nothing be done to it', () => {
    const { items, children } = buildTree(snapshot([job('a', { state: 'moving' })], { moves: [move] }));
    expect(children.get('node:node1')).toEqual(['job:a']);
    expect(items.get('job:a')).toMatchObject({
      description: 'node1 → node2',
      icon: { name: 'loading~spin' },
      context: 'job busy',
    });
    expect(items.get('job:a')!.spoken).toContain('moving from node1 to node2');
  });

  it('lets a job be sent home only from elsewhere', () => {
    const { items } = buildTree(snapshot([job('a'), job('b', { node: 'node2' })]));
    expect(items.get('job:a')!.context).not.toContain('abroad');
    expect(items.get('job:b')!.context).toContain('abroad');
  });

  it('lets those be adopted or forgotten whose home or node is silent', () => {
    const nodes = [node('node1'), node('node2', { state: 'down' })];
    const jobs = [job('a'), job('b', { node: 'node2' }), job('c', { home: 'node3', homeSilentMs: 9_000 })];
    const { items } = buildTree(snapshot([...jobs, over('d', '2030-01-01T00:00:01.000Z')], { nodes }));
    const left = ['a', 'b', 'c', 'd'].filter((id) => /\bleft\b/.test(items.get(`job:${id}`)!.context));
    expect(left).toEqual(['b', 'c']);
  });

  it('says which jobs are pinned, and lets them be unpinned', () => {
    const { items } = buildTree(snapshot([job('a', { pinned: true })]));
    expect(items.get('job:a')).toMatchObject({
      icon: { name: 'pinned' },
      description: 'running · pinned · 0.5 CPU · 12 MB',
      context: 'job settled pinned',
    });
    expect(items.get('job:a')!.spoken).toContain('on node1, pinned to it');
  });

  it('tells stopped, debugged, failed and lost jobs by their signs', () => {
    const signs = (more: Partial<Job>) => buildTree(snapshot([job('a', more)])).items.get('job:a')!;
    expect(signs({ state: 'stopped', debugged: true })).toMatchObject({
      icon: { name: 'debug-pause' },
      description: 'stopped · debugged · 12 MB',
    });
    expect(signs({ debugged: true }).icon.name).toBe('debug-alt');
    expect(signs({ state: 'lost', ended: null })).toMatchObject({
      icon: { name: 'error' },
      context: 'job over',
    });
    expect(signs({ state: 'ended', exit: { exit: 3, signal: null } })).toMatchObject({
      icon: { name: 'circle-slash' },
      description: 'exit 3',
    });
    expect(signs({ state: 'ended', exit: { exit: 143, signal: 'SIGTERM' } }).description).toBe('SIGTERM');
  });

  it('has ended jobs together, folded, the latest first and not without bound', () => {
    const jobs = Array.from({ length: 50 }, (_, n) =>
      over(`j${n}`, `2030-01-01T00:01:${String(n).padStart(2, '0')}Z`),
    );
    const { items, children } = buildTree(snapshot(jobs));
    expect(children.get(ROOT)).toEqual(['node:node1', 'node:node2', 'ended']);
    expect(items.get('ended')).toMatchObject({ description: '50', fold: 'closed' });
    expect(children.get('ended')!.slice(0, 2)).toEqual(['job:j49', 'job:j48']);
    expect(children.get('ended')!.length).toBeLessThan(50);
  });

  it('keeps a lost job in sight of its move', () => {
    const { children } = buildTree(
      snapshot([job('a', { state: 'lost' })], { moves: [{ ...move, phase: 'lost' }] }),
    );
    expect(children.get('node:node1')).toEqual(['job:a']);
  });

  it('shows a node that is down', () => {
    const { items } = buildTree(snapshot([], { nodes: [node('node1', { state: 'down' })] }));
    expect(items.get('node:node1')).toMatchObject({ description: 'down', icon: { name: 'error' } });
  });

  const part = (index: number, more: Partial<Job> = {}) =>
    job(`p${index}`, { array: { id: 'sweepsweep', name: 'sweep', index, count: 5 }, ...more });
  const waits = (position: number): Partial<Job> => ({
    state: 'starting',
    queued: { position, since: '2030-01-01T00:00:00.000Z', why: 'no CPU is free on node1' },
  });

  it('has an array as one row, folded, with its figures, and its jobs in their order', () => {
    const jobs = [part(2, waits(2)), part(1, { node: 'node2' }), part(0), job('a')];
    const { items, children } = buildTree(snapshot(jobs));
    expect(children.get(ROOT)).toEqual(['node:node1', 'node:node2', 'array:sweepsweep']);
    expect(children.get('node:node1')).toEqual(['job:a']);
    expect(children.get('array:sweepsweep')).toEqual(['job:p0', 'job:p1', 'job:p2']);
    expect(items.get('array:sweepsweep')).toMatchObject({
      ...{ label: 'sweep', description: '5 jobs: 2 running, 1 queued, 2 over' },
      ...{ context: 'array', fold: 'closed', spoken: 'Array sweep, 5 jobs: 2 running, 1 queued, 2 over' },
    });
    expect(items.get('job:p1')!.description).toBe('node2 · running · 0.5 CPU · 12 MB');
    expect(meantBy('array:sweepsweep')).toEqual({ array: 'sweepsweep' });
    expect(parentOf(buildTree(snapshot(jobs)), 'job:p1')).toBe('array:sweepsweep');
  });

  it('has jobs that wait together, the next first, which can be ended and pinned', () => {
    const { items, children } = buildTree(snapshot([job('a', waits(2)), job('b', waits(1)), job('c')]));
    expect(children.get(ROOT)).toEqual(['node:node1', 'node:node2', 'queue']);
    expect(children.get('queue')).toEqual(['job:b', 'job:a']);
    expect(children.get('node:node1')).toEqual(['job:c']);
    expect(items.get('job:b')).toMatchObject({
      ...{ description: 'queued 1 · no CPU is free on node1', icon: { name: 'clock' } },
      context: 'job queued loose',
    });
    expect(items.get('job:b')!.spoken).toMatch(/number 1 in the queue/);
    expect(unescaped(items.get('job:b')!.tooltip())).toMatch(/queued, number 1/);
  });

  it('knows parents', () => {
    const tree = buildTree(snapshot([job('a')]));
    expect(parentOf(tree, 'job:a')).toBe('node:node1');
    expect(parentOf(tree, 'node:node1')).toBeUndefined();
    expect(parentOf(tree, 'job:unknown')).toBeUndefined();
  });

  it('takes no markup, link or icon from names and commands', () => {
    const name = '[x](command:evil) $(zap) https://e.org';
    const { items } = buildTree(snapshot([job('a', { name, command: ['a|b', '`c`\nd'] })]));
    const { label, spoken, tooltip } = items.get('job:a')!;
    for (const text of [label, spoken]) expect(text).not.toMatch(/\]\(|\$\(/);
    expect(tooltip()).not.toMatch(/[[\]()$`]|https?:/);
    expect(unescaped(tooltip())).toContain("'a|b' '`c`\\nd'");
    expect(unescaped(tooltip())).toContain(name);
  });

  it('has jobs in the order in which they came, however the nodes have answered', () => {
    const late = job('a', { started: '2030-01-01T00:00:05.000Z' });
    const { children } = buildTree(snapshot([late, job('c'), job('b')]));
    expect(children.get('node:node1')).toEqual(['job:b', 'job:c', 'job:a']);
  });
});

/** As a browser reads what Markdown has left alone. */
const unescaped = (text: string) =>
  text.replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)));

describe('what VS Code was told to draw anew and has not asked for', () => {
  it('is told again, a few times', () => {
    const asked = new Asked();
    asked.told('node:a', 0);
    asked.told('node:b', 0);
    asked.asked('node:b');
    expect(asked.overdue(500)).toEqual([]);
    for (const second of [1, 2]) {
      expect(asked.overdue(second * 1000)).toEqual(['node:a']);
      asked.told('node:a', second * 1000);
    }
    expect(asked.overdue(3_000)).toEqual([]);
    expect(asked.overdue(9_000)).toEqual([]);
  });
});

describe('figures', () => {
  const loaded = (cpu: number, load: number, rss = 12_000_000) =>
    snapshot([job('a', { cpu, rss }), job('b')], { nodes: [node('node1', { load }), node('node2')] });
  /** What is drawn for snapshots that come at these seconds. */
  const drawn = (figures: SteadyFigures, ...seen: [number, ClusterSnapshot][]) => {
    let before = EMPTY;
    return seen.map(([second, one]) => {
      const after = buildTree(figures.settle(one, second * 1000));
      const changed = changedElements(before, after);
      before = after;
      return changed;
    });
  };

  it('change with every snapshot and nothing is drawn anew', () => {
    const seen = drawn(
      new SteadyFigures(),
      ...[0, 1, 2, 3, 4].map((n): [number, ClusterSnapshot] => [n, loaded(n / 4, n / 2, n * 1e7)]),
    );
    expect(seen).toEqual([[ROOT], [], [], [], []]);
  });

  it('are drawn anew after a while, of the row alone that they are of, if the difference tells something', () => {
    const seen = drawn(
      new SteadyFigures(),
      [0, loaded(0.5, 1)],
      [6, loaded(0.55, 1.05, 12_100_000)],
      [7, loaded(0.9, 1)],
      [8, loaded(0.1, 1)],
      [13, loaded(0.1, 1)],
    );
    expect(seen).toEqual([[ROOT], [], ['job:a'], [], ['job:a']]);
  });

  it('wait while a tooltip is read', () => {
    const figures = new SteadyFigures();
    let before = buildTree(figures.settle(loaded(0.5, 1), 0));
    figures.read(5_000);
    for (const second of [6, 10, 19]) {
      const after = buildTree(figures.settle(loaded(0.1, 0.2), second * 1000));
      expect(changedElements(before, after)).toEqual([]);
      before = after;
    }
    const after = buildTree(figures.settle(loaded(0.1, 0.2), 21_000));
    expect(changedElements(before, after)).toEqual(['node:node1', 'job:a']);
  });

  it('are those of the new state at once', () => {
    const figures = new SteadyFigures();
    const before = buildTree(figures.settle(loaded(0.5, 1), 0));
    const stopped = snapshot([job('a', { state: 'stopped', cpu: 0, rss: 5e6 }), job('b')]);
    const after = buildTree(figures.settle(stopped, 100));
    expect(changedElements(before, after)).toEqual(['job:a']);
    expect(after.items.get('job:a')!.description).toBe('stopped · 5.0 MB');
  });
});

describe('what is to be drawn anew', () => {
  const before = buildTree(snapshot([job('a'), job('b')]));

  it('is nothing when nothing changed', () => {
    expect(changedElements(before, buildTree(snapshot([job('a'), job('b')])))).toEqual([]);
  });

  it('is the job whose figures changed', () => {
    expect(changedElements(before, buildTree(snapshot([job('a', { cpu: 0.7 }), job('b')])))).toEqual([
      'job:a',
    ]);
  });

  it('is both nodes of a job that has moved', () => {
    const after = buildTree(snapshot([job('a', { node: 'node2' }), job('b')]));
    expect(changedElements(before, after)).toEqual(['node:node1', 'node:node2']);
  });

  it('is all of it when there is a new node, the first ended job, or a cluster at all', () => {
    const grown = snapshot([job('a'), job('b')], { nodes: [node('node1'), node('node2'), node('node3')] });
    expect(changedElements(before, buildTree(grown))).toEqual([ROOT]);
    const ended = snapshot([job('a'), over('b', '2030-01-01T00:01:00Z')]);
    expect(changedElements(before, buildTree(ended))).toEqual([ROOT]);
    expect(changedElements(EMPTY, before)).toEqual([ROOT]);
    expect(changedElements(before, EMPTY)).toEqual([ROOT]);
  });
});

describe('elements', () => {
  it('stand for jobs and nodes', () => {
    expect(meantBy('job:abc')).toEqual({ job: 'abc' });
    expect(meantBy('node:node1')).toEqual({ node: 'node1' });
    expect(meantBy('ended')).toEqual({});
  });
});

describe('a job by what a person calls it', () => {
  const jobs = [
    job('aaaaaaaaaa', { name: 'sim' }),
    job('aabbbbbbbb', { name: 'other' }),
    over('cccccccccc', '2030-01-01T00:01:00Z'),
  ];

  it('is found by id, name and the beginning of an id', () => {
    expect(resolveJob('aaaaaaaaaa', jobs).id).toBe('aaaaaaaaaa');
    expect(resolveJob('sim', jobs).id).toBe('aaaaaaaaaa');
    expect(resolveJob('aab', jobs).id).toBe('aabbbbbbbb');
    expect(resolveJob('cc', jobs).id).toBe('cccccccccc');
  });

  it('is the living one of equals, else the latest', () => {
    const early = { ...over('dddddddddd', '2030-01-01T00:01:00Z'), name: 'sim' };
    expect(resolveJob('sim', [...jobs, early]).id).toBe('aaaaaaaaaa');
    const late = { ...early, id: 'eeeeeeeeee', started: '2030-01-02T00:00:00.000Z' };
    expect(resolveJob('sim', [early, late]).id).toBe('eeeeeeeeee');
  });

  it('is never another one where a row stands for it', () => {
    const gone = 'ffffffffff';
    expect(jobById('aaaaaaaaaa', jobs).name).toBe('sim');
    expect(() => jobById(gone, [...jobs, job('bbbbbbbbbb', { name: gone })])).toThrow(/no job "ffffffffff"/);
  });

  it('is refused where it is none, or one of several', () => {
    expect(() => resolveJob('nobody', jobs)).toThrow(/no job "nobody"/);
    expect(() => resolveJob('aa', jobs)).toThrow(/could be any of aaaaaaaaaa, aabbbbbbbb/);
  });
});
