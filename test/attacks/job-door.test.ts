/** What a program of a user's job tries at the door by which it may ask an agent, and what others try there. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Stage } from './stage';

/** Clients are programs of Node.js, on a machine that may be busy. */
const LIMIT_MS = 300_000;

let stage: Stage;
let godwit = '';
beforeAll(async () => {
  stage = await Stage.up('door');
  godwit = `${process.execPath} ${join(stage.folder, 'godwit.cjs')}`;
});
afterAll(() => stage?.down());

/** What a job of a script has printed when it is over. */
async function printed(who: 'ann' | 'root', script: string, on = 'home'): Promise<string> {
  const asker = who === 'ann' ? stage.ann : stage.root;
  const { id } = await asker.run(['sh', '-c', script], { on, cwd: '/' });
  await asker.wait(id, LIMIT_MS);
  return asker.logs(id);
}

/** Connects to a Unix socket. */
const CONNECT = 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])';
/** As many connections as it gets, with something in each that is no request. */
const FLOOD = `
import os, socket, time
held = []
for number in range(400):
    one = socket.socket(socket.AF_UNIX)
    one.setblocking(False)
    try:
        one.connect(os.environ["GODWIT_AGENT"])
        one.send(os.urandom(4000))
    except OSError:
        pass
    held.append(one)
print("flooded", flush=True)
time.sleep(1000)
`;

describe('a program of a user’s job', () => {
  it('asks as its user and no more, wherever it is', { timeout: LIMIT_MS }, async () => {
    const { id } = await stage.root.run(['sleep', '1000'], { on: 'home' });
    const { uid, gid } = stage.people.ann;
    for (const on of ['node1', 'node2']) {
      const said = await printed(
        'ann',
        `${godwit} kill ${id}; echo $?; ${godwit} run -- id -u; ${godwit} run -- id -g`,
        on,
      );
      expect(said).toMatch(/is root's/);
      expect(said.split('\n').slice(1)).toEqual(['1', `${uid}`, `${gid}`, '']);
    }
    expect(await stage.root.job(id)).toMatchObject({ state: 'running' });
    await stage.root.kill(id);
  });

  it('is refused what is not for programs of jobs, by name', { timeout: LIMIT_MS }, async () => {
    for (const ask of ['migrate $GODWIT_JOB node2', 'pin $GODWIT_JOB', 'drain node2'])
      expect(await printed('ann', `${godwit} ${ask}; echo $?`)).toMatch(/may not ask for .*\n1\n$/);
  });

  it('launches nothing with more than its job has', { timeout: LIMIT_MS }, async () => {
    // The one that asks has kept the limits that its job's program gave up.
    const ask = `${godwit} run --memory 1G --name kid -- sh -c "ulimit -Hn"`;
    const script = `( read go; exec ${ask} ) < fifo & ulimit -n 200; echo > fifo; wait`;
    const folder = join(stage.folder, 'ann');
    await stage.as('ann', 'mkfifo', join(folder, 'fifo'));
    const args = [
      'run',
      '--memory',
      '200M',
      '--nodes',
      'node1,node3',
      '--cwd',
      folder,
      '--',
      'sh',
      '-c',
      script,
    ];
    expect(await stage.ann.text(args, LIMIT_MS)).toBe('200\n');
    const all = JSON.parse(await stage.ann.text(['ps', '-a', '--json'])) as {
      name: string;
      limits?: object;
    }[];
    expect(all.find(({ name }) => name === 'kid')).toMatchObject({ limits: { memory: 200 * 1024 * 1024 } });
    const outside = `${godwit} run --on node2 -- true; echo $?`;
    const only = ['run', '--nodes', 'node1,node3', '--', 'sh', '-c', outside];
    await expect(stage.ann.said(only)).resolves.toMatchObject({
      stdout: expect.stringMatching(/to be on node1, node3 only, and node2 is none of these.*\n1\n$/),
    });
  });

  it('that floods it keeps neither its job from moving nor others from their answers', {
    timeout: LIMIT_MS,
  }, async () => {
    const { id } = await stage.ann.run(['python3', '-c', FLOOD], { on: 'home', cwd: '/' });
    await stage.until('it has flooded', async () => (await stage.ann.logs(id)).includes('flooded'));
    expect((await stage.bob.nodes()).length).toBe(3);
    expect((await stage.ann.migrate(id, 'node2', LIMIT_MS)).to).toBe('node2');
    expect((await stage.ann.migrate(id, 'node1', LIMIT_MS)).to).toBe('node1');
    await stage.ann.kill(id);
  });
});

describe('the door of a job', () => {
  it('is carried out to where root alone comes in', async () => {
    for (const person of ['ann', 'eve'] as const)
      for (const node of stage.nodes) {
        const socket = join(stage.paths(node).state, 'door');
        const { stderr } = await stage.as(person, '/usr/bin/python3', '-c', CONNECT, socket);
        expect(stderr).toMatch(/PermissionError/);
      }
  });

  it('of root’s is closed to a program in it that is another user', { timeout: LIMIT_MS }, async () => {
    const { uid, gid } = stage.people.ann;
    const as = `setpriv --reuid ${uid} --regid ${gid} --clear-groups --`;
    expect(await printed('root', `${as} ${godwit} ps; echo $?`)).toMatch(/not admitted.*\n1\n$/);
  });

  it('launches nothing for a user who is admitted no more', { timeout: LIMIT_MS }, async () => {
    const go = join(stage.folder, 'go');
    const script = `while [ ! -e ${go} ]; do sleep 0.1; done; ${godwit} run -- true; echo $?`;
    const { id } = await stage.bob.run(['sh', '-c', script], { on: 'home', cwd: '/' });
    const { users = [] } = stage.configOf('node1');
    await stage.reconfigure('node1', (config) => ({
      ...config,
      users: users.filter((name) => name !== 'news'),
    }));
    await stage.as('ann', 'touch', go);
    await stage.root.wait(id, LIMIT_MS);
    expect(await stage.root.logs(id)).toMatch(/not admitted .*any more.*\n1\n$/);
    await stage.reconfigure('node1', (config) => ({ ...config, users }));
  });
});
