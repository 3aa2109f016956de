/** Who may say what between agents: every method, by everybody who may and by everybody who may not. */
import { describe, expect, it } from 'vitest';
import type { Handlers, Method, Params } from '../../agent/api/contract';
import { GodwitError } from '../../agent/api/errors';
import { ROOT, type User } from '../../agent/api/model';
import { type PeerContract, peerContract } from '../../agent/api/peer-contract';
import { type Ledger, launchedOn } from '../../agent/daemon/journal/ledger';
import { CALLERS, judged, type Standing } from '../../agent/daemon/requests/callers';
import { withoutReasons } from '../../agent/daemon/requests/rights';

const JOB = 'abcdefghij';
const OTHER = 'bcdefghijk';
const ANN: User = { name: 'ann', uid: 5, gid: 5, groups: [] };
const METHODS = Object.keys(peerContract) as Method<PeerContract>[];

/** `here` hosts JOB, whose home is `home`; of OTHER, whose home it is, `host` is the host. */
const standing = (more: Partial<Standing> = {}): Standing => ({
  acceptance: { node: 'here', acceptFrom: undefined, acceptRootJobs: true },
  allocations: { refusal: async () => null },
  isMember: (name) => ['here', 'home', 'host', 'third'].includes(name),
  homeOf: (job) => (job === JOB ? 'home' : null),
  owner: async (job) => (job === OTHER ? ANN : null),
  ledger: async (job) => (job === OTHER ? launchedOn('host', 3) : null),
  ...more,
});

const move = (user: User, type: 'prepare' | 'commit') =>
  ({
    ...{ home: 'home', user, terms: { user, limits: {}, address: null, terminal: false, allocation: null } },
    message: { type, epoch: 4, from: 'host' },
  }) as const;

/** What the table looks at, of all methods. */
const params = (job: string, as: User | null = ANN, user = ANN) => ({
  ...{ job, as, fresh: true, jobs: [job] },
  ...move(user, 'prepare'),
});

/** `done`, or the code of the refusal; by all that this node answers. */
async function say(method: Method<PeerContract>, from: string, said: object, here = standing()) {
  const reached: string[] = [];
  const refused: string[] = [];
  const handlers = Object.fromEntries(METHODS.map((name) => [name, () => reached.push(name)]));
  const guarded = judged(handlers as unknown as Handlers<PeerContract>, here, (by, what, { code }) =>
    refused.push(`${by} ${what} ${code}`),
  );
  const caller = { name: from, kind: 'agent' as const, signal: new AbortController().signal };
  const answer = Promise.resolve(
    guarded[method](said as Params<PeerContract, typeof method> as never, caller),
  );
  const code = await answer.then(
    () => 'done',
    (error: GodwitError) => error.code,
  );
  expect(reached).toEqual(code === 'done' ? [method] : []);
  return { code, refused };
}
const code = async (...args: Parameters<typeof say>) => (await say(...args)).code;

/** Of which job each kind of caller is one. */
const OF = { home: JOB, host: OTHER, member: JOB, origin: JOB } as const;
const comesHere = (method: string) => method === 'host.launch';

describe('every method', () => {
  it.each(METHODS)('%s: is accepted from whom the table names, and from no others', async (method) => {
    const { who } = CALLERS[method];
    const said = params(comesHere(method) ? OTHER : OF[who]);
    expect(await code(method, 'stranger', said)).toBe('not-a-member');
    const heard = { home: ['home'], host: ['host'], member: ['home', 'host', 'third'], origin: ['third'] }[
      who
    ];
    for (const from of heard) expect(await code(method, from, said)).toBe('done');
    const others = ['here', 'home', 'host', 'third'].filter((name) => !heard.includes(name));
    if (who === 'member' || who === 'origin') return;
    for (const from of others) {
      const { code, refused } = await say(method, from, said);
      expect(code).toMatch(/^not-(your-job|home)$/);
      expect(refused).toEqual([`${from} ${method} ${code}`]);
    }
  });

  it.each(METHODS)('%s: its handler is reached through the judge alone', async (method) => {
    const nobody = standing({ isMember: () => false });
    expect(await code(method, 'here', params(JOB), nobody)).toBe('not-a-member');
  });
});

