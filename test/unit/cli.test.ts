import { existsSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { GodwitError, noSuchJob } from '../../agent/api/errors';
import type { HistoryEvent, ReachedFile } from '../../agent/api/model';
import { version } from '../../package.json';
import { aJob, aNode, aReport, atEnd, dist, FakeAgent, folder, godwit } from './cli-fixture';

const oneLine = /^godwit: [^\n]+\n$/;

describe('the help', () => {
  it.each([['--help'], ['help'], ['-h']])('%s names each verb', async (asked) => {
    const { status, stdout, stderr } = await godwit([asked]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const verbs = 'doctor lab agent nodes run ps logs wait kill migrate why history gdb rsp'.split(' ');
    for (const verb of verbs) expect(stdout).toMatch(new RegExp(`^  ${verb} `, 'm'));
  });

  it('of a verb names its options', async () => {
    const { status, stdout } = await godwit(['run', '--help']);
    expect(status).toBe(0);
    for (const option of ['--on', '--name', '--cwd', '--env', '--detach', '--stopped', '--json', '--agent'])
      expect(stdout).toContain(option);
  });

  it('has the version', async () => {
    expect(await godwit(['--version'])).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' });
  });
});

describe('wrong usage', () => {
  it.each([
    [[]],
    [['lab']],
    [['fly']],
    [['bottom']],
    [['ps', '--fast']],
    [['ps', 'one', 'extra']],
    [['--agent']],
    [['run']],
    [['run', '--on']],
    [['run', '--env', 'NAME', '--', 'true']],
    [['run', '--memory', 'much', '--', 'true']],
    [['run', '--json', '--', 'true']],
    [['migrate', 'sim']],
    [['migrate', 'sim', 'node2', '--transfer', 'post']],
    [['kill', 'sim', '-s', 'SIGNONE']],
    [['kill', 'sim', '-s', '']],
    [['kill', 'sim', '-s', 'RTMIN+x']],
    [['logs', 'sim', '--json']],
    [['--json', 'logs', 'sim']],
    [['--json', 'gdb', 'sim']],
    [['gdb', 'sim', '-p', '0']],
    [['gdb', 'sim', '-batch']],
    [['rsp', 'sim']],
    [['rsp', 'sim', '--listen', '70000']],
    [['rsp', 'sim', '--listen', 'localhost:1234']],
    [['lab', 'up', '--nodes', '1.5']],
    [['lab', 'up', '--cpus', '1,,2']],
    [['lab', 'up', '--memory', '512M,lots']],
  ])('%j', async (args) => {
    const agent = await FakeAgent.start();
    const { status, stdout, stderr } = await agent.godwit(args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(oneLine);
    expect(agent.calls).toEqual([]);
  });
});

describe('the agent that is asked', () => {
  const nodes = { 'nodes.list': () => ({ nodes: [aNode()] }) };

  it.each([
    ['before the verb', (path: string) => ['--json', '--agent', path, 'nodes']],
    ['behind the verb', (path: string) => ['nodes', '--agent', path, '--json']],
    [
      'on both sides, the nearer one counting',
      (path: string) => ['--agent', '/no', 'nodes', '--json', '--agent', path],
    ],
  ])('is named %s', async (_, args) => {
    const agent = await FakeAgent.start(nodes);
    const { status, stdout } = await godwit(args(agent.path), { env: { GODWIT_AGENT: '/nowhere' } });
    expect({ status, nodes: JSON.parse(stdout) }).toEqual({ status: 0, nodes: [aNode()] });
  });

  it('is that of the environment', async () => {
    const agent = await FakeAgent.start(nodes);
    expect((await godwit(['nodes'], { env: { GODWIT_AGENT: agent.path } })).status).toBe(0);
  });

  it("is that of the lab's first node", async () => {
    const { status, stdout, stderr } = await godwit(['nodes'], { env: { GODWIT_LAB: 'not-there' } });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(oneLine);
    expect(stderr).toContain('no agent answers at /var/lib/godwit/labs/not-there/node1/agent.sock');
    expect(stderr).toContain('godwit lab up');
  });

  it("can't be of a lab that can't be", async () => {
    const { status, stderr } = await godwit(['nodes'], { env: { GODWIT_LAB: '../../etc' } });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^godwit: there can be no such lab: [^\n]+\n$/);
  });

  it.each([
    [['ps']],
    [['run', '--', 'true']],
    [['wait', 'sim']],
    [['logs', '-f', 'sim']],
    [['gdb', 'sim']],
    [['rsp', 'sim', '--listen', '0']],
  ])('is not there: %j says so, and does not wait for it', async (args) => {
    const { status, stdout, stderr } = await godwit([
      ...args.slice(0, 1),
      '--agent',
      '/nowhere',
      ...args.slice(1),
    ]);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    // One that was waited for would be said to have been away for so many seconds.
    expect(stderr).toMatch(/^godwit: no agent answers at \/nowhere: [^\n]+\n$/);
  });

  it('is no agent', async () => {
    const path = join(folder, 'garbage.sock');
    const server = createServer((socket) =>
      socket.on('error', () => {}).end('ho ho\n\u001b[2Jho\n'.repeat(1000)),
    );
    await new Promise<void>((resolve) => server.listen(path, resolve));
    atEnd(() => server.close());
    const { status, stderr } = await godwit(['ps', '--agent', path]);
    expect(status).toBe(1);
    expect(stderr).toMatch(oneLine);
    expect(stderr).not.toContain('\u001b');
  });

  it('ends before it has answered', async () => {
    const agent = await FakeAgent.start();
    agent.answer({
      'jobs.run': async () => {
        void agent.stop();
        return new Promise(() => {});
      },
    });
    const { status, stderr } = await agent.godwit(['run', '--', 'true']);
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^godwit: the connection was lost: [^\n]+ before it had answered; see `godwit ps`[^\n]+\n$/,
    );
    // What may have been launched is not launched again.
    expect(agent.params('jobs.run')).toHaveLength(1);
  });

  it('ends before it has answered a program of a job, which asks again by the same token', async () => {
    const agent = await FakeAgent.start();
    agent.answer({
      'jobs.run': async () => {
        if (agent.params('jobs.run').length > 1) return aJob({ id: 'abcdefghij' });
        void agent.restart();
        return new Promise(() => {});
      },
    });
    const within = { env: { GODWIT_JOB: 'parent0000' } };
    const { status, stdout } = await agent.godwit(['run', '--detach', '--', 'true'], within);
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'abcdefghij\n' });
    const [first, second] = agent.params('jobs.run') as { token: string }[];
    expect(second).toEqual(first);
    expect(first!.token).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('answers with what is none', async () => {
    const agent = await FakeAgent.start({ 'jobs.list': () => ({ jobs: [{ id: 'x' }] }) as never });
    const { status, stdout, stderr } = await agent.godwit(['ps', '--json']);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/^godwit: the answer to jobs.list is not valid: [^\n]+\n$/);
  });

  it('refuses', async () => {
    const agent = await FakeAgent.start({
      'jobs.migrate': () => {
        throw noSuchJob('sim');
      },
    });
    const { status, stdout, stderr } = await agent.godwit(['migrate', 'sim', 'node2', '--json']);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toBe(`godwit: ${noSuchJob('sim').toLine()}\n`);
  });
});

