/** What is refused: each time with one line that says what, why and what to do, and nothing has changed by it. */
import { type ChildProcess, execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectSocket, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { clientContract } from '../../agent/api/client-contract';
import { restartAgent } from '../../agent/lab/lab';
import { nodeNamespace } from '../../agent/lab/namespaces';
import { issueCertificate, makeAuthority } from '../../agent/machine/certificates/authority';
import { MAX_MESSAGE_BYTES } from '../../agent/wire/allowance';
import { connectUnix } from '../../agent/wire/client';
import { Godwit, Refused } from '../support/godwit';
import { membersKnownTo } from '../support/members';
import { end, launch, type Outcome, run } from '../support/processes';
import { inProject } from '../support/project';

/** A name that no person's lab has. */
const LAB = `refuse-${process.pid}`;
const LABS = '/var/lib/godwit/labs';
const NOBODY = 65534;

const nodeFile = (node: string, ...parts: string[]) => join(LABS, LAB, node, ...parts);
const socketOf = (node: string) => nodeFile(node, 'agent.sock');
const connectClient = () =>
  connectUnix(socketOf('node1'), { name: 'test', kind: 'client', contract: clientContract });
const configOf = (node: string) => JSON.parse(readFileSync(nodeFile(node, 'config.json'), 'utf8'));

let godwit: Godwit;
let folder = '';
const children: ChildProcess[] = [];

beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'godwit-bad-')));
  chmodSync(folder, 0o755);
  godwit = await Godwit.labUp(LAB, { nodes: 2, temp: folder });
});
afterEach(async () => {
  for (const child of children.splice(0)) end(child);
  for (const { id, exit } of await godwit.jobs())
    if (!exit)
      await godwit
        .kill(id)
        .then(() => godwit.wait(id))
        .catch(() => {});
});
afterAll(async () => {
  await Godwit.labDown(LAB);
  rmSync(folder, { recursive: true, force: true });
});

/** The command as a shell runs it, in this lab. */
const cli = (
  args: string[],
  { prefix = [], env = {} }: { prefix?: string[]; env?: Record<string, string> } = {},
) =>
  run([...prefix, process.execPath, inProject('dist', 'godwit.cjs'), ...args], {
    limitMs: 60_000,
    env: { GODWIT_AGENT: socketOf('node1'), GODWIT_LAB: LAB, TMPDIR: folder, ...env },
  });

/** One line on stderr, nothing on stdout; returns the line. */
function expectRefused({ status, stdout, stderr }: Outcome, expected = 1): string {
  expect({ status, stdout }, stderr).toEqual({ status: expected, stdout: '' });
  expect(stderr).toMatch(/^godwit: [^\n]+\n$/);
  return stderr.trim();
}

