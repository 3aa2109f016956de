/** What a user of the machine tries whom no agent admits. */
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cgroupName } from '../../agent/lab/description';
import { JobCgroup } from '../../agent/machine/cgroup/cgroup';
import { Godwit } from '../support/godwit';
import { type Person, Stage } from './stage';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.up('local');
});
afterAll(() => stage?.down());

/** What Ann's job reads, and what it writes; both are hers alone, in a folder that is hers alone. */
const [SECRET, LOG] = ['secret', 'log'];
const HERS = `while :; do cat ${SECRET} >> ${LOG}; sleep 0.05; done`;

/** Tries, as its user, what $1 (a folder of Ann's) and $2 (a program of hers with its set-user-ID bit) are there for. */
const TRIES = `cd / ; { cat "$1/${SECRET}" && echo DID read
echo mine >> "$1/${LOG}" && echo DID append
: > "$1/made" && echo DID create
mkdir "$1/folder" && echo DID mkdir
mv "$1/${SECRET}" "$1/stolen" && echo DID rename
ls "$1" && echo DID list
chmod 777 "$1" && echo DID chmod
cd "$1" && echo DID enter
"$2" -u && echo DID become; } 2>/dev/null
exit 0`;

/** At home on node2 and running on node1, whose files are the machine's: its mount is among those of the machine. */
describe("the mount of a job's home files", () => {
  const mountOf = (job: string, epoch: number) =>
    join(stage.paths('node1').state, 'roots', `${job}.${epoch}`);
  const herFolder = () => join(stage.folder, 'ann');
  const grows = async () => {
    const size = () => statSync(join(herFolder(), LOG)).size;
    const before = size();
    await stage.until('the job writes on', () => size() > before + 1);
  };
  const processesOf = async (id: string) =>
    (await JobCgroup.of(cgroupName(stage.lab, 'node1'), `${id}.0`)).pids();
  let setUserId: string;
  let job: string;

  const triesOf = async (person: Person, ...places: [string, string]) =>
    (await stage.as(person, 'sh', '-c', TRIES, 'sh', ...places)).stdout;
  const refuseAll = async (at: string) => {
    const places: [string, string] = [join(at, herFolder()), join(at, setUserId)];
    for (const person of ['eve', 'bob'] as const) expect(await triesOf(person, ...places)).toBe('');
  };

  beforeAll(async () => {
    setUserId = join(stage.folder, 'as-ann');
    copyFileSync('/usr/bin/id', setUserId);
    const { uid, gid } = stage.people.ann;
    chownSync(setUserId, uid, gid);
    chmodSync(setUserId, 0o4755);
    writeFileSync(join(herFolder(), SECRET), 'hers\n', { mode: 0o600 });
    chownSync(join(herFolder(), SECRET), uid, gid);
    const argv = ['sh', '-c', HERS];
    job = (await stage.asks('ann', 'node2').run(argv, { on: 'node1', cwd: herFolder() })).id;
    await stage.until('the job writes', () => existsSync(join(herFolder(), LOG)));
  });
  afterAll(() => stage.asks('ann', 'node2').kill(job, 'SIGKILL'));

  it('can be entered by none but root', async () => {
    await refuseAll(mountOf(job, 0));
    expect(statSync(join(stage.paths('node1').state, 'roots')).mode & 0o777).toBe(0o700);
    await grows();
  });

  it('serves only the user of the job and root, should its path be open', async () => {
    chmodSync(join(stage.paths('node1').state, 'roots'), 0o755);
    await refuseAll(mountOf(job, 0));
    await grows();
    expect(readFileSync(join(mountOf(job, 0), herFolder(), SECRET), 'utf8')).toBe('hers\n');
    const hers = await stage.as('ann', 'cat', join(mountOf(job, 0), herFolder(), SECRET));
    expect(hers.stdout).toBe('hers\n');
    chmodSync(join(stage.paths('node1').state, 'roots'), 0o700);
  });

  it('honours no set-user-ID bit', () => {
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
    const line = mounts.find((one) => one.includes(` ${mountOf(job, 0)} `));
    expect(line?.split(' ')[5]?.split(',')).toEqual(expect.arrayContaining(['nosuid', 'nodev']));
  });

  it("is not reached through the processes of the job, nor from within another user's job", async () => {
    const pids = await processesOf(job);
    expect(pids.length).toBeGreaterThan(1);
    // The job's own shell and what it has running come and go; PID 1 stays.
    for (const pid of pids)
      for (const link of ['root', 'cwd']) await refuseAll(join('/proc', `${pid}`, link));
    const within = [
      'sh',
      '-c',
      TRIES,
      'sh',
      join(mountOf(job, 0), herFolder()),
      join(mountOf(job, 0), setUserId),
    ];
    const { id } = await stage.bob.run(within, { on: 'node1', cwd: stage.folder });
    await stage.bob.wait(id);
    expect(await stage.bob.logs(id)).toBe('');
  });

  it('is as closed after moves, through which the job goes on', async () => {
    const ann = stage.asks('ann', 'node2');
    for (const node of ['node2', 'node1'] as const) {
      expect((await ann.migrate(job, node)).to).toBe(node);
      await grows();
    }
    chmodSync(join(stage.paths('node1').state, 'roots'), 0o755);
    await refuseAll(mountOf(job, 2));
    chmodSync(join(stage.paths('node1').state, 'roots'), 0o700);
    await grows();
  });
});