const events: HistoryEvent[] = [
  { time: '2027-03-05T12:00:00.000Z', job: 'abcdefghij', node: 'node1', event: 'launched' },
  {
    time: '2027-03-05T12:00:01.000Z',
    job: 'abcdefghij',
    node: 'node1',
    event: 'move-intent',
    epoch: 2,
    to: 'node2',
  },
  {
    time: '2027-03-05T12:00:02.500Z',
    job: 'abcdefghij',
    node: 'node2',
    event: 'move-finished',
    epoch: 2,
    move: aReport(),
  },
  {
    time: '2027-03-05T12:00:03.000Z',
    job: 'abcdefghij',
    node: 'node2',
    event: 'move-aborted',
    epoch: 3,
    reason: 'disk full',
  },
  {
    time: '2027-03-05T12:00:09.000Z',
    job: 'abcdefghij',
    node: 'node2',
    event: 'ended',
    exit: { exit: 137, signal: 'SIGKILL' },
  },
];
const preflight = {
  can: false,
  obstacles: [{ code: 'open-socket', what: 'it has a connection open', fix: 'close it' }],
  bytes: 1000,
  estimateMs: 300,
  home: 'node1',
  files: [],
  moreFiles: 0,
};
const standing = {
  id: 'abcdefghij',
  stacks: [
    {
      frames: [
        { function: 'pause', file: null, line: null, own: false },
        { function: 'exchange', file: '/src/r.c', line: 8, own: true },
      ],
      threads: [
        { pid: 2, tid: 3, name: 'rank' },
        { pid: 2, tid: 4, name: 'rank' },
      ],
    },
  ],
  unread: [{ pid: 5, tid: null, why: 'debugged' as const }],
  more: 0,
  standstillMs: 0.42,
};
const all = {
  'nodes.list': () => ({ nodes: [aNode(), aNode({ name: 'node2', state: 'down', cpus: 0.25, jobs: 12 })] }),
  'jobs.list': ({ ended }: { ended: boolean }) => ({
    jobs: [
      aJob(),
      aJob({ id: 'klmnopqrst', name: 'a longer name', command: ['sh', '-c', "echo 'a b'"], debugged: true }),
      ...(ended ? [aJob({ id: 'uvwxyz0123', state: 'ended', exit: { exit: 3, signal: null } })] : []),
    ],
  }),
  'jobs.run': () => aJob({ node: 'node1', state: 'starting' }),
  'jobs.migrate': () => aReport(),
  'jobs.why': () => preflight,
  'jobs.stacks': () => ({ ...standing, unread: [] }),
  'jobs.history': () => ({ events }),
  'jobs.kill': () => ({ id: 'abcdefghij' }),
  'jobs.pin': () => ({ id: 'abcdefghij' }),
  'jobs.balance': () => ({ id: 'abcdefghij' }),
  'jobs.placed': () => ({
    id: 'abcdefghij',
    node: 'node1',
    because: 'asleep',
    text: 'it waits',
    lasting: false,
  }),
  'jobs.wait': () => ({ id: 'abcdefghij', exit: 3, signal: null }),
} as const;