describe('a node that passes on what its users ask', () => {
  const origins = METHODS.filter((method) => CALLERS[method].who === 'origin');
  const accepting = (acceptFrom: string[] | undefined, acceptRootJobs = true) =>
    standing({ acceptance: { node: 'here', acceptFrom, acceptRootJobs } });

  it.each(origins)('%s: is heard where it is accepted', async (method) => {
    expect(await code(method, 'third', params(JOB), accepting(['host']))).toBe('not-accepted');
    expect(await code(method, 'third', params(JOB), accepting([]))).toBe('not-accepted');
    expect(await code(method, 'third', params(JOB), accepting(['third']))).toBe('done');
    expect(await code(method, 'here', params(JOB), accepting([]))).toBe('done');
  });

  it.each(origins)(
    '%s: its root has no rights where root is not accepted; this node’s is root',
    async (method) => {
      const strict = accepting(undefined, false);
      for (const as of [null, ROOT, { ...ANN, uid: 0 }])
        expect(await code(method, 'third', params(JOB, as), strict)).toBe('root-refused');
      expect(await code(method, 'here', params(JOB, null), strict)).toBe('done');
      expect(await code(method, 'third', params(JOB), strict)).toBe('done');
    },
  );
});

describe('a host that passes on what a program of a job asks', () => {
  const launch = (acceptFrom: string[] | undefined, acceptRootJobs: boolean, owner: User) =>
    code(
      'home.launch',
      'host',
      { job: OTHER },
      standing({ acceptance: { node: 'here', acceptFrom, acceptRootJobs }, owner: async () => owner }),
    );

  it('is heard where its users’ requests count, as the user whom the journal names', async () => {
    expect(await launch(undefined, false, ANN)).toBe('done');
    expect(await launch(['third'], true, ANN)).toBe('not-accepted');
    expect(await launch(undefined, false, ROOT)).toBe('root-refused');
    expect(await launch(undefined, true, ROOT)).toBe('done');
  });
});

describe('a job that comes here', () => {
  const strict = standing({ acceptance: { node: 'here', acceptFrom: ['home'], acceptRootJobs: false } });
  const arrives = (from: string, user: User, type: 'prepare' | 'commit', job = OTHER) =>
    code('move.toDestination', from, { ...params(job), ...move(user, type), home: from }, strict);

  it('comes from a home that is accepted, for a user who is', async () => {
    expect(await code('host.launch', 'home', params(OTHER), strict)).toBe('done');
    expect(await code('host.launch', 'home', params(OTHER, ANN, ROOT), strict)).toBe('root-jobs-refused');
    expect(await code('host.launch', 'third', { ...params(OTHER), home: 'third' }, strict)).toBe(
      'not-accepted',
    );
    expect(await arrives('home', ANN, 'prepare')).toBe('done');
    expect(await arrives('home', ROOT, 'prepare')).toBe('root-jobs-refused');
    expect(await arrives('third', ANN, 'prepare')).toBe('not-accepted');
  });

  it('is seen through once it is here, whatever is accepted by then', async () => {
    expect(await arrives('home', ROOT, 'commit', JOB)).toBe('done');
    expect(await code('move.toSource', 'home', params(JOB), strict)).toBe('done');
    // What is here already does not make room for another user.
    expect(await arrives('home', ROOT, 'prepare', JOB)).toBe('root-jobs-refused');
  });

  it('of another home has numbers only that are accepted', async () => {
    const acceptIds = { first: 5, last: 1000 };
    const ranged = standing({ acceptance: { node: 'here', acceptRootJobs: true, acceptIds } });
    const launch = (user: User, home = 'home') =>
      code('host.launch', home, { ...params(OTHER, null, user), home }, ranged);
    expect(await launch({ ...ANN, groups: [5, 1000] })).toBe('done');
    for (const user of [{ uid: 4 }, { gid: 1001 }, { groups: [6, 0] }])
      expect(await launch({ ...ANN, ...user })).toBe('ids-refused');
    // Root has a setting of its own; of its own users a node has the numbers from itself.
    expect(await launch(ROOT)).toBe('done');
    expect(await launch({ ...ANN, groups: [0] }, 'here')).toBe('done');
  });

  it('comes only where its allocation lets it, and is seen through after that', async () => {
    const asked: unknown[] = [];
    const refusal = async (job: { allocation: string | null }) => {
      asked.push(job);
      return job.allocation === '1' ? null : new GodwitError({ code: 'outside-allocation', message: 'no' });
    };
    const here = standing({ allocations: { refusal } });
    const launched = { ...params(OTHER), allocation: '1' };
    expect(await code('host.launch', 'home', launched, here)).toBe('done');
    expect(await code('host.launch', 'home', { ...launched, allocation: null }, here)).toBe(
      'outside-allocation',
    );
    const arriving = { ...params(JOB), ...move(ANN, 'prepare') };
    expect(await code('move.toDestination', 'home', arriving, here)).toBe('outside-allocation');
    const { terms } = arriving;
    const allowed = { ...arriving, terms: { ...terms, allocation: '1' } };
    expect(await code('move.toDestination', 'home', allowed, here)).toBe('done');
    expect(asked).toMatchObject([
      { user: ANN },
      { user: ANN },
      { user: ANN },
      { user: ANN, allocation: '1' },
    ]);
    const committed = { ...params(JOB), ...move(ANN, 'commit') };
    expect(await code('move.toDestination', 'home', committed, here)).toBe('done');
    expect(asked).toHaveLength(4);
  });

  it('is not launched over one that is here', async () => {
    expect(await code('host.launch', 'home', params(JOB))).toBe('not-your-job');
  });

  it('is one that its home can clear up after when nothing of it is here', async () => {
    expect(await code('move.toSource', 'third', { ...params(OTHER), home: 'third' })).toBe('done');
    expect(await code('host.kill', 'home', params(OTHER))).toBe('job-moving');
    expect((await say('host.kill', 'home', params(OTHER))).refused).toEqual([]);
  });
});

