/** What a user tries who may launch jobs. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { isAbsolute, join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type ClientContract, clientContract } from '../../agent/api/client-contract';
import { type ClientEvents, clientEvents } from '../../agent/api/client-events';
import { PROTOCOL } from '../../agent/api/versions';
import { JobCgroup } from '../../agent/machine/cgroup/cgroup';
import { nodeCgroup } from '../../agent/machine/cgroup/hierarchy';
import { nodePid } from '../../agent/machine/proc/processes';
import { type Client, connectUnix } from '../../agent/wire/client';
import { compile } from '../support/c-programs';
import type { Godwit } from '../support/godwit';
import { copiesOf, run } from '../support/processes';
import { FILE_BYTES, Holder } from './holder';
import { Stage } from './stage';

/** Whose the other end of a Unix socket is, as its client sees it (SO_PEERCRED, unix(7)). */
const PEER = `
import socket, struct, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
print(struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1])
`;

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.up('admitted');
});
afterAll(() => stage?.down());

describe('a user', () => {
  it('does as they like with their own job, and nothing with that of another', async () => {
    const { id } = await stage.ann.run(['sleep', '1000'], { on: 'node2' });
    const refused = /is games's/;
    await expect(stage.bob.kill(id)).rejects.toThrow(refused);
    await expect(stage.bob.migrate(id, 'node3')).rejects.toThrow(refused);
    await expect(stage.bob.logs(id)).rejects.toThrow(refused);
    expect((await stage.ann.migrate(id, 'node3')).to).toBe('node3');
    await stage.ann.kill(id);
    expect(await stage.ann.wait(id)).toMatchObject({ signal: 'SIGKILL' });
  });
});

/** A process of the job, as this machine numbers it. */
async function processOf(id: string, inner: number): Promise<number> {
  const { node, epoch } = await stage.root.job(id);
  const cgroup = join(await nodeCgroup(`${stage.lab}-${node}`), `${id}.${epoch}`);
  return nodePid(JobCgroup.at(cgroup), inner);
}

describe('PID 1 of a job', () => {
  it('gets no debugger, on any node, for root neither', async () => {
    const jobs = await Promise.all([stage.ann, stage.root].map((who) => who.run(['sleep', '1000'])));
    for (const { id } of jobs) {
      for (const node of ['node1', 'node2']) {
        if (node !== 'node1') await stage.root.migrate(id, node);
        const asked = stage.root.text(['gdb', id, '-p', '1', '--', '-nx', '-batch']);
        await expect(asked).rejects.toThrow(/process 1 of job \w+ is its init.*without -p/);
      }
      await stage.root.kill(id);
    }
  });

  it('is closed to other processes of its user, in the job and beside it, before a move and after', async () => {
    const result = join(stage.folder, 'ann', 'looked');
    const look = `
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def tried(what):
    try: return "open" if what() is not None else "?"
    except OSError as error: return error.strerror
def attach():
    if libc.ptrace(0x4206, int(sys.argv[1]), 0, 0) < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return 0
def look():
    at = "/proc/" + sys.argv[1]
    ways = [lambda: open(at + "/mem", "r+b"), lambda: os.listdir(at + "/fd"), lambda: os.readlink(at + "/exe"), attach]
    return ";".join(map(tried, ways))
if len(sys.argv) < 3: print(look()); sys.exit()
for turn in "12":
    while not os.path.exists(sys.argv[2] + "-go-" + turn): time.sleep(0.05)
    with open(sys.argv[2] + "-" + turn + ".new", "w") as file: file.write(look())
    os.rename(sys.argv[2] + "-" + turn + ".new", sys.argv[2] + "-" + turn)
time.sleep(1000)`;
    const shut = 'Permission denied;Permission denied;Permission denied;Operation not permitted';
    const { id } = await stage.ann.run(['/usr/bin/python3', '-c', look, '1', result]);
    for (const turn of ['1', '2']) {
      writeFileSync(`${result}-go-${turn}`, '');
      await stage.until('it has looked', () => existsSync(`${result}-${turn}`));
      expect(readFileSync(`${result}-${turn}`, 'utf8')).toBe(shut);
      const init = await processOf(id, 1);
      // What is not dumpable is root's in /proc (proc_pid(5)); its processes are hers all the same.
      expect(statSync(`/proc/${init}/mem`).uid).toBe(0);
      expect(readFileSync(`/proc/${init}/status`, 'utf8')).toMatch(`Uid:\t${stage.people.ann.uid}`);
      expect(await stage.as('ann', '/usr/bin/python3', '-c', look, `${init}`)).toMatchObject({
        stdout: `${shut}\n`,
      });
      if (turn === '1') await stage.ann.migrate(id, 'node2');
    }
    await stage.ann.kill(id);
  });

  it('runs on, ends and moves although its user has stopped it from outside', async () => {
    const { id } = await stage.ann.run(['sleep', '1000']);
    const stopped = await stage.as('ann', 'kill', '-STOP', `${await processOf(id, 1)}`);
    expect(stopped.status).toBe(0);
    expect((await stage.ann.migrate(id, 'node2')).to).toBe('node2');
    await stage.ann.kill(id);
    expect(await stage.ann.wait(id)).toMatchObject({ signal: 'SIGKILL' });
  });
});