describe('as JSON', () => {
  it.each<[string[], unknown, number?]>([
    [['nodes'], all['nodes.list']().nodes],
    [['ps'], all['jobs.list']({ ended: false }).jobs],
    [['ps', '-a'], all['jobs.list']({ ended: true }).jobs],
    [
      ['run', '--detach', '--', 'sim'],
      { id: 'abcdefghij', name: 'sim', home: 'node1', node: 'node1', pid: 12 },
    ],
    [['migrate', 'sim', 'node2'], aReport()],
    [['why', 'sim', 'node2'], preflight],
    [
      ['stacks', 'sim', 'abc'],
      [
        {
          stack: [
            { function: 'pause', file: null, line: null },
            { function: 'exchange', file: '/src/r.c', line: 8 },
          ],
          threads: [3, 4].map((tid) => ({ job: 'abcdefghij', pid: 2, tid, name: 'rank' })),
        },
      ],
    ],
    [['history'], events],
    [['kill', 'sim'], { id: 'abcdefghij', exit: null, signal: 'SIGTERM' }],
    [['pin', 'sim'], { id: 'abcdefghij', pinned: true }],
    [['unpin', 'sim'], { id: 'abcdefghij', pinned: false }],
    [['balance', 'off', 'sim'], { id: 'abcdefghij', balanced: false }],
    [['balance', 'on', 'sim'], { id: 'abcdefghij', balanced: true }],
    [['balance', 'status', 'sim'], { id: 'abcdefghij', why: 'it waits' }],
    [['wait', 'sim'], { id: 'abcdefghij', exit: 3, signal: null }, 3],
    [['lab', 'status', '--name', 'not-there'], { nodes: [] }],
  ])('%j gives one value', async (args, value, expected = 0) => {
    const agent = await FakeAgent.start({ ...all });
    const { status, stdout, stderr } = await agent.godwit(['--json', ...args]);
    expect({ status, stderr }).toEqual({ status: expected, stderr: '' });
    expect(JSON.parse(stdout)).toEqual(value);
    expect(stdout.endsWith('\n')).toBe(true);
  });
});