async function expectServing(): Promise<void> {
  for (const node of ['node1', 'node2']) {
    const { status, stdout, stderr } = await cli(['nodes', '--json', '--agent', socketOf(node)]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(JSON.parse(stdout).map(({ name }: { name: string }) => name)).toEqual(['node1', 'node2']);
  }
}

const ids = async () => (await godwit.jobs()).map(({ id, state, node }) => `${id} ${state} ${node}`).sort();

describe('what is asked of jobs and nodes that are not there', () => {
  it.each([
    [['migrate', 'nosuchjob', 'node2']],
    [['why', 'nosuchjob', 'node2']],
    [['kill', 'nosuchjob']],
    [['unpin', 'nosuchjob']],
    [['wait', 'nosuchjob']],
    [['logs', 'nosuchjob']],
    [['logs', '-f', 'nosuchjob']],
    [['history', 'nosuchjob']],
    [['gdb', 'nosuchjob']],
    [['rsp', 'nosuchjob', '--listen', 'line.sock']],
  ])('godwit %j', async (args) => {
    expect(expectRefused(await cli(args))).toBe(
      'godwit: no job "nosuchjob"; see `godwit ps -a` for the jobs there are',
    );
  });

  it('a node', async () => {
    const before = await ids();
    const { id } = await godwit.run(['sleep', '1000']);
    for (const args of [
      ['run', '--on', 'node9', '--detach', '--', 'true'],
      ['migrate', id, 'node9'],
      ['why', id, 'node9'],
    ])
      expect(expectRefused(await cli(args))).toBe('godwit: no node "node9"; the nodes are node1, node2');
    expect(await godwit.job(id)).toMatchObject({ state: 'running', node: 'node1', epoch: 0 });
    expect(await ids()).toHaveLength(before.length + 1);
  });
});

describe('a program that can not be launched', () => {
  it.each([
    [
      'is not there',
      ['--', '/no/such/program'],
      /\/no\/such\/program can't be launched: No such file.*; is it there/,
    ],
    [
      'is not in PATH',
      ['--', 'no-such-program'],
      /no-such-program can't be launched: No such file.*; is it there/,
    ],
    ['is a folder', ['--', '/etc'], /\/etc can't be launched: Permission denied; is it there, executable/],
    [
      'may not be executed',
      ['--', inProject('package.json')],
      /package.json can't be launched: Permission denied; is it there/,
    ],
    [
      'has no such folder',
      ['--cwd', '/no/such/folder', '--', 'true'],
      /can't be launched in \/no\/such\/folder: No such file.*; give another with --cwd/,
    ],
  ])('because it %s', async (_why, args, words) => {
    for (const how of [['--detach'], ['--detach', '--stopped'], ['--on', 'node2'], []]) {
      const before = await ids();
      expect(expectRefused(await cli(['run', ...how, ...args]))).toMatch(words);
      expect(await ids()).toEqual(before);
    }
  });
});

describe('wrong usage ends with 2', () => {
  it.each([
    [[], /say what to do/],
    [['fly'], /unknown command 'fly'/],
    [['migrate', 'job'], /missing required argument 'node'/],
    [['migrate', 'job', 'node2', '--transfer', 'pigeon'], /pigeon.*stop or auto/],
    [['run'], /missing required argument 'program'/],
    [['run', '--env', 'X', '--', 'true'], /NAME=VALUE/],
    [['kill', 'job', '-s', 'SIGNONE'], /no such signal/],
    [['gdb', 'job', '-p', 'x'], /process id/],
    [['ps', '--nonsense'], /unknown option '--nonsense'/],
    [['lab', 'up', '--nodes', 'many'], /whole number/],
    [['run', '--json', '--', 'true'], /--detach/],
  ])('godwit %j', async (args, words) => {
    expect(expectRefused(await cli(args), 2)).toMatch(words);
  });
});

describe('moves that can not be', () => {
  it('to where it is, after its end, in a way that is not there', async () => {
    const { id } = await godwit.run(['sleep', '1000']);
    expect(expectRefused(await cli(['migrate', id, 'node1']))).toBe(`godwit: job ${id} is on node1 already`);
    expect(expectRefused(await cli(['migrate', id, 'home']))).toBe(`godwit: job ${id} is on node1 already`);
    expect(expectRefused(await cli(['migrate', id, 'node2', '--transfer', 'post-copy']))).toMatch(
      /post-copy is not in this version; use --transfer stop/,
    );
    expect(await godwit.job(id)).toMatchObject({ state: 'running', node: 'node1', epoch: 0 });
    await godwit.kill(id);
    await godwit.wait(id);
    for (const args of [
      ['migrate', id, 'node2'],
      ['kill', id],
      ['pin', id],
      ['why', id, 'node2'],
      ['gdb', id],
    ])
      expect(expectRefused(await cli(args))).toBe(
        `godwit: job ${id} has ended; see \`godwit history\` for how`,
      );
    expect(await godwit.wait(id)).toMatchObject({ exit: 137, signal: 'SIGKILL' });
  });

  it('of a pinned job, until it is unpinned', async () => {
    const { id } = await godwit.run(['sleep', '1000']);
    const abroad = ['--agent', socketOf('node2')];
    const pin = await cli(['pin', id, '--json', ...abroad]);
    expect(JSON.parse(pin.stdout)).toEqual({ id, pinned: true });
    await restartAgent(LAB, 'node1');
    const refused = `job ${id} can't move to node2: it is pinned to node1; \`godwit unpin ${id}\` first`;
    expect(expectRefused(await cli(['migrate', id, 'node2']))).toBe(`godwit: ${refused}`);
    expect(await godwit.job(id)).toMatchObject({ pinned: true, state: 'running', node: 'node1', epoch: 0 });
    expect((await cli(['unpin', id, ...abroad])).stdout).toBe(`job ${id} may move\n`);
    expect((await cli(['migrate', id, 'node2'])).status).toBe(0);
    expect(await godwit.job(id)).toMatchObject({ pinned: false, node: 'node2' });
  });

  it('a signal that comes as the job ends finds it, or says that it has ended', async () => {
    const client = await connectClient();
    for (let round = 0; round < 8; round++) {
      const { id } = await godwit.run(['sleep', '0.2']);
      const refused = async () => {
        for (;;) await client.call('jobs.kill', { job: id, signal: 'SIGCONT' });
      };
      await expect(refused()).rejects.toMatchObject({ code: 'job-ended' });
      expect(await godwit.wait(id)).toMatchObject({ exit: 0 });
    }
    client.close();
  });
});

describe('debuggers', () => {
  it('there is one for a process, and a process for each', async () => {
    const { id } = await godwit.run(['sleep', '1000']);
    const gdb = await godwit.gdb(id);
    expect(expectRefused(await cli(['gdb', id]))).toMatch(/has a debugger already; end that session first/);
    expect(expectRefused(await cli(['gdb', id, '-p', '77']))).toMatch(/no process 77/);
    // The first is none the worse for it.
    expect(await gdb.print('1 + 1')).toBe('2');
    expect(await gdb.do('info threads')).toContain('Thread 2.2');
    await gdb.do('detach');
    await gdb.quit();
    expect((await godwit.job(id)).state).toBe('running');
  });
});

describe('who may not', () => {
  const asNobody = { prefix: ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'] };

  it('another user than the agent serves', async () => {
    for (const args of [['ps'], ['nodes'], ['run', '--detach', '--', 'true']])
      expect(expectRefused(await cli(args, asNobody))).toBe(
        `godwit: this user is not admitted to the agent at ${socketOf('node1')}; ask its administrator for the group godwit, or run the same as root`,
      );
  });

  it('another user than root a lab', async () => {
    for (const args of [
      ['lab', 'up', '--name', `${LAB}-x`],
      ['lab', 'down'],
    ])
      expect(expectRefused(await cli(args, asNobody))).toMatch(/which only root may; run the same with sudo/);
    await expectServing();
  });
});

describe('a lab', () => {
  it('is up already: it is the answer as it is, and is not made another', async () => {
    const { id } = await godwit.run(['sleep', '1000']);
    const { status, stdout } = await cli(['lab', 'up', '--name', LAB, '--json']);
    expect(status).toBe(0);
    expect(JSON.parse(stdout).nodes).toHaveLength(2);
    expect(expectRefused(await cli(['lab', 'up', '--name', LAB, '--nodes', '3']))).toMatch(
      /^godwit: lab ".+" is up already, with nodes: 2, not 3; /,
    );
    expect((await godwit.job(id)).state).toBe('running');
  });

  it.each([
    [['--name', 'Not A Name'], /"Not A Name" is not like a host name/],
    [['--name', '../etc'], /is not like a host name/],
    [['--name', 'x-node1'], /ends like a node's name/],
    [['--nodes', '0'], /1 to 32 nodes, not 0/],
    [['--nodes', '33'], /1 to 32 nodes, not 33/],
    [['--cpus', '1,0'], /a node has 0.01 CPUs or more, not 0/],
    [['--nodes', '3', '--cpus', '1,1'], /3 nodes need as many CPU shares, not 2/],
  ])('can not be brought up with %j', async (args, words) => {
    const named = args[0] === '--name' ? args : ['--name', `${LAB}-y`, ...args];
    expect(expectRefused(await cli(['lab', 'up', ...named]))).toMatch(words);
  });
});

describe('an agent', () => {
  it('that is not there', async () => {
    const nowhere = join(folder, 'no.sock');
    expect(expectRefused(await cli(['ps', '--agent', nowhere]))).toMatch(
      new RegExp(`^godwit: no agent answers at ${nowhere}: .*; start a lab with \`godwit lab up\``),
    );
    writeFileSync(join(folder, 'file'), '');
    expect(expectRefused(await cli(['ps', '--agent', join(folder, 'file')]))).toMatch(/no agent answers at/);
  });

  it('whose port is taken says so and ends; the one that has it serves on', async () => {
    const config = {
      ...configOf('node2'),
      members: await membersKnownTo(nodeFile('node2')),
      socket: join(folder, 'second.sock'),
      state: join(folder, 'second'),
    };
    execFileSync('mkdir', ['-p', config.state]);
    const file = join(folder, 'second.json');
    writeFileSync(file, JSON.stringify(config));
    const outcome = await cli(['agent', '--config', file], {
      prefix: ['nsenter', `--net=${nodeNamespace(LAB, 'node2')}`],
    });
    const { host, port } = config.listen;
    expect(outcome.status).toBe(1);
    expect(outcome.stderr).toContain(`${host}:${port} is in use by another process`);
    expect(outcome.stderr.trim().split('\n')).toHaveLength(1);
    await expectServing();
  });

  it.each([
    ['is not there', null, /can't be read: ENOENT.*; name another with --config/],
    ['is no JSON', '{', /is not valid: /],
    ['lacks all', '{}', /is not valid: name/],
    ['has a port that is none', { listen: { host: '127.0.0.1', port: 99_999 } }, /is not valid: listen.port/],
    [
      'leaves the node out',
      { members: [{ name: 'node7', address: 'h', port: 1 }] },
      /is not valid: members: the node itself must be among them/,
    ],
    ['names a path that is relative', { socket: 'agent.sock' }, /is not valid: socket/],
  ])('whose configuration %s', async (_what, wrong, words) => {
    const file = join(folder, `config-${Math.random()}.json`);
    const text = typeof wrong === 'string' ? wrong : JSON.stringify({ ...configOf('node1'), ...wrong });
    if (wrong !== null) writeFileSync(file, text);
    const line = expectRefused(await cli(['agent', '--config', file]));
    expect(line).toMatch(words);
    expect(line).toContain(file);
  });
});

// ---- The wire

const garbage = [
  Buffer.from('GET / HTTP/1.1\r\n\r\n'),
  Buffer.from('\r\n\r\n\r\n'),
  Buffer.alloc(100_000, 0xff),
  Buffer.from(`GET /${'x'.repeat(100_000)} HTTP/1.1\r\n\r\n`),
  Buffer.from('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 'latin1'),
];

/** Sends and waits until the other side has hung up. */
async function throwAt(socket: Socket, bytes: Buffer): Promise<void> {
  socket.on('error', () => {});
  const closed = new Promise((resolve) => socket.on('close', resolve));
  socket.on('data', () => {});
  socket.write(bytes);
  // Whatever it makes of it: it does not wait for ever.
  await Promise.race([closed, sleep(90_000).then(() => Promise.reject(new Error('it does not hang up')))]);
}

/** Opens a WebSocket on a Unix socket, says `frames`, and returns the code and the reason with which it is closed. */
function talk(path: string, frames: (string | Buffer)[], url = 'ws://godwit/rpc'): Promise<string> {
  return new Promise((resolve) => {
    const socket = new WebSocket(url, { createConnection: () => connectSocket(path) });
    socket.on('open', () => {
      for (const frame of frames) socket.send(frame);
    });
    socket.on('unexpected-response', (_request, { statusCode }) => resolve(`HTTP ${statusCode}`));
    socket.on('error', (error) => resolve(error.message));
    socket.on('close', (code, reason) => resolve(`${code} ${reason}`));
  });
}

const hello = (more: object = {}) =>
  JSON.stringify({ hello: { protocol: 1, version: '0', kind: 'client', name: 'test', ...more } });

describe.each(['agent.sock', 'keeper.sock'])('nonsense on %s', (name) => {
  const path = () => nodeFile('node1', name);

  it('that is no protocol at all is hung up on', async () => {
    await Promise.all(garbage.map((bytes) => throwAt(connectSocket(path()), bytes)));
    await expectServing();
  });

  it.each([
    ['no JSON', ['nonsense'], /^4000 bad-message/],
    ['a binary hello', [Buffer.from(hello())], /^4000 bad-message/],
    [
      'another version',
      [hello({ protocol: 99 })],
      /^4000 wrong-version: the other side speaks protocol 99, this one 1/,
    ],
    ['garbage after the hello', [hello(), '{"jsonrpc":"2.0"}'], /^4000 bad-message/],
    ['an oversized frame', [hello(), 'x'.repeat(MAX_MESSAGE_BYTES + 1)], /^1009/],
    ['an oversized first frame', ['x'.repeat(MAX_MESSAGE_BYTES + 1)], /^1009/],
  ])('%s is answered with why', async (_what, frames, words) => {
    expect(await talk(path(), frames as (string | Buffer)[])).toMatch(words);
    await expectServing();
  });

  it('tickets that were never given, and paths that are none', async () => {
    expect(await talk(path(), [], `ws://godwit/stream/${'0'.repeat(32)}`)).toBe('HTTP 410');
    expect(await talk(path(), [], 'ws://godwit/elsewhere')).toBe('HTTP 404');
  });
});

describe('the port for other nodes', () => {
  /** Asks node1 for something, from within the network of node2, and answers with what it says. */
  const ask = (...args: string[]) => {
    const { host, port } = configOf('node1').listen;
    const script =
      'printf "GET /nothing HTTP/1.1\\r\\nHost: node1\\r\\n\\r\\n" | timeout 10 openssl s_client "$@"';
    const where = ['-quiet', '-connect', `${host}:${port}`, '-servername', 'node1'];
    return run(
      ['nsenter', `--net=${nodeNamespace(LAB, 'node2')}`, 'sh', '-c', script, 'ask', ...where, ...args],
      {
        limitMs: 30_000,
      },
    );
  };

  it('refuses a peer without a certificate, or with one of another authority', async () => {
    const authority = await makeAuthority(join(folder, 'other-ca'), 'other');
    const { cert, key } = await issueCertificate(authority, join(folder, 'other-tls'), 'node2');
    const trusted = configOf('node2').tls;
    const good = ['-cert', trusted.cert, '-key', trusted.key];
    // Only a node of the cluster gets an answer in HTTP.
    expect((await ask(...good)).stdout).toMatch(/^HTTP\/1.1 /);
    for (const args of [[], ['-cert', cert, '-key', key], ['-tls1_2', ...good]])
      expect((await ask(...args)).stdout).toBe('');
    await expectServing();
  });

  it('hangs up on bytes that are no TLS, and on nonsense under a good certificate', async () => {
    const { host, port } = configOf('node1').listen;
    const { tls } = configOf('node2');
    const script = `
      const net = require('node:net'), tls = require('node:tls'), { readFileSync } = require('node:fs');
      const ended = (socket, bytes) => new Promise((resolve) => {
        socket.on('error', () => {}).on('data', () => {}).on('close', resolve);
        socket.write(bytes);
      });
      const [ca, cert, key] = ${JSON.stringify([tls.ca, tls.cert, tls.key])}.map((file) => readFileSync(file));
      const identity = { host: '${host}', port: ${port}, servername: 'node1', ca, cert, key, checkServerIdentity: () => undefined };
      Promise.all([
        ended(net.connect(${port}, '${host}'), Buffer.alloc(100000, 255)),
        ended(tls.connect(identity), 'nonsense\\r\\n\\r\\n'),
        ended(tls.connect(identity), 'x'.repeat(100000)),
      ]).then(() => console.log('hung up on each'));`;
    const { stdout, stderr } = await run(
      ['nsenter', `--net=${nodeNamespace(LAB, 'node2')}`, process.execPath, '-e', script],
      { limitMs: 30_000 },
    );
    expect({ stdout, stderr }).toEqual({ stdout: 'hung up on each\n', stderr: '' });
    await expectServing();
  });

  it('a node with a certificate of another authority is told so, and stays out', async () => {
    const authority = await makeAuthority(join(folder, 'wrong-ca'), 'wrong');
    const tls = await issueCertificate(authority, join(folder, 'wrong-tls'), 'node2');
    const state = join(folder, 'stranger');
    execFileSync('mkdir', ['-p', state]);
    const own = configOf('node2');
    const config = {
      ...own,
      // The certificates are what is refused, not the keys.
      members: (await membersKnownTo(nodeFile('node2'))).map(({ key: _, ...member }) => member),
      state,
      tls,
      socket: join(folder, 'stranger.sock'),
      listen: { ...own.listen, port: own.listen.port + 1 },
    };
    writeFileSync(join(folder, 'stranger.json'), JSON.stringify(config));
    const node = process.execPath;
    const agent = [node, inProject('dist', 'agent.cjs'), join(folder, 'stranger.json')];
    children.push(launch(['nsenter', `--net=${nodeNamespace(LAB, 'node2')}`, ...agent]));
    const stranger = (args: string[]) => cli(args, { env: { GODWIT_AGENT: config.socket } });
    for (let tries = 0; (await stranger(['nodes'])).status !== 0; tries++) {
      if (tries > 50) throw new Error('it did not start');
      await sleep(100);
    }
    const line = expectRefused(await stranger(['run', '--on', 'node1', '--detach', '--', 'true']));
    expect(line).toMatch(/no trusted connection with node1: .*signed by the cluster's own authority/);
    await expectServing();
  });
});

describe('a client that vanishes', () => {
  it('in mid-call leaves the agent and the job as they were', async () => {
    const { id } = await godwit.run(['sleep', '1000']);
    for (const args of [
      ['wait', id],
      ['logs', '-f', id],
      ['migrate', id, 'node2'],
    ]) {
      const child = launch([process.execPath, inProject('dist', 'godwit.cjs'), ...args], {
        env: { GODWIT_AGENT: socketOf('node1') },
      });
      await sleep(400);
      end(child);
      await sleep(100);
    }
    for (let tries = 0; (await godwit.job(id)).state !== 'running'; tries++) {
      if (tries > 100) throw new Error(`it is ${(await godwit.job(id)).state}`);
      await sleep(100);
    }
    const { node } = await godwit.job(id);
    await godwit.migrate(id, node === 'node1' ? 'node2' : 'node1');
    await godwit.kill(id);
    expect(await godwit.wait(id)).toMatchObject({ exit: 137 });
    await expectServing();
  });

  it('with a ticket, or with many calls open', async () => {
    const client = await connectClient();
    const { id } = await godwit.run(['sleep', '1000']);
    await client.call('jobs.console', { job: id, offset: 0, follow: true });
    const waits = Array.from({ length: 200 }, () => client.call('jobs.wait', { job: id }));
    const lost = await Promise.all([
      ...waits.map((wait) => wait.catch((error: { code: string }) => error.code)),
      sleep(200).then(() => client.close()),
    ]);
    expect(new Set(lost.slice(0, 200))).toEqual(new Set(['connection-lost']));
    await expectServing();
    expect((await godwit.job(id)).state).toBe('running');
  });
});

it('says no in one shape everywhere: as an error with its line', async () => {
  const refused = await godwit.migrate('nosuchjob', 'node2').catch((error) => error);
  expect(refused).toBeInstanceOf(Refused);
  expect(refused).toMatchObject({ status: 1 });
});
