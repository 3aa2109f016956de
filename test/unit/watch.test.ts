import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ClusterSnapshot } from '../../agent/api/client-events';
import type { CallerConnection } from '../../agent/api/contract';
import type { Job, Node } from '../../agent/api/model';
import type { HomeView } from '../../agent/api/peer-contract';
import { ANSWER_WITHIN_MS, Changes } from '../../agent/daemon/cluster/changes';
import { MOST_RENEWED } from '../../agent/daemon/cluster/watch/home-views';
import { compose, OVER_SHOWN } from '../../agent/daemon/cluster/watch/snapshot';
import type { Sources } from '../../agent/daemon/cluster/watch/snapshots';
import { ClusterWatch } from '../../agent/daemon/cluster/watch/watch';
import { logTo } from '../../agent/log';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const signal = () => new AbortController().signal;

describe('changes', () => {
  it('answers at once who has seen less than there is', async () => {
    const changes = new Changes();
    expect(await changes.after('', signal())).toBe(changes.seen);
  });

  it('answers all who wait when something changes, and tells changes apart', async () => {
    const changes = new Changes();
    const { seen } = changes;
    const waiting = [changes.after(seen, signal()), changes.after(seen, signal())];
    changes.notify();
    expect(await Promise.all(waiting)).toEqual([changes.seen, changes.seen]);
    expect(changes.seen).not.toBe(seen);
  });

  it('answers in the end when nothing changes', async () => {
    const changes = new Changes();
    const answer = changes.after(changes.seen, signal());
    await vi.advanceTimersByTimeAsync(ANSWER_WITHIN_MS);
    expect(await answer).toBe(changes.seen);
  });

  it('leaves nothing behind of those who have gone', async () => {
    const changes = new Changes();
    const gone = new AbortController();
    const answer = changes.after(changes.seen, gone.signal);
    gone.abort(new Error('gone'));
    await expect(answer).rejects.toThrow('gone');
    expect(vi.getTimerCount()).toBe(0);
    await expect(changes.after(changes.seen, gone.signal)).rejects.toThrow('gone');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('takes nothing of an earlier life for its own', () => {
    expect(new Changes().seen).not.toBe(new Changes().seen);
  });
});

const node = (name: string): Node => ({
  name,
  address: '10.0.0.1',
  state: 'up',
  cpus: 1,
  speed: 1,
  load: 0,
  memTotal: 1,
  memFree: 1,
  jobs: 0,
});

const MINUTE = 60_000;
const moment = (minutes: number) => new Date(Date.UTC(2030, 0, 1) + minutes * MINUTE).toISOString();

function job(id: string, { started = 0, ended = null as number | null, home = 'node1' } = {}): Job {
  return {
    id,
    name: id,
    command: ['/bin/sleep'],
    user: 'root',
    state: ended === null ? 'running' : 'ended',
    home,
    node: home,
    pid: 2,
    address: null,
    cpu: 0,
    rss: 0,
    migrations: 0,
    debugged: false,
    pinned: false,
    exit: null,
    started: moment(started),
    ended: ended === null ? null : moment(ended),
    epoch: 0,
  };
}

describe('a snapshot', () => {
  const ids = ({ jobs }: ClusterSnapshot) => jobs.map(({ id }) => id);

  it('has the jobs of all homes, oldest first', () => {
    const one = { jobs: [job('c', { started: 3 }), job('a', { started: 1 })], moves: [] };
    const other = { jobs: [job('b', { started: 2, home: 'node2' })], moves: [] };
    expect(ids(compose(moment(9), [], [one, other]))).toEqual(['a', 'b', 'c']);
  });

  it('has all that live, and of those that are over the latest', () => {
    const over = Array.from({ length: OVER_SHOWN + 2 }, (_, n) => job(`over${n}`, { started: 1, ended: n }));
    const found = ids(compose(moment(99), [], [{ jobs: [...over.reverse(), job('alive')], moves: [] }]));
    expect(found).toHaveLength(OVER_SHOWN + 1);
    expect(found[0]).toBe('alive');
    expect(found).not.toContain('over1');
    expect(found).toContain('over2');
  });

  it('has each job once: its home’s word before that of a node that does not hear the home, then the latest', () => {
    const view = (...jobs: Job[]) => ({ jobs, moves: [] });
    const stray = (id: string) => ({ ...job(id), node: 'node2', epoch: 7, homeSilentMs: 3_000 });
    const adopted = { ...job('adopted', { home: 'node2' }), epoch: 1 };
    const views = [view(stray('a'), stray('b')), view(job('a'), job('adopted')), view(adopted)];
    for (const all of [views, views.toReversed()]) {
      const { jobs } = compose(moment(9), [], all);
      expect(jobs.map(({ id, home, node, epoch }) => [id, home, node, epoch]).sort()).toEqual([
        ['a', 'node1', 'node1', 0],
        ['adopted', 'node2', 'node2', 1],
        ['b', 'node1', 'node2', 7],
      ]);
    }
  });
});

class Cluster implements Sources {
  readonly names: string[];
  readonly changes: Record<string, Changes>;
  readonly jobs: Record<string, Job[]>;
  readonly silent = new Set<string>();
  readonly away = new Set<string>();
  readonly asked: string[] = [];
  /** Calls for changes that are open. */
  open = 0;
  constructor(
    size = 2,
    private readonly isFollowed = true,
  ) {
    this.names = Array.from({ length: size }, (_, n) => `node${n + 1}`);
    this.changes = Object.fromEntries(this.names.map((name) => [name, new Changes()]));
    this.jobs = Object.fromEntries(this.names.map((name) => [name, []]));
  }
  get followed() {
    return this.isFollowed ? this.names : this.names.slice(0, 1);
  }
  get down() {
    return [...this.away];
  }
  mark(name: string) {
    return this.changes[name]!.mark;
  }
  async list() {
    return this.names.map(node);
  }
  async view(home: string): Promise<HomeView> {
    this.asked.push(home);
    if (this.silent.has(home)) return new Promise(() => {});
    return { jobs: [...this.jobs[home]!], moves: [] };
  }
  async changed(name: string, seen: string, signal: AbortSignal) {
    if (this.silent.has(name)) throw new Error('silent');
    this.open++;
    return this.changes[name]!.after(seen, signal).finally(() => this.open--);
  }
  launch(home: string, id: string, on = home) {
    this.jobs[home]!.push({ ...job(id, { home }), node: on });
    this.changes[home]!.notify();
  }
}

class Watcher implements CallerConnection {
  readonly heard: ClusterSnapshot[] = [];
  unsent = 0;
  leave = () => {};
  readonly closed = new Promise<Error>((resolve) => {
    this.leave = () => resolve(new Error('left'));
  });
  emit(event: string, payload: object) {
    expect(event).toBe('cluster');
    this.heard.push(payload as ClusterSnapshot);
  }
  get jobs() {
    return this.heard.at(-1)?.jobs.map(({ id }) => id);
  }
}

describe('a watch', () => {
  const begin = (cluster = new Cluster()) => {
    const watch = new ClusterWatch(
      cluster,
      logTo((line) => expect.fail(line)),
    );
    const watcher = new Watcher();
    watch.add(watcher);
    return { cluster, watch, watcher };
  };

  it('tells what there is, and changes soon after they happen', async () => {
    const { cluster, watcher } = begin();
    await vi.advanceTimersByTimeAsync(50);
    expect(watcher.jobs).toEqual([]);
    await vi.advanceTimersByTimeAsync(300);
    cluster.launch('node2', 'a');
    await vi.advanceTimersByTimeAsync(50);
    expect(watcher.jobs).toEqual(['a']);
  });

  it('makes one snapshot of changes that come together', async () => {
    const { cluster, watcher } = begin();
    await vi.advanceTimersByTimeAsync(300);
    const before = watcher.heard.length;
    for (let n = 0; n < 100; n++) cluster.launch('node1', `job${n}`);
    await vi.advanceTimersByTimeAsync(100);
    expect(watcher.jobs).toHaveLength(100);
    expect(watcher.heard.length - before).toBeLessThanOrEqual(2);
  });

  it('tells the load each second', async () => {
    const { watcher } = begin();
    await vi.advanceTimersByTimeAsync(5_100);
    expect(watcher.heard.length).toBeGreaterThanOrEqual(5);
    expect(watcher.heard.length).toBeLessThanOrEqual(7);
  });

  it('does nothing without a client that watches, and begins anew for the next', async () => {
    const { cluster, watch, watcher } = begin();
    await vi.advanceTimersByTimeAsync(100);
    watcher.leave();
    await vi.advanceTimersByTimeAsync(100);
    const asked = cluster.asked.length;
    cluster.launch('node1', 'a');
    await vi.advanceTimersByTimeAsync(10_000);
    expect(cluster.asked).toHaveLength(asked);
    expect(vi.getTimerCount()).toBe(0);
    const next = new Watcher();
    watch.add(next);
    await vi.advanceTimersByTimeAsync(50);
    expect(next.jobs).toEqual(['a']);
  });

  it('leaves snapshots out for a slow reader, who then gets the latest', async () => {
    const { cluster, watcher } = begin();
    await vi.advanceTimersByTimeAsync(100);
    watcher.unsent = 1;
    const before = watcher.heard.length;
    cluster.launch('node1', 'a');
    cluster.launch('node1', 'b');
    await vi.advanceTimersByTimeAsync(3_000);
    expect(watcher.heard).toHaveLength(before);
    watcher.unsent = 0;
    await vi.advanceTimersByTimeAsync(1_100);
    expect(watcher.jobs).toEqual(['a', 'b']);
  });

  it('waits for no home that is silent, and keeps what it said', async () => {
    const { cluster, watch, watcher } = begin();
    cluster.launch('node2', 'kept');
    await vi.advanceTimersByTimeAsync(100);
    expect(watcher.jobs).toEqual(['kept']);
    cluster.silent.add('node2');
    cluster.launch('node1', 'new');
    await vi.advanceTimersByTimeAsync(2_000);
    expect([...watcher.jobs!].sort()).toEqual(['kept', 'new']);
    watcher.leave();
    await vi.advanceTimersByTimeAsync(100);
    const late = new Watcher();
    watch.add(late);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(late.jobs).toEqual(['new']);
  });

  /** How often each was asked within a time. */
  const askedWithin = async (cluster: Cluster, ms: number) => {
    const before = cluster.asked.length;
    await vi.advanceTimersByTimeAsync(ms);
    const times: Record<string, number> = {};
    for (const name of cluster.asked.slice(before)) times[name] = (times[name] ?? 0) + 1;
    return times;
  };

  it('asks those whose jobs live each second, and the others when something has changed', async () => {
    const cluster = new Cluster(4);
    cluster.launch('node2', 'abroad', 'node3');
    begin(cluster);
    await vi.advanceTimersByTimeAsync(500);
    const { node1 = 0, node2 = 0, node3 = 0, node4 = 0 } = await askedWithin(cluster, 20_000);
    expect(Math.min(node2, node3)).toBeGreaterThanOrEqual(19);
    expect(Math.max(node1, node4)).toBeLessThanOrEqual(2);
    cluster.changes.node4!.notify();
    expect(await askedWithin(cluster, 10)).toEqual({ node4: 1 });
    // What changes where a job is may be told by its home.
    cluster.changes.node3!.notify();
    expect(await askedWithin(cluster, 10)).toEqual({ node2: 1, node3: 1 });
  });

  it('does not ask one that is down, keeps what it said, and says how old that is', async () => {
    const cluster = new Cluster();
    cluster.launch('node2', 'kept');
    const { watcher } = begin(cluster);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(watcher.heard.at(-1)!.jobsAgeMs).toBeLessThanOrEqual(1_000);
    cluster.away.add('node2');
    expect(await askedWithin(cluster, 30_000)).not.toHaveProperty('node2');
    expect(watcher.jobs).toEqual(['kept']);
    expect(watcher.heard.at(-1)!.jobsAgeMs).toBeGreaterThanOrEqual(29_000);
    cluster.away.delete('node2');
    await vi.advanceTimersByTimeAsync(2_000);
    expect(watcher.heard.at(-1)!.jobsAgeMs).toBeLessThanOrEqual(1_000);
  });

  it('costs no more with a thousand nodes than with some dozens, and has them all at once', async () => {
    const cluster = new Cluster(1_000, false);
    for (const name of cluster.names) cluster.launch(name, `at-${name}`);
    const { watcher } = begin(cluster);
    await vi.advanceTimersByTimeAsync(600);
    expect(watcher.jobs).toHaveLength(1_000);
    expect(cluster.open).toBe(1);
    const times = await askedWithin(cluster, 60_000);
    const asked = Object.values(times).reduce((sum, each) => sum + each, 0);
    expect(asked).toBeLessThanOrEqual(61 * (MOST_RENEWED + 1));
    // None is forgotten.
    expect(Object.keys(times)).toHaveLength(1_000);
    expect(watcher.heard.at(-1)!.jobsAgeMs).toBeLessThanOrEqual(
      1_000 * (Math.ceil(1_000 / MOST_RENEWED) + 1),
    );
  });

  it('hears with the load that a node which is not followed has changed, and asks that one first', async () => {
    const cluster = new Cluster(1_000, false);
    for (const name of cluster.names) cluster.launch(name, `at-${name}`);
    const { watcher } = begin(cluster);
    await vi.advanceTimersByTimeAsync(5_000);
    cluster.launch('node777', 'new');
    await vi.advanceTimersByTimeAsync(1_200);
    expect(watcher.jobs).toContain('new');
  });
});