describe('for people', () => {
  const text = async (...args: string[]) => {
    const agent = await FakeAgent.start({ ...all });
    const { stdout, stderr } = await agent.godwit(args, { env: { TZ: 'UTC' } });
    expect(stderr).toBe('');
    return stdout;
  };

  it('nodes', async () => {
    expect(await text('nodes')).toBe(
      [
        'NAME   ADDRESS    STATE  CPUS  SPEED  LOAD  MEMORY    FREE  JOBS',
        'node1  10.77.0.1  up        2      1   0.5  8.0 GB  950 MB     3',
        'node2  10.77.0.1  down   0.25      1   0.5  8.0 GB  950 MB    12',
        '',
      ].join('\n'),
    );
  });

  it('ps', async () => {
    expect(await text('ps', '-a')).toBe(
      [
        'ID          NAME           USER  STATE    HOME   NODE   ADDRESS  PID   CPU  MEMORY  MOVES  DEBUGGED  PINNED  EXIT  COMMAND',
        'abcdefghij  sim            root  running  node1  node2  -         12  0.98  3.4 MB      1  -         -       -     /usr/bin/sim 100',
        `klmnopqrst  a longer name  root  running  node1  node2  -         12  0.98  3.4 MB      1  yes       -       -     sh -c 'echo '\\''a b'\\'''`,
        'uvwxyz0123  sim            root  ended    node1  node2  -         12  0.98  3.4 MB      1  -         -       3     /usr/bin/sim 100',
        '',
      ].join('\n'),
    );
  });

  it('history, one line an event', async () => {
    expect(await text('history', 'sim')).toBe(
      [
        'TIME                     JOB         NODE   EVENT          WHAT',
        '2027-03-05 12:00:00.000  abcdefghij  node1  launched       -',
        '2027-03-05 12:00:01.000  abcdefghij  node1  move-intent    epoch 2, to node2',
        '2027-03-05 12:00:02.500  abcdefghij  node2  move-finished  epoch 2, frozen 212 ms of 1.5 s, 3.4 MB (stop): ' +
          'prepare 20 ms, park 22 ms, dump 87 ms, transfer 5.3 ms, restore 60 ms, commit 3 ms, thaw 12 ms',
        '2027-03-05 12:00:03.000  abcdefghij  node2  move-aborted   epoch 3, disk full',
        '2027-03-05 12:00:09.000  abcdefghij  node2  ended          exit SIGKILL',
        '',
      ].join('\n'),
    );
  });

  it('migrate, why, kill, wait and run --detach', async () => {
    expect(await text('migrate', 'sim', 'node2')).toMatch(
      /^job abcdefghij moved from node1 to node2: frozen 212 ms of 1\.5 s, .*\n$/,
    );
    expect(await text('why', 'sim', 'node2')).toBe(
      "sim can't move to node2:\n  open-socket: it has a connection open; close it\n",
    );
    expect(await text('kill', 'sim')).toBe('SIGTERM sent to job abcdefghij\n');
    expect(await text('pin', 'sim')).toBe('job abcdefghij stays on its node\n');
    expect(await text('unpin', 'sim')).toBe('job abcdefghij may move\n');
    expect(await text('balance', 'off', 'sim')).toBe('job abcdefghij moves only when told\n');
    expect(await text('wait', 'sim')).toBe('job abcdefghij ended with exit status 3\n');
    expect(await text('run', '--detach', '--', 'sim')).toBe('abcdefghij\n');
  });

  it('stacks, a job that is named twice once, and who is not shown', async () => {
    const agent = await FakeAgent.start({ 'jobs.stacks': () => standing });
    const { status, stdout, stderr } = await agent.godwit(['stacks', 'sim', 'abc']);
    expect(stdout.split('\n')).toEqual([
      '2 threads in exchange()',
      '  #0  pause',
      '  #1  exchange  /src/r.c:8',
      '  abcdefghij 2.3 rank, abcdefghij 2.4 rank',
      '',
      'each process stood still for 0.4 ms at most',
      '',
    ]);
    expect(stderr).toBe(
      'godwit: process 5 of job abcdefghij is not shown: it stands in a debugger, which shows where\n',
    );
    expect(status).toBe(0);
  });

  it('stacks, where there is none to show', async () => {
    const agent = await FakeAgent.start({ 'jobs.stacks': () => ({ ...standing, stacks: [] }) });
    const { status, stdout, stderr } = await agent.godwit(['stacks', '--json', 'sim']);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(
      /^godwit: process 5 of job abcdefghij is not shown: it stands in a debugger[^\n]+\n$/,
    );
  });

  it('why says which open files go over the network', async () => {
    const file = (path: string, via: ReachedFile['via']) => ({ path, via });
    const files = [
      ...['/home/a', '/home/b', '/c', '/d', '/e'].map((path) => file(path, 'home')),
      file('/data/x', 'shared'),
    ];
    const free = { ...preflight, can: true, obstacles: [] };
    const answers = [
      { ...free, files, moreFiles: 0 },
      { ...free, files: files.slice(4), moreFiles: 7 },
    ];
    const agent = await FakeAgent.start({ 'jobs.why': () => answers.shift()! });
    const why = async () => (await agent.godwit(['why', 'sim', 'node2'])).stdout.split('\n').slice(1);
    expect(await why()).toEqual([
      '  5 of its 6 open files would be read and written over the network (at node1): /home/a, /home/b, /c, /d and 1 more',
      '  1 of its 6 open files would be read and written in folders that node2 shares with node1: /data/x',
      '',
    ]);
    expect((await why())[0]).toBe(
      '  1 of the first 2 of its 9 open files would be read and written over the network (at node1): /e',
    );
  });

  it('keeps what others wrote from steering the terminal', async () => {
    const jobs = [aJob({ name: 'a\nb', command: ['\u001b[2J', '\u009b1m'] })];
    const agent = await FakeAgent.start({ 'jobs.list': () => ({ jobs }) });
    const { stdout } = await agent.godwit(['ps']);
    expect(stdout.split('\n')).toHaveLength(3);
    expect(stdout).toContain('a\\nb');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may be there
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  });
});