/** Prints how many bytes a socket sends to a client that connects, until it closes or has sent some. */
const LISTEN = `const socket = require('node:net').connect(process.argv[1]);
socket.on('data', (bytes) => { console.log(bytes.length); socket.destroy(); });
socket.on('error', () => {});`;

describe("the sockets by which a home's files are carried", () => {
  it('are joined by root alone, should their files be open', async () => {
    const { id } = await stage
      .asks('ann', 'node2')
      .run(['sleep', '1000'], { on: 'node1', cwd: stage.folder });
    const ends = [
      join(stage.paths('node1').state, 'mounted', `${id}.0`),
      join(stage.paths('node2').state, 'served', `${id}.0.node1`),
    ];
    for (const socket of ends)
      for (const person of ['ann', 'bob', 'eve'] as const) {
        expect((await stage.as(person, 'node', '-e', LISTEN, socket)).stdout).toBe('');
        chmodSync(dirname(socket), 0o755);
        chmodSync(socket, 0o777);
        expect((await stage.as(person, 'node', '-e', LISTEN, socket)).stdout).toBe('');
        chmodSync(dirname(socket), 0o700);
        chmodSync(socket, 0o600);
      }
    await stage.asks('ann', 'node2').kill(id, 'SIGKILL');
  });
});

describe("the mount of a job of root's", () => {
  it('serves the processes of the job under any user id, and no others with that id', async () => {
    const root = new Godwit({ agent: stage.paths('node2').agent.socket, temp: stage.folder });
    const { uid, gid } = stage.people.ann;
    const script = `while cat ${join(stage.folder, 'ann', SECRET)}; do sleep 0.05; done`;
    const argv = ['setpriv', '--reuid', `${uid}`, '--regid', `${gid}`, '--clear-groups', 'sh', '-c', script];
    const { id } = await root.run(argv, { on: 'node1', cwd: stage.folder });
    await stage.until('the job reads', async () => (await root.logs(id)).includes('hers'));
    chmodSync(join(stage.paths('node1').state, 'roots'), 0o755);
    const path = join(stage.paths('node1').state, 'roots', `${id}.0`, stage.folder, 'ann', SECRET);
    for (const person of ['ann', 'bob', 'eve'] as const)
      expect((await stage.as(person, 'cat', path)).stdout).toBe('');
    chmodSync(join(stage.paths('node1').state, 'roots'), 0o700);
    const read = (await root.logs(id)).length;
    await stage.until('the job reads on', async () => (await root.logs(id)).length > read);
    await root.kill(id, 'SIGKILL');
  });
});

// --- sockets and state folders ---
describe('a user whom no agent admits', () => {
  it('has no socket to ask at, on any node, and the state of nodes is closed to them', async () => {
    for (const node of stage.nodes) {
      const { agent, keeper, tls, userSockets } = stage.paths(node);
      for (const socket of [agent.socket, keeper.socket, stage.socketOf('ann', node)]) {
        const asked = await stage.as('eve', 'node', `${stage.folder}/godwit.cjs`, '--agent', socket, 'ps');
        expect(asked.status).toBe(1);
        expect(asked.stdout).toBe('');
        // Another's socket may be one that she can't even see; of no agent is it said that it is away.
        expect(asked.stderr).toMatch(
          /is not admitted to the agent at .*; ask its administrator for the group godwit/,
        );
      }
      expect((await stage.as('eve', 'ls', userSockets)).stdout).not.toContain(`${stage.people.eve.uid}`);
      expect((await stage.as('eve', 'sh', '-c', `cat ${tls}/*`)).stdout).not.toContain('PRIVATE KEY');
    }
  });

  it('is told so when asking for the lab, which is up for those admitted', async () => {
    const status = (person: 'ann' | 'eve', ...args: string[]) =>
      stage.as(person, 'node', `${stage.folder}/godwit.cjs`, 'lab', 'status', '--name', stage.lab, ...args);
    for (const args of [[], ['--json']]) {
      const asked = await status('eve', ...args);
      expect([asked.status, asked.stdout]).toEqual([1, '']);
      expect(asked.stderr).toMatch(/^godwit: this user is not admitted to the agent at [^\n]+\n$/);
    }
    const { nodes } = JSON.parse((await status('ann', '--json')).stdout) as {
      nodes: { name: string; state: string; socket: string }[];
    };
    expect(nodes.map(({ name, state, socket }) => [name, state, socket])).toEqual(
      stage.nodes.map((node) => [node, 'up', stage.socketOf('ann', node)]),
    );
  });
});
