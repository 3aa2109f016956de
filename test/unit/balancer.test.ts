/** What makes the policy's wishes come true: what it asks of whom, and what it says of what did not work. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { cannotMove, GodwitError } from '../../agent/api/errors';
import type { JobUse } from '../../agent/api/peer-contract';
import { Gate } from '../../agent/daemon/balance/gate';
import type { NodeSaid } from '../../agent/daemon/balance/known';
import { Lives } from '../../agent/daemon/balance/lives';
import { Rules } from '../../agent/daemon/cluster/node-rules';
import { launchedOn } from '../../agent/daemon/journal/ledger';
import { Balancer, type BalancerParts } from '../../agent/daemon/requests/balancer';
import { gateAnswers } from '../../agent/daemon/requests/gate-answers';
import { logTo } from '../../agent/log';
import { chance } from '../support/membership-world';

const GIB = 2 ** 30;
const said = (name: string, more: Partial<NodeSaid> = {}): NodeSaid => ({
  ...{ name, ageMs: 500, up: true, draining: false, cpus: 1, speed: 1, demand: 0 },
  ...{ steady: more.demand ?? 0, memTotal: 16 * GIB, memFree: 12 * GIB, ...more },
});

/** A home with one job on `node1`, which is busy; `node2` is idle. */
class Stage {
  readonly asked: string[] = [];
  readonly moved: string[] = [];
  looks = 0;
  nodes = [said('node1', { demand: 4, steady: 4 }), said('node2')];
  balancing = true;
  refused: string | null = null;
  mayLeave = true;
  failure: Error | null = null;
  use: Partial<JobUse> = {};
  pinned = false;
  balanced = true;
  readonly #begun = performance.now();
  readonly balancer: Balancer;