describe('what is asked', () => {
  it('run: where, how and with what', async () => {
    const agent = await FakeAgent.start({ ...all });
    const here = join(folder, 'here');
    mkdirSync(join(here, 'below'), { recursive: true });
    const run = (...args: string[]) =>
      agent.godwit(['run', '--detach', ...args], { cwd: here, env: { A: '1', B: '2' } });
    await run('--', 'sim', '--json', '--', '-x');
    await run('./bin/sim', '-v');
    await run(
      '--cwd',
      'below',
      '--on',
      'best',
      '--name',
      'N',
      '--stopped',
      '--env',
      'B=3=4',
      '--env',
      'C=',
      '../sim',
    );
    const real = realpathSync(here);
    const plain = { cwd: real, node: 'auto', stopped: false };
    const [first, second, third] = agent.params('jobs.run');
    expect(first).toMatchObject({
      ...plain,
      program: 'sim',
      args: ['--json', '--', '-x'],
      env: { A: '1', B: '2' },
    });
    expect(first).not.toHaveProperty('name');
    expect(second).toMatchObject({ ...plain, program: join(real, 'bin/sim'), args: ['-v'] });
    expect(third).toMatchObject({
      program: join(real, 'sim'),
      args: [],
      cwd: join(real, 'below'),
      node: 'best',
      name: 'N',
      stopped: true,
      env: { A: '1', B: '3=4', C: '' },
    });
  });

  it.each([
    ['9', 'SIGKILL'],
    ['usr1', 'SIGUSR1'],
    ['SIGSTOP', 'SIGSTOP'],
    ['rtmin+3', 'SIGRTMIN+3'],
  ])('kill -s %s', async (given, signal) => {
    const agent = await FakeAgent.start({ ...all });
    await agent.godwit(['kill', 'sim', '-s', given]);
    expect(agent.params('jobs.kill')).toEqual([{ job: 'sim', signal }]);
  });

  it('migrate, why, history and ps', async () => {
    const agent = await FakeAgent.start({ ...all });
    await agent.godwit(['migrate', 'sim', 'node3', '--transfer', 'post-copy']);
    await agent.godwit(['migrate', 'sim', 'best']);
    await agent.godwit(['why', 'sim', 'node3']);
    await agent.godwit(['history']);
    await agent.godwit(['history', 'sim']);
    await agent.godwit(['ps']);
    expect(agent.calls.map(({ params }) => params)).toEqual([
      { job: 'sim', node: 'node3', transfer: 'post-copy' },
      { job: 'sim', node: 'best', transfer: 'auto' },
      { job: 'sim', node: 'node3' },
      {},
      // Which nodes don't answer, and what is not shown therefore.
      {},
      { job: 'sim' },
      { ended: false },
      {},
    ]);
  });

  it.each(['adopt', 'forget'] as const)(
    '%s: not confirmed without --yes, and the risk is the error',
    async (verb) => {
      const agent = await FakeAgent.start({
        [`jobs.${verb}`]: ({ confirmed }: { confirmed: boolean }) => {
          if (confirmed) return { id: 'abcdefghi0', node: 'node2' };
          throw new GodwitError({ code: 'not-confirmed', message: 'two may run', fix: 'do it with --yes' });
        },
      });
      const refused = await agent.godwit([verb, 'sim']);
      expect(refused).toEqual({ status: 1, stdout: '', stderr: 'godwit: two may run; do it with --yes\n' });
      const done = await agent.godwit([verb, 'sim', '--yes', '--json']);
      expect(done).toEqual({ status: 0, stdout: '{"id":"abcdefghi0","node":"node2"}\n', stderr: '' });
      expect(agent.params(`jobs.${verb}`)).toEqual([
        { job: 'sim', confirmed: false },
        { job: 'sim', confirmed: true },
      ]);
    },
  );
});