describe.skipIf(process.arch !== 'x64')('descriptors of PID 1 that its user has exchanged', () => {
  const [MASTER, FEED] = ['5', '8'];
  /** A job at a terminal, whose PID 1 has the secret, opened by O_PATH, in place of one of its descriptors. */
  async function exchanged(descriptor: string): Promise<{ id: string; secret: string }> {
    const program = await compile('test/attacks/programs/exchange.c', stage.folder);
    const secret = join(stage.folder, `secret-${descriptor}`);
    writeFileSync(secret, 'of root\n', { mode: 0o600 });
    const { id } = JSON.parse(await stage.ann.text(['run', '--tty', '--detach', '--json', '--', 'cat']));
    const traced = await run([program, `${await processOf(id, 1)}`, descriptor, secret]);
    expect(traced).toMatchObject({ status: 0, stderr: '' });
    return { id, secret };
  }

  async function typeInto(job: string): Promise<unknown> {
    const client = await connectUnix(stage.paths('node1').agent.socket, {
      ...{ name: 'test', kind: 'client', contract: clientContract },
    });
    const bytes = Buffer.from('written by the agent\n').toString('base64');
    try {
      return await client.call('jobs.type', { job, client: '0123456789ab', at: 0, bytes, redraw: false });
    } finally {
      client.close();
    }
  }

  it('are not written to when a person types, which is said by name', async () => {
    const { id, secret } = await exchanged(FEED);
    const refusal = await typeInto(id).catch((error) => error);
    expect(readFileSync(secret, 'utf8')).toBe('of root\n');
    expect(refusal).toMatchObject({ code: 'terminal-exchanged' });
    await stage.ann.kill(id);
  });

  it('are not taken for the terminal when it moves; it runs on', async () => {
    const { id, secret } = await exchanged(MASTER);
    await stage.ann.migrate(id, 'node2');
    expect(readFileSync(secret, 'utf8')).toBe('of root\n');
    expect((await stage.ann.job(id)).state).toBe('running');
    await stage.ann.kill(id);
  });
});

it('finds no folder or file of agents that others may write to, whatever mask they were started with', async () => {
  const { id } = await stage.ann.run(['sleep', '1000'], { on: 'node2' });
  await stage.ann.migrate(id, 'node1');
  const state = join(stage.paths('node1').state, '..');
  // Below `roots` are the mounts of jobs' files, which come and go.
  const passed = ['-ignore_readdir_race', '-xdev', '-name', 'roots', '-prune', '-o'];
  const open = ['(', '-type', 'd', '-o', '-type', 'f', ')', '-perm', '/022', '-print'];
  const found = await run(['find', state, ...passed, ...open]);
  expect(found).toMatchObject({ status: 0, stdout: '', stderr: '' });
  await stage.ann.kill(id);
});

