/** Programs that use the network, moved while they do. */
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { boundOf, bridgeNamespace, nodeNamespace } from '../../agent/lab/namespaces';
import { nodeCgroup } from '../../agent/machine/cgroup/hierarchy';
import { FaultLab } from '../support/fault-lab';
import { Godwit } from '../support/godwit';
import { end, launch, run } from '../support/processes';
import { inProject } from '../support/project';
import { untilWithin } from '../support/until';

const LAB = `addr-${process.pid}`;
const ROUND = ['node2', 'node3', 'node1'] as const;
/** What a slow machine may need to see what is about to be so. */
const SOON_MS = 120_000;

const fixture = (name: string) => inProject('test', 'fixtures', 'network', name);

let lab: FaultLab;
let godwit: Godwit;
const jobs: string[] = [];
const clients: Client[] = [];

beforeAll(async () => {
  lab = await FaultLab.up(LAB);
  godwit = new Godwit({ agent: lab.socket('node1') });
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.end();
  for (const job of jobs.splice(0)) await godwit.kill(job, 'SIGKILL').catch(() => {});
});
afterAll(() => lab.down());

const until = untilWithin(SOON_MS);

const has = async (path: string, argv: string[]) =>
  (await run(['nsenter', `--net=${path}`, ...argv])).stdout.trim();
async function ipIn(namespace: string, ...args: string[]): Promise<void> {
  const { status, stderr } = await run(['nsenter', `--net=${namespace}`, 'ip', ...args]);
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
}
const inNode = (node: string) => nodeNamespace(LAB, node);

async function launched(argv: string[], on = 'node1', address?: string): Promise<string> {
  const { id } = await godwit.run(['python3', ...argv], { on, ...(address ? { address } : {}) });
  jobs.push(id);
  return id;
}

/** A server with an address of its own that answers each line: its job, and where it is reached. */
async function server(address = 'auto'): Promise<{ job: string; ip: string }> {
  const id = await launched([inProject('examples', 'echo-server.py'), '7000'], 'node1', address);
  await until('it listens', async () => (await godwit.logs(id)) !== '');
  const { address: ip } = await godwit.job(id);
  return { job: id, ip: ip! };
}

/** A program elsewhere that talks with a server over one connection, and ends at the first wrong answer. */
class Client {
  said = '';
  readonly #child: ChildProcess;

  constructor(namespace: string, ip: string) {
    const program = ['python3', fixture('echo-client.py'), ip, '7000'];
    this.#child = launch(['nsenter', `--net=${namespace}`, ...program]);
    for (const stream of [this.#child.stdout!, this.#child.stderr!])
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.said = (this.said + text).slice(-2_000);
      });
    clients.push(this);
  }

  get answers(): number {
    return Number(/(\d+)\n[^\n]*$/.exec(this.said)?.[1] ?? 0);
  }