describe('a node that does not answer', () => {
  it('is named beside the lists of jobs and of what has happened, with what they lack', async () => {
    const nodes = [
      aNode({ name: 'node1' }),
      aNode({ name: 'node2', state: 'down', jobs: 3, silentMs: 125_400 }),
    ];
    const jobs = [
      aJob({ id: 'aaaaaaaaaa', home: 'node2', node: 'node1', homeSilentMs: 125_400 }),
      aJob({ id: 'bbbbbbbbbb', home: 'node2', homeSilentMs: 1, asOf: '2027-03-05T14:07:09.120Z' }),
      // Its host tells of it, so what is remembered of it does not count; its home would count more than both.
      aJob({ id: 'aaaaaaaaaa', home: 'node2', homeSilentMs: 1, asOf: '2027-03-05T14:07:09.120Z' }),
      aJob({ id: 'cccccccccc', home: 'node1' }),
      aJob({ id: 'cccccccccc', home: 'node1', homeSilentMs: 1 }),
    ];
    const agent = await FakeAgent.start({
      'jobs.list': () => ({ jobs, next: null }),
      'jobs.history': () => ({ events: [], next: null }),
      'nodes.list': () => ({ nodes }),
    });
    const ps = await agent.godwit(['ps']);
    expect(ps.stdout.match(/^[abc]{10}.*/gm)).toMatchObject([
      expect.stringContaining(' node2 (silent for 2 min) '),
      expect.stringMatching(/ node2 \(as of 2027-03-0\d \d\d:\d\d:09\.120\) /),
      expect.stringContaining(' node1 '),
    ]);
    expect(ps.stderr).toMatch(/^godwit: node2 has not answered for 2 min: [^\n]*it ran 3 [^\n]*\n$/);
    expect(JSON.parse((await agent.godwit(['ps', '--json'])).stdout)).toHaveLength(3);
    const history = await agent.godwit(['history']);
    expect(history.stderr).toMatch(/^godwit: node2 has not answered for 2 min: [^\n]*is not shown\n$/);
    expect((await agent.godwit(['nodes'])).stdout).toMatch(/node2 .* down for 2 min/);
  });
});