describe('limits of a job', () => {
  const TELL = ['bash', '-c', 'ulimit -Sn; ulimit -Hn; ulimit -Hu'];
  const [FILES, PROCESSES] = ['700', '900'];
  let client = '';
  beforeAll(async () => {
    client = join(stage.folder, 'ask.cjs');
    const made = { entryPoints: ['test/attacks/programs/ask.ts'], outfile: client };
    await build({ ...made, bundle: true, platform: 'node', external: ['bufferutil', 'utf-8-validate'] });
  });

  /** Asks for a job as Ann does from a shell with limits of its own. */
  async function asks(resources: object | undefined, ...more: string[]) {
    const rest = { cwd: stage.folder, env: { PATH: process.env.PATH }, node: 'node2', stopped: false };
    const params = JSON.stringify({ program: TELL[0], args: TELL.slice(1), resources, ...rest });
    const limited = `ulimit -n ${FILES}; ulimit -u ${PROCESSES}; exec "$@"`;
    const asked = [process.execPath, client, stage.socketOf('ann'), 'jobs.run', params, ...more];
    const { stdout } = await stage.as('ann', 'bash', '-c', limited, 'bash', ...asked);
    return JSON.parse(stdout);
  }

  const most = { soft: null, hard: null };
  const more = { nofile: { soft: 5000, hard: 50_000 }, nproc: most };
  it.each([
    ['more', more, `${FILES}\n${FILES}\n${PROCESSES}\n`],
    ['nothing', undefined, `${FILES}\n${FILES}\n${PROCESSES}\n`],
    ['less', { nofile: { soft: 300, hard: 400 } }, `300\n400\n${PROCESSES}\n`],
  ])('are never beyond those of the process that asks: %s asked for', async (_what, resources, told) => {
    const { id } = await asks(resources);
    expect(await stage.ann.wait(id)).toMatchObject({ exit: 0 });
    expect(await stage.ann.logs(id)).toBe(told);
  });

  it('are not guessed: a request over the connection of a process that has ended is refused by name', async () => {
    const { refused } = await asks(more, '--by-heir');
    expect(refused).toMatchObject({ code: 'unknown-launcher' });
    expect(refused.message).toContain('it has ended');
  });
});

describe('the file in which PID 1 writes how the program ended', () => {
  it.each([
    ['a number that is none', '{"exit":70000,"signal":null}'],
    ['a signal that does not fit', '{"exit":3,"signal":"SIGKILL"}'],
    ['a signal that there is not', '{"exit":200,"signal":"SIGNONSENSE"}'],
    ['more than PID 1 writes', `{"exit":3,"signal":null${' '.repeat(100_000)}}`],
    ['what is no status', '[[[['],
  ])('is not believed in all: %s', async (_what, nonsense) => {
    const { id } = await stage.ann.run(['sleep', '1000'], { on: 'node2' });
    const status = join(stage.paths('node1').state, 'jobs', id, 'status');
    const wrote = await stage.as('ann', 'sh', '-c', 'printf %s "$2" >"$1"', 'sh', status, nonsense);
    expect(wrote.status).toBe(0);
    // With PID 1 killed it is not written over.
    expect((await stage.as('ann', 'kill', '-KILL', `${await processOf(id, 1)}`)).status).toBe(0);
    expect(await stage.ann.wait(id)).toEqual({ id, exit: 137, signal: 'SIGKILL' });
    expect((await stage.ann.job(id)).state).toBe('ended');
  });
});

/** What Bob's job tries against $1, a file of Ann's, beside a job of hers; $2 is the state of the node it runs on. */
const TRIES = `for way in "" "$2"/roots/* /proc/[0-9]*/root /proc/[0-9]*/cwd; do cat "$way$1" && echo DID read "$way"; done
for folder in roots mounted served images reports networks jobs; do ls "$2/$folder" 2>/dev/null; done
for pid in /proc/[0-9]*; do nsenter -m -t "\${pid#/proc/}" cat "$1" && echo DID enter "$pid"; done
exit 0`;