  /** It has had answers since now to more than was on the way. */
  async goesOn(): Promise<void> {
    const before = this.answers;
    await until('it gets answers', () => {
      if (this.#child.exitCode !== null) throw new Error(`the client ended: ${this.said}`);
      return this.answers > before + 100;
    });
  }

  end() {
    end(this.#child);
  }
}

const allGoOn = () => Promise.all(clients.map((client) => client.goesOn()));

/** Where the address's interface is: the nodes that have it, and those on which it is up. */
async function ports(job: string) {
  const links = await Promise.all(
    lab.nodes.map(async (node) => [node, await has(inNode(node), ['ip', '-br', 'link'])] as const),
  );
  const mine = links.flatMap(([node, text]) =>
    text
      .split('\n')
      .flatMap((line) => (line.startsWith(`gw${job}`) ? [{ node, up: / UP /.test(line) }] : [])),
  );
  return { there: mine.map(({ node }) => node), up: mine.filter(({ up }) => up).map(({ node }) => node) };
}

const namespaces = () =>
  lab.nodes.flatMap((node) => {
    const folder = join(lab.paths(node).state, 'networks');
    return existsSync(folder) ? readdirSync(folder) : [];
  });

async function printsMore(job: string): Promise<void> {
  const before = (await godwit.logs(job)).length;
  await until('it prints more', async () => (await godwit.logs(job)).length > before);
}

describe("in its host's network", () => {
  it('a program that talks to itself over loopback moves in the middle of it', async () => {
    const job = await launched([fixture('loopback.py'), '5377']);
    await printsMore(job);
    for (const node of ROUND) {
      await godwit.migrate(job, node);
      await printsMore(job);
    }
    expect(await godwit.job(job)).toMatchObject({ state: 'running', node: 'node1', address: null });
  });

  it('sockets of several kinds go on, with an address of their own and without', async () => {
    const both = [
      await launched([fixture('kinds.py')]),
      await launched([fixture('kinds.py')], 'node2', 'auto'),
    ];
    for (const job of both) {
      await printsMore(job);
      await godwit.migrate(job, 'node3');
      await printsMore(job);
    }
  });

  it('a port that is taken at the destination is named before anything is frozen', async () => {
    const taker = await launched([fixture('loopback.py'), '5378'], 'node2');
    const job = await launched([fixture('loopback.py'), '5378']);
    await Promise.all([taker, job].map(printsMore));
    const { obstacles } = await godwit.why(job, 'node2');
    expect(obstacles).toEqual([
      expect.objectContaining({ code: 'port-taken', what: expect.stringContaining('5378') }),
    ]);
    await expect(godwit.migrate(job, 'node2')).rejects.toThrow(/5378 at 127\.0\.0\.1.* is taken on node2/);
  });
});

describe('with an address of its own', () => {
  it('connections of others go on, wherever it moves and wherever they are', async () => {
    const { job, ip } = await server();
    const hub = bridgeNamespace(LAB);
    await ipIn(hub, 'address', 'add', ip.replace(/\.1$/, '.250/16'), 'dev', 'bridge');
    for (const namespace of [nodeNamespace(LAB, 'node1'), nodeNamespace(LAB, 'node2'), hub])
      new Client(namespace, ip);
    await allGoOn();
    const gdb = await godwit.gdb(job);
    const running = gdb.start('continue');
    for (const node of ROUND) {
      await godwit.migrate(job, node);
      await allGoOn();
      expect((await ports(job)).up).toEqual([node]);
    }
    await godwit.kill(job, 'SIGINT');
    expect(await running.result()).toContain('SIGINT');
    await gdb.quit();
    await allGoOn();
  });

  it('a move that fails, or an agent that dies in it, costs no connection', async () => {
    const { job, ip } = await server();
    new Client(nodeNamespace(LAB, 'node3'), ip);
    await allGoOn();
    lab.criu('restore-fails');
    await expect(godwit.migrate(job, 'node2')).rejects.toThrow('runs on at node1');
    await allGoOn();
    await until('node2 has cleared up', async () => (await ports(job)).there.join() === 'node1');

    // The destination, then the source, which is the home too.
    for (const dying of ['node2', 'node1']) {
      lab.criu('slow-dump');
      const moved = godwit.migrate(job, 'node2').catch((error: Error) => error);
      await until('it is frozen', async () => (await ports(job)).up.length === 0);
      await lab.kill(dying);
      expect(await moved).toBeInstanceOf(Error);
      lab.criu('real');
      await lab.restart(dying);
      await allGoOn();
      await until('node2 has cleared up', async () => (await ports(job)).there.join() === 'node1');
    }
    await godwit.migrate(job, 'node2');
    await allGoOn();
  });

  it('is given to one job at a time, to none while another machine answers, and is free at its end', async () => {
    const first = await server();
    const again = (address: string) =>
      godwit.text(['run', '--detach', '--address', address, '--', 'sleep', '100']);
    await expect(again(first.ip)).rejects.toThrow(`${first.ip} is in use: another job has it`);
    const foreign = first.ip.replace(/\.\d+$/, '.200');
    await ipIn(bridgeNamespace(LAB), 'address', 'add', `${foreign}/16`, 'dev', 'bridge');
    await expect(again(foreign)).rejects.toThrow(/\.200 is in use: .* answers for it/);
    await expect(again('192.168.77.1')).rejects.toThrow('is not one of the addresses that node1 gives');
    const second = await server();
    expect(second.ip).not.toBe(first.ip);
    await godwit.migrate(second.job, 'node3');

    for (const { job } of [first, second]) {
      await godwit.kill(job, 'SIGTERM');
      await godwit.wait(job);
      expect((await godwit.job(job)).address).toBeNull();
      await until('its interface is gone', async () => (await ports(job)).there.length === 0);
    }
    await until('its namespaces are gone', () => namespaces().length === 0);
    expect((await server(first.ip)).ip).toBe(first.ip);
  });
});

it('takes away what is the job’s, whatever others have made beside it, and nothing else', async () => {
  const { job } = await server();
  const theirs = ['link', 'show', 'dev', `gw${job}`];
  await ipIn(inNode('node2'), 'link', 'add', `gw${job}`, 'type', 'veth', 'peer', 'name', 'theirs');
  await expect(godwit.migrate(job, 'node2')).rejects.toThrow(`gw${job}`);
  expect(await has(inNode('node2'), ['ip', ...theirs])).toContain(`gw${job}`);
  await until('it is not moving', async () => (await godwit.job(job)).state === 'running');

  const { state } = lab.paths('node1');
  const cgroup = join(await nodeCgroup(`${LAB}-node1`), `${job}.0`);
  for (const path of [join(cgroup, 'run', 'theirs', 'deep'), join(cgroup, 'theirs')])
    mkdirSync(path, { recursive: true });
  const networks = join(state, 'networks');
  const mount = async (...args: string[]) => expect((await run(['mount', ...args])).status).toBe(0);
  // As `ip netns add` does with its own folder, and once more over the name itself.
  await mount('--rbind', networks, networks);
  await mount('--bind', '/dev/null', join(networks, `${job}.0`));
  try {
    await godwit.kill(job, 'SIGTERM');
    await godwit.wait(job);
    await until('its namespace is gone', () => namespaces().length === 0);
    await until('its cgroup is gone', () => !existsSync(cgroup));
  } finally {
    await run(['umount', '--recursive', networks]);
    await ipIn(inNode('node2'), 'link', 'delete', `gw${job}`);
  }
});

it('leaves no namespace, interface or mount behind', async () => {
  await until('nothing is left', async () => namespaces().length === 0);
  expect(await boundOf(lab.nodes.map((node) => nodeNamespace(LAB, node)))).toHaveLength(3);
  await lab.leavesNothing();
});
