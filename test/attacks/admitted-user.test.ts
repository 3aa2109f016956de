/** What a user tries who may launch jobs. */
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type Client, connectUnix } from '../../agent/api/client';
import { type ClientContract, clientContract } from '../../agent/api/client-contract';
import { type ClientEvents, clientEvents } from '../../agent/api/client-events';
import { PROTOCOL } from '../../agent/api/hello';
import { Stage } from './stage';

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

// --- descriptors of a job ---

// --- status and limits ---

// --- home files through a mount ---

// --- restored files ---

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
    const hello = { protocol: PROTOCOL, version: '1', kind: 'client', name: 'ann' };
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
      /you have 4 jobs here that are not over.*perUser\.jobs/,
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
    expect(await stage.bob.text(['ps'])).toContain('\\x1b]0;title\\x07\\u202e');
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
    for (let n = 0; n < PER_USER.tickets; n++) await own.call('jobs.console', params);
    await expect(own.call('jobs.console', params)).rejects.toMatchObject({ code: 'too-many-tickets' });
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

// --- rights of requests ---