describe("the home's files of a job", () => {
  it("are not reached from another user's job on the same node, nor beside it", async () => {
    const secret = join(stage.folder, 'ann', 'secret');
    writeFileSync(secret, 'hers\n', { mode: 0o600 });
    chownSync(secret, stage.people.ann.uid, stage.people.ann.gid);
    const hers = ['sh', '-c', `while cat ${secret}; do sleep 0.1; done`];
    const ann = await stage.asks('ann', 'node2').run(hers, { on: 'node1', cwd: stage.folder });
    await stage.until('her job reads', async () => (await stage.asks('ann', 'node2').logs(ann.id)) !== '');
    const tries = ['sh', '-c', TRIES, 'sh', secret, stage.paths('node1').state] as const;
    for (const home of ['node1', 'node2']) {
      const bob = stage.asks('bob', home);
      const { id } = await bob.run(tries, { on: 'node1', cwd: stage.folder });
      await bob.wait(id);
      expect(await bob.logs(id)).not.toMatch(/hers|DID|^\w{8}/m);
    }
    expect((await stage.as('bob', ...tries)).stdout).toBe('');
    await stage.asks('ann', 'node2').kill(ann.id);
  });
});

/** A user who can write in a folder decides what is at its paths, also while CRIU opens them again. */
describe('paths that are exchanged while a job comes home', () => {
  const at = (...names: string[]) => join(stage.folder, ...names);
  let holder: Holder;
  let door: Server;

  beforeAll(async () => {
    holder = await Holder.in(stage);
    // Root's, and to be found: only root may read `secret`, enter `cellar`, or write in `vault`.
    writeFileSync(at('secret'), Buffer.alloc(FILE_BYTES, 's'), { mode: 0o600 });
    mkdirSync(at('cellar'), { mode: 0o700 });
    mkdirSync(at('vault'), { mode: 0o755 });
    door = createServer().listen(at('vault', 'door'));
    await once(door, 'listening');
  });
  afterAll(() => {
    door?.close();
    holder?.clear();
  });

  /** Ann exchanges `name` while her job comes home: for a link to `target`, or for what is at `target` itself. */
  async function exchanged(name: string, target: string, how: 'link' | 'itself'): Promise<string | null> {
    const there = isAbsolute(name) ? name : holder.own(name);
    const kept = `${there}.kept`;
    const put = how === 'link' ? ['ln', '-s', target, there] : ['mv', '-T', target, there];
    const back = how === 'link' ? ['rm', there] : ['mv', '-T', there, target];
    const ann = async ([program, ...args]: string[]) =>
      expect(await stage.as('ann', program!, ...args)).toMatchObject({ status: 0 });
    const outcome = await holder.comesHome(async () => {
      await ann(['mv', '-T', there, kept]);
      await ann(put);
    });
    await ann(back);
    await ann(['mv', '-T', kept, there]);
    return outcome;
  }

  /** It was refused in these words, and goes on where it was. */
  async function refused(outcome: string | null, words: RegExp): Promise<void> {
    expect(outcome ?? 'it has moved').toMatch(words);
    await holder.goesOn();
  }

  it("a descriptor of one's own file never becomes one of root's", async () => {
    await refused(await exchanged('file', at('secret'), 'link'), /user may not open \/.*held\/file/);
  });

  it('nor a mapping', async () => {
    await refused(await exchanged('mapped', at('secret'), 'link'), /user may not open \/.*held\/mapped/);
  });

  it("nor is a folder of root's entered", async () => {
    await refused(await exchanged('place', at('cellar'), 'link'), /user may not open \/.*held\/place/);
  });

  it("another file of one's own is noticed", async () => {
    const outcome = await exchanged('file', holder.own('twin'), 'itself');
    await refused(
      outcome,
      /descriptor 3 of process 2 is not the file that it was: .*held\/file was exchanged/,
    );
  });

  it('so is another that is mapped', async () => {
    const outcome = await exchanged('mapped', holder.own('twin'), 'itself');
    await refused(outcome, /mapping at 0x[0-9a-f]+ of process 2 is not .*held\/mapped was exchanged/);
  });

  it('and another working directory', async () => {
    const outcome = await exchanged('place', holder.own('other'), 'itself');
    await refused(outcome, /the working directory of process 2 is not .*held\/place was exchanged/);
  });

  it.each([
    ['', 'sockets'],
    [', though it is called like a folder of CRIU', 'crtools-put-root.own'],
    [', though it is where CRIU works', null],
  ])("nothing is removed or made in a folder of root's for a socket%s", async (_, name) => {
    const before = lstatSync(at('vault', 'door'));
    const outcome = await exchanged(name ?? holder.yard, at('vault'), 'link');
    await refused(outcome, /can't make its socket .*\/door again/);
    expect(lstatSync(at('vault', 'door'))).toMatchObject({ ino: before.ino, mode: before.mode, uid: 0 });
    expect(readdirSync(at('vault'))).toEqual(['door']);
  });

  it('nor for a file that was deleted', async () => {
    const before = lstatSync(at('vault'));
    await refused(
      await exchanged('ghosts', at('vault'), 'link'),
      /deleted file open, in a folder in which its user can't/,
    );
    expect(lstatSync(at('vault')).mtimeMs).toBe(before.mtimeMs);
  });

  it('and with nothing exchanged it comes home, its sockets its own', async () => {
    expect(await holder.comesHome(() => {})).toBe(null);
    await stage.until('one copy is left', () => copiesOf(at('holder')).length === 1);
    const [pid] = copiesOf(at('holder'));
    const peer = execFileSync('python3', ['-c', PEER, holder.own('sockets', 'door')], { encoding: 'utf8' });
    expect(peer.trim()).toBe(`${stage.people.ann.uid}`);
    for (const fd of ['3', '4', '5', '6'])
      expect(statSync(`/proc/${pid}/fd/${fd}`).uid).toBe(stage.people.ann.uid);
  });
});

/** So small that each can be reached in a moment. */
const PER_USER = {
  jobs: 4,
  processes: 200,
  connections: 12,
  tickets: 20,
  watchers: 2,
  consoleBytes: 1024 * 1024,
};

describe('what a user can take from others', () => {
  const asked: WebSocket[] = [];
  const ended: Client<ClientContract, ClientEvents>[] = [];
  const at = async (socket: string) => {
    const client = await connectUnix(socket, {
      name: 'test',
      kind: 'client',
      contract: clientContract,
      events: clientEvents,
    });
    ended.push(client);
    return client;
  };
  beforeAll(() => stage.configure('node1', { perUser: PER_USER }));
  afterEach(async () => {
    for (const socket of asked.splice(0)) socket.terminate();
    for (const client of ended.splice(0)) client.close();
    for (const { id, state } of await stage.root.jobs())
      if (state !== 'ended') await stage.root.kill(id).catch(() => {});
    await stage.until('all jobs are over', async () =>
      (await stage.root.jobs()).every(({ state }) => state === 'ended'),
    );
  });

  it('is not an agent’s time: a first message of megabytes is refused at once, and others are answered', async () => {
    const hello = { protocol: PROTOCOL.newest, version: '1', kind: 'client', name: 'ann' };
    for (let n = 0; n < 5; n++) {
      const socket = new WebSocket(`ws+unix:${stage.socketOf('ann')}:/rpc`);
      asked.push(socket);
      const closed = once(socket, 'close');
      await once(socket, 'open');
      socket.send(JSON.stringify({ hello, ['x'.repeat(4_000_000)]: 1 }));
      expect(String((await closed)[1])).toMatch(/bad-message: the hello/);
    }
    await stage.bob.jobs();
  });

  it('is not the lists: commands of megabytes are shown by their beginning, and one alone is told whole', async () => {
    const words = Array.from({ length: 14 }, (_, n) => `${n}`.repeat(100_000 / `${n}`.length));
    const command = ['sh', '-c', 'sleep 1000', ...words];
    const ids: string[] = [];
    for (let n = 0; n < PER_USER.jobs; n++) ids.push((await stage.ann.run(command)).id);
    const listed = (await stage.bob.jobs()).filter(({ id }) => ids.includes(id));
    expect(listed).toHaveLength(ids.length);
    for (const { command: shown } of listed) {
      expect(shown.join(' ').length).toBeLessThan(400);
      expect(shown.at(-1)).toBe('…');
    }
    expect(JSON.parse(await stage.ann.text(['ps', ids[0]!, '--json']))).toMatchObject([{ command }]);
    for (const id of ids) await stage.ann.kill(id);
    for (const id of ids) await stage.ann.wait(id);
    expect((await stage.bob.jobs()).filter(({ id }) => ids.includes(id))).toHaveLength(ids.length);
  });

  it('is not more jobs than a user may have: the next is refused by name, others have their own', async () => {
    for (let n = 0; n < PER_USER.jobs; n++) await stage.ann.run(['sleep', '1000']);
    await expect(stage.ann.run(['sleep', '1000'])).rejects.toThrow(
      /the limit of 4 running jobs is reached.*perUser\.jobs/,
    );
    await stage.bob.run(['sleep', '1000']);
    for (let n = 0; n <= PER_USER.jobs; n++) await stage.root.run(['sleep', '1000']);
    expect(await stage.root.jobs()).toHaveLength(PER_USER.jobs * 2 + 2 + (await over()));
  });

  /** Jobs of earlier tests. */
  const over = async () => (await stage.root.jobs()).filter(({ state }) => state === 'ended').length;

  it('is not the machine’s processes: a job that only makes more of them comes to an end of it', async () => {
    const bomb =
      'import os,time\nn=0\ntry:\n while n<500:\n  if os.fork()==0: time.sleep(1000)\n  n+=1\nexcept BlockingIOError: print("no more",flush=True)\ntime.sleep(1000)';
    const { id } = await stage.ann.run(['python3', '-c', bomb]);
    await stage.until('it has no more', async () => (await stage.ann.logs(id)).includes('no more'));
    const { id: other } = await stage.bob.run(['true']);
    expect(await stage.bob.wait(other)).toMatchObject({ exit: 0 });
  });

  it('is not the disk: of a console the oldest is cut, said as it is, and its job moves and prints on', async () => {
    const lines =
      'i=0; while [ $i -lt 60000 ]; do echo "$i $(printf %080d 0)"; i=$((i+1)); done; echo done; exec sleep 1000';
    const { id } = await stage.ann.run(['bash', '-c', lines.replaceAll('$(printf %080d 0)', '0'.repeat(80))]);
    const file = join(stage.paths('node1').state, 'jobs', id, 'console');
    const { consoleBytes } = PER_USER;
    await stage.until('it has printed', async () => (await stage.ann.logs(id)).endsWith('done\n'));
    await stage.until('it is cut', () => statSync(file).blocks * 512 <= consoleBytes);
    expect(statSync(file).size).toBeGreaterThan(4 * consoleBytes);
    const { stdout, stderr } = await stage.as(
      'ann',
      'node',
      `${stage.folder}/godwit.cjs`,
      '--agent',
      stage.socketOf('ann'),
      'logs',
      id,
    );
    expect(stdout.length).toBeGreaterThan(consoleBytes / 2);
    expect(stdout).not.toContain('\0');
    expect(stderr).toMatch(/^godwit: \d+ bytes .* are not kept any more\n$/);
    expect((await stage.ann.migrate(id, 'node2')).to).toBe('node2');
    expect((await stage.ann.logs(id)).endsWith('done\n')).toBe(true);
  });

  it('is not another’s terminal: what is not to be seen is not in a name, and is written out in a list', async () => {
    for (const name of ['\u001b[2J', 'a\nb', '\u202eabc'])
      await expect(stage.ann.run(['true'], { name })).rejects.toThrow(/a name has no control characters/);
    await stage.ann.run(['sh', '-c', 'sleep 1000', '\u001b]0;title\u0007\u202e']);
    expect(await stage.bob.text(['ps'])).toContain('\\x1b]0;title\\x07\\u{202e}');
  });

  it('is not what no kernel would start: it is refused before anything is made', async () => {
    const word = 'x'.repeat(100_000);
    const agent = await at(stage.socketOf('ann'));
    const launch = (args: string[]) =>
      agent.call('jobs.run', { program: 'true', args, cwd: '/', env: {}, node: 'home', stopped: false });
    await expect(launch(Array(30).fill(word))).rejects.toMatchObject({ code: 'too-long' });
    await expect(launch(['x'.repeat(200_000)])).rejects.toMatchObject({ code: 'too-long' });
    await expect(launch(['a\0b'])).rejects.toThrow(/zero byte/);
  });

  it('is not the agent’s connections, streams and snapshots: each has an end, by name, and others go on', async () => {
    const own = await at(stage.socketOf('ann'));
    const { id } = await stage.ann.run(['sleep', '1000']);
    const params = { job: id, offset: 0, follow: true };
    // One of an earlier command may wait still.
    const tickets = Array.from({ length: PER_USER.tickets + 1 }, () => own.call('jobs.console', params));
    const turnedAway = (await Promise.allSettled(tickets)).find(({ status }) => status === 'rejected');
    expect(turnedAway).toMatchObject({ reason: { code: 'too-many-tickets' } });
    for (let n = 0; n < PER_USER.watchers; n++)
      await (await at(stage.socketOf('ann'))).call('cluster.watch', {});
    await expect((await at(stage.socketOf('ann'))).call('cluster.watch', {})).rejects.toMatchObject({
      code: 'too-many-watchers',
    });
    const all = Array.from({ length: PER_USER.connections }, () => at(stage.socketOf('ann')));
    const refused = (await Promise.allSettled(all)).filter(({ status }) => status === 'rejected');
    expect(refused[0]).toMatchObject({ reason: { code: 'too-many-connections' } });
    const bob = await at(stage.socketOf('bob'));
    await bob.call('cluster.watch', {});
    expect((await bob.call('jobs.list', { ended: false })).jobs).toHaveLength(1);
    expect(await (await at(stage.socketOf('ann', 'node2'))).call('nodes.list', {})).toHaveProperty('nodes');
  });
});

describe('what a job of another uses', () => {
  /** It has a file open, and one more that keeps it where it is. */
  const busy = async () => {
    const own = join(stage.folder, 'ann');
    const script =
      'echo > diary; echo > plans; exec 3<diary 4<plans; ln plans plot; rm plans; exec sleep 1000';
    const { id } = await stage.ann.run(['sh', '-c', script], { on: 'node2', cwd: own });
    await stage.until('it has both', async () => (await stage.ann.why(id, 'node3')).files.length > 1);
    return id;
  };

  it('is not told by `why`, on whichever node one asks', async () => {
    const id = await busy();
    const told = await stage.ann.why(id, 'node3');
    expect(told.files.map(({ path }) => path)).toContain(join(stage.folder, 'ann', 'diary'));
    expect(told.obstacles).toEqual([
      expect.objectContaining({ code: 'deleted-file', what: expect.stringContaining('plans') }),
    ]);
    for (const node of ['node1', 'node3']) {
      const seen = await stage.asks('bob', node).why(id, 'node3');
      expect(seen).toMatchObject({ can: false, files: [], moreFiles: 0 });
      expect(seen.obstacles.map(({ code }) => code)).toEqual(['deleted-file']);
      expect(JSON.stringify(seen.obstacles)).not.toMatch(/diary|plans|plot|attacks-|sleep|process/);
    }
    await stage.ann.kill(id);
  });

  it('is not told by the history of how it was lost', async () => {
    const id = await busy();
    const served = join(stage.paths('node1').state, 'served');
    const [name] = readdirSync(served).filter((file) => file.startsWith(id) && file.endsWith('.json'));
    process.kill(JSON.parse(readFileSync(join(served, name!), 'utf8')).pid, 'SIGKILL');
    const lostIn = async (who: Godwit) => (await who.history(id)).find(({ event }) => event === 'lost');
    await stage.until('it is lost', async () => (await lostIn(stage.ann)) !== undefined);
    expect((await lostIn(stage.ann))?.reason).toMatch(/the files of its home node1 are lost/);
    for (const node of ['node1', 'node3']) {
      const bob = stage.asks('bob', node);
      expect(await lostIn(bob)).toEqual(expect.not.objectContaining({ reason: expect.anything() }));
      expect(await bob.text(['history'])).not.toContain('the files of its home');
    }
  });
});