  constructor() {
    const stage = this;
    this.balancer = new Balancer({
      node: 'node1',
      journal: { jobs: async () => [this.#job()] } as unknown as BalancerParts['journal'],
      members: {
        said: async () => this.nodes,
        get drained() {
          return stage.nodes.flatMap(({ name, draining }) => (draining ? [name] : []));
        },
      },
      peers: { names: ['node1', 'node2'], call: this.#call } as unknown as BalancerParts['peers'],
      moves: {
        underWay: { isMoving: () => false },
        estimator: { estimate: () => 100 },
      } as unknown as BalancerParts['moves'],
      rules: {
        get now() {
          return { balancing: stage.balancing, draining: false, speed: null };
        },
      },
      allocations: { openIn: async () => null },
      move: async (job, to) => {
        this.moved.push(`${job} ${to}`);
        if (this.failure) throw this.failure;
      },
      random: chance(1),
      log: logTo(() => {}),
    });
  }

  #job() {
    return {
      ...{
        id: 'jobjobjobj',
        state: 'running',
        pinned: this.pinned,
        balanced: this.balanced,
        spec: {},
        ledger: launchedOn('node1', 0),
      },
    };
  }

  readonly #call = async (node: string, method: string, _params: object) => {
    if (method !== 'host.uses') this.asked.push(`${node} ${method}`);
    else this.looks++;
    const usedMs = 60_000 + (performance.now() - this.#begun) / 4;
    const use = {
      job: 'jobjobjobj',
      epoch: 0,
      demand: 1,
      usedMs,
      memory: 1_000,
      stands: false,
      stopped: false,
    };
    if (method === 'host.uses') return { uses: [{ ...use, ...this.use }] };
    if (method === 'balance.ask') return { refused: this.refused };
    return method === 'balance.leave' ? { may: this.mayLeave } : {};
  };

  async run(ms: number) {
    this.balancer.start();
    await vi.advanceTimersByTimeAsync(ms);
    this.balancer.stop();
  }
}

const MOVE = ['node2 balance.ask', 'node1 balance.leave', 'node2 balance.over', 'node1 balance.over'];

describe('a home', () => {
  let stage: Stage;
  beforeEach(() => {
    vi.useFakeTimers();
    stage = new Stage();
  });
  afterEach(() => {
    stage.balancer.stop();
    vi.useRealTimers();
  });

  it('asks both ends, moves the job, and tells both when it is over', async () => {
    await stage.run(12_000);
    expect(stage.moved[0]).toBe('jobjobjobj node2');
    expect(stage.asked.slice(0, 4)).toEqual(MOVE);
  });

  it('moves nothing where balance is off, but from a drained node', async () => {
    stage.balancing = false;
    await stage.run(30_000);
    expect(stage.asked).toEqual([]);
    // Nor does it cost anything.
    expect(stage.looks).toBe(0);
    expect(await stage.balancer.why('jobjobjobj')).toMatchObject({ because: 'off' });
    stage.nodes[0]!.draining = true;
    await stage.run(10_000);
    expect(stage.moved[0]).toBe('jobjobjobj node2');
  });

  it('on a node that is drained leaves, though it moves only when told', async () => {
    stage.balanced = false;
    stage.nodes[0]!.draining = true;
    await stage.run(10_000);
    expect(stage.moved[0]).toBe('jobjobjobj node2');
  });

  it.each([
    ['pinned', (one: Stage) => Object.assign(one, { pinned: true })],
    ['not-balanced', (one: Stage) => Object.assign(one, { balanced: false })],
    ['debugged', (one: Stage) => Object.assign(one, { use: { stands: true } })],
    ['stopped', (one: Stage) => Object.assign(one, { use: { stopped: true } })],
  ])('leaves one alone that is %s, and says so', async (because, make) => {
    make(stage);
    await stage.run(30_000);
    expect(stage.asked).toEqual([]);
    expect(await stage.balancer.why('jobjobjobj')).toMatchObject({ because, lasting: true });
  });

  it('that is refused moves nothing, and tells the destination that nothing comes', async () => {
    stage.refused = 'costs-more';
    await stage.run(12_000);
    expect(stage.moved).toEqual([]);
    expect(stage.asked.slice(0, 2)).toEqual(['node2 balance.ask', 'node2 balance.over']);
  });

  it('whose source lets another job out first gives its promised room back', async () => {
    stage.mayLeave = false;
    await stage.run(12_000);
    expect(stage.moved).toEqual([]);
    expect(stage.asked.slice(0, 4)).toEqual(MOVE);
  });

  it('tries a job with an obstacle once in ten minutes, and says which', async () => {
    const obstacle = { code: 'device-open', what: 'it has /dev/x open', fix: 'close it' };
    stage.failure = cannotMove('jobjobjobj', 'node2', [obstacle]);
    await stage.run(500_000);
    expect(stage.moved).toHaveLength(1);
    const why = await stage.balancer.why('jobjobjobj');
    expect(why).toMatchObject({ because: 'set-back', lasting: true });
    expect(why.text).toMatch(/dev\/x/);
  });

  it('tries a failed move again, each time later', async () => {
    stage.failure = new GodwitError({ code: 'move-failed', message: 'no' });
    await stage.run(220_000);
    // After 30, 60 and 120 seconds.
    expect(stage.moved).toHaveLength(3);
    expect(await stage.balancer.why('jobjobjobj')).toMatchObject({ because: 'set-back', lasting: false });
  });
});

describe('a node’s word', () => {
  const copies = (here: Record<string, string>) => ({ homeOf: (job: string) => here[job] ?? null }) as never;
  const from = (name: string) => ({ name }) as never;
  const statuses = { uses: async () => [] };
  const asking = { job: 'a', demand: 1, memory: 0, worth: { stretch: 2, cost: 9 } };

  it('about a job is given to its home alone', async () => {
    const answers = gateAnswers({
      gate: new Gate(),
      copies: copies({ a: 'node1' }),
      statuses,
      said: async () => said('x'),
    });
    expect(await answers['balance.leave']({ job: 'a' }, from('node3'))).toEqual({ may: false });
    expect(await answers['balance.leave']({ job: 'a' }, from('node1'))).toEqual({ may: true });
  });

  it('given to one home is not taken back by another', async () => {
    const answers = gateAnswers({
      gate: new Gate(),
      copies: copies({}),
      statuses,
      said: async () => said('x'),
    });
    const ask = async (name: string) => (await answers['balance.ask'](asking, from(name))).refused;
    expect(await ask('node1')).toBeNull();
    await answers['balance.over']({ job: 'a' }, from('node3'));
    expect(await ask('node3')).toBe('busy');
    await answers['balance.over']({ job: 'a' }, from('node1'));
    expect(await ask('node3')).toBeNull();
  });
});

describe('a job’s life', () => {
  it('is what it has used on all hosts, from when it was last idle', () => {
    const lives = new Lives();
    const saw = (host: string, hostMs: number, demand: number, now: number) =>
      lives.saw('a', host, { hostMs, demand }, now);
    expect(saw('node1', 5_000, 1, 0)).toEqual({ usedMs: 5_000, hereMs: 0, since: null });
    expect(saw('node1', 6_000, 1, 2_000)).toEqual({
      ...{ usedMs: 6_000, hereMs: 2_000, since: { ms: 2_000, usedMs: 1_000 } },
    });
    // Another host counts from the beginning.
    expect(saw('node2', 500, 1, 3_000)).toEqual({ usedMs: 6_500, hereMs: 0, since: null });
    saw('node2', 500, 0, 4_000);
    saw('node2', 500, 0, 13_000);
    expect(saw('node2', 600, 1, 15_000).usedMs).toBe(100);
  });
});

describe('what is decided of a node', () => {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-rules-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('is kept, one thing apart from the others, and null is a decision', async () => {
    const file = join(folder, 'rules.json');
    const rules = await Rules.open(file);
    expect(rules.now).toEqual({ balancing: false, draining: false, speed: null });
    await rules.set({ draining: true, speed: 2 });
    await rules.set({ balancing: true });
    expect((await Rules.open(file)).now).toEqual({ balancing: true, draining: true, speed: 2 });
    await rules.set({ speed: null });
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ balancing: true, draining: true, speed: null });
  });

  it('is not guessed where the file is damaged', async () => {
    const file = join(folder, 'damaged.json');
    for (const text of ['', '{"draining":1}', '[']) {
      writeFileSync(file, text);
      await expect(Rules.open(file)).rejects.toThrow(/the rules .*damaged\.json/);
    }
  });
});