describe('a job’s home', () => {
  const ledger: Ledger = {
    ...launchedOn('host', 3),
    open: {
      move: { from: 'host', to: 'third', epoch: 4, since: 3, transfer: 'stop' },
      outcome: 'moving',
    },
    debts: [{ node: 'home', role: 'source', epoch: 2, message: 'discard' }],
  };
  const moving = standing({ ledger: async () => ledger });

  it('hears of its end from its host alone, and answers all who have a part in it', async () => {
    for (const [from, ended, asks] of [
      ['host', 'done', 'done'],
      ['third', 'not-your-job', 'done'],
      ['home', 'not-your-job', 'done'],
      ['here', 'not-your-job', 'not-your-job'],
    ] as const) {
      expect([from, await code('home.ended', from, params(OTHER), moving)]).toEqual([from, ended]);
      expect([from, await code('home.outcome', from, params(OTHER), moving)]).toEqual([from, asks]);
      expect([from, await code('home.files', from, params(OTHER), moving)]).toEqual([from, asks]);
    }
  });

  it('that knows no such job says so', async () => {
    expect(await code('home.ended', 'host', params(JOB))).toBe('no-such-job');
    expect(await code('home.outcome', 'host', params(JOB))).toBe('done');
  });

  it('fails closed when its journal can’t be read', async () => {
    const failing = async () => {
      throw new GodwitError({ code: 'journal-failed', message: 'no' });
    };
    expect(await code('home.ended', 'host', params(OTHER), standing({ ledger: failing }))).toBe(
      'journal-failed',
    );
  });
});

describe('as another node says it', () => {
  const launch = (user: object) =>
    peerContract['move.toDestination'].params.shape.terms.shape.user.safeParse(user);
  const kill = (as: object | null) =>
    peerContract['jobs.kill'].params.safeParse({ job: JOB, signal: 'SIGKILL', as });

  it('root is root under any name', () => {
    expect(launch({ ...ANN, uid: 0 }).data).toEqual(ROOT);
    expect(kill({ ...ANN, uid: 0 }).data?.as).toBeNull();
    expect(kill(ANN).data?.as).toEqual(ANN);
  });

  it('a number that the kernel would read as another is none', () => {
    for (const number of [2 ** 32, 2 ** 32 - 1, -1, 0.5])
      for (const user of [{ uid: number }, { gid: number }, { groups: [number] }])
        expect([launch({ ...ANN, ...user }).success, kill({ ...ANN, ...user }).success]).toEqual([
          false,
          false,
        ]);
  });
});

it('reasons are for those who may look into a job', () => {
  const event = (job: string) =>
    ({ time: '2026-01-01T00:00:00Z', job, node: 'n', event: 'move-aborted', reason: '/home/ann' }) as const;
  const told = withoutReasons([event(JOB), event(OTHER)], (job) => job === JOB);
  expect(told.map(({ reason }) => reason)).toEqual(['/home/ann', undefined]);
});