describe('lab and agent', () => {
  it('lab up needs what is to run there', async () => {
    const { status, stderr } = await godwit(['lab', 'up', '--name', 'not-there']);
    expect(status).toBe(1);
    expect(stderr).toMatch(process.getuid?.() === 0 ? /agent\.cjs is not there; build it/ : /only root may/);
    expect(existsSync('/var/lib/godwit/labs/not-there')).toBe(false);
  });

  it.each([[['lab', 'up']], [['lab', 'down']], [['lab', 'status']]])(
    '%j refuses a bad name',
    async (args) => {
      const { status, stderr } = await godwit([...args, '--name', 'Not A Name']);
      expect(status).toBe(1);
      expect(stderr).toMatch(/^godwit: there can be no such lab: [^\n]+\n$/);
    },
  );

  it('lab status takes the name of the environment, and says how to have one', async () => {
    const { status, stdout } = await godwit(['lab', 'status'], { env: { GODWIT_LAB: 'not-there' } });
    expect(status).toBe(0);
    expect(stdout).toBe('no lab "not-there" is up; start it with `godwit lab up`\n');
  });

  it('agent looks at its configuration first', async () => {
    const config = join(folder, 'bad.json');
    writeFileSync(config, '{"name": "Node One"}');
    const { status, stderr } = await godwit(['agent', '--config', config]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^godwit: the configuration \S+bad\.json is not valid: name: [^\n]+\n$/);
  });

  it.each([
    [['--start', '--stop'], /--stop.*can.*--start|--start.*can.*--stop/],
    [['--restart', '--stop'], /--restart/],
    [['--no-service'], /--no-service goes with --start/],
  ])('agent takes one thing to do at a time: %j', async (options, said) => {
    const { status, stderr } = await godwit(['agent', ...options]);
    expect([status, stderr]).toEqual([2, expect.stringMatching(said)]);
  });

  it.each([
    [['--host', 'elsewhere'], []],
    [[], ['--', '-p', '22']],
  ])('cluster remove takes %j %j with --uninstall only', async (options, ssh) => {
    const { status, stderr } = await godwit(['cluster', 'remove', ...options, 'node2', ...ssh]);
    expect([status, stderr]).toEqual([2, expect.stringContaining('go with --uninstall')]);
  });

  it('agent runs it, and ends as it ends', async () => {
    const config = join(folder, 'good.json');
    const path = join(folder, 'x');
    writeFileSync(
      config,
      JSON.stringify({
        name: 'node1',
        state: path,
        listen: { host: '127.0.0.1', port: 7420 },
        socket: path,
        keeperSocket: path,
        tls: { ca: path, cert: path, key: path },
        members: [{ name: 'node1', address: '127.0.0.1', port: 7420 }],
        cgroup: 'node1',
      }),
    );
    writeFileSync(join(dist, 'agent.cjs'), 'console.log(process.argv[2]); process.exit(7);');
    expect(await godwit(['agent', '--config', config])).toEqual({
      status: 7,
      stdout: `${config}\n`,
      stderr: '',
    });
  });
});
