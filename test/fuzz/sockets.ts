/**
 * An agent's sockets, attacked: that of a user, and that of the other nodes. It must live on, answer others meanwhile,
 * and be no larger afterwards.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { parseArgs, promisify } from 'node:util';
import { WebSocket } from 'ws';
import { clientContract } from '../../agent/api/client-contract';
import { loadConfig } from '../../agent/api/config';
import type { Contract } from '../../agent/api/contract';
import { peerContract } from '../../agent/api/peer-contract';
import { nodePaths } from '../../agent/lab/description';
import { nodeNamespace } from '../../agent/lab/namespaces';
import { MAX_MESSAGE_BYTES } from '../../agent/wire/allowance';
import { connectUnix } from '../../agent/wire/client';
import { writeHello } from '../../agent/wire/hello';
import { loadTls, mutualTls } from '../../agent/wire/tls';
import { Godwit } from '../support/godwit';
import { hugeTexts, mutated, oddRequest, Random } from './inputs';

/** An account of Debian's own. */
const USER = { name: 'games', uid: 5 };
const BATCH = 200;
/** One connection in so many gets something else than requests. */
const ODD_ONE_IN = 12;
const PROBE_MS = 10;
const CLOSE_MS = 10_000;
/** What a heap that has been busy keeps for a while. */
const MOST_GROWTH_BYTES = 96 * 1024 * 1024;
/** Before it is measured for the first time: until then its heap, and the code made of what it runs, still grow. */
const WARM_MESSAGES = 200_000;

/** The socket that one attacker connects to. */
type Target = { path: string } | { host: string; port: number; config: string };

interface Order {
  target: Target;
  messages: number;
  seed: number;
}

export async function fuzzSockets(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      messages: { type: 'string', default: '100000' },
      seed: { type: 'string', default: '1' },
      order: { type: 'string' },
    },
  });
  if (values.order !== undefined) return attackSocket(JSON.parse(values.order));
  const lab = `sockets-${process.pid}`;
  await Godwit.labUp(lab, { nodes: 2, users: [USER.name] });
  try {
    await fuzzLab(lab, Number(values.messages), Number(values.seed));
  } finally {
    await Godwit.labDown(lab);
  }
}

async function fuzzLab(lab: string, messages: number, seed: number): Promise<void> {
  const [target, other] = [nodePaths(lab, 'node1'), nodePaths(lab, 'node2')];
  const { listen } = await loadConfig(target.config);
  const user = { path: join(target.userSockets, `${USER.uid}`) };
  const node = { ...listen, config: other.config };
  const agent = () => Number(readFileSync(target.agent.pidFile, 'utf8').split(' ')[0]);
  const pid = agent();
  const probe = new Probe();
  await probe.start(target.agent.socket);
  await sleep(3_000);
  console.log(`at rest: longest wait for an answer ${probe.takeLongest()} ms, ${mib(memoryOf(pid))}`);
  const attackAll = async (count: number, from: number) => {
    const half = Math.ceil(count / 2);
    console.log(`a user: ${await send({ target: user, messages: half, seed: from })}`);
    console.log(
      `a node: ${await send({ target: node, messages: half, seed: from + 1 }, nodeNamespace(lab, 'node2'))}`,
    );
  };
  await attackAll(WARM_MESSAGES, seed);
  const before = memoryOf(pid);
  await attackAll(messages, seed + 2);
  await sleep(12_000);
  const after = memoryOf(pid);
  console.log(`longest wait for an answer ${probe.takeLongest()} ms; from ${mib(before)} to ${mib(after)}`);
  probe.stop();
  if (agent() !== pid) throw new Error('the agent is another one');
  const log = readFileSync(target.agent.log, 'utf8');
  if (/unhandled|uncaught/i.test(log))
    throw new Error(`its log says: ${/.*(unhandled|uncaught).*/i.exec(log)![0]}`);
  if (after - before > MOST_GROWTH_BYTES) throw new Error('it has grown');
}

const mib = (bytes: number) => `${Math.round(bytes / 1024 / 1024)} MiB`;

/** VmRSS (proc(5)). */
const memoryOf = (pid: number) =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;

/** Root's own questions meanwhile, from a process that does nothing else. */
class Probe {
  #longest = 0;
  #ended = false;
  #closing = () => {};

  async start(socket: string): Promise<void> {
    const client = await connectUnix(socket, { name: 'probe', kind: 'client', contract: clientContract });
    this.#closing = () => client.close();
    const ask = async () => {
      while (!this.#ended) {
        const begun = performance.now();
        await client.call('jobs.history', { after: '{}' }).catch(() => {});
        this.#longest = Math.max(this.#longest, performance.now() - begun);
        await sleep(PROBE_MS);
      }
    };
    void ask();
  }

  takeLongest(): number {
    const longest = Math.round(this.#longest);
    this.#longest = 0;
    return longest;
  }

  stop(): void {
    this.#ended = true;
    this.#closing();
  }
}

/** From a process of its own, in a node's network where it is to come from there. */
async function send(order: Order, namespace?: string): Promise<string> {
  const argv = [process.execPath, __filename, 'sockets', '--order', JSON.stringify(order)];
  const all = namespace ? ['nsenter', `--net=${namespace}`, ...argv] : argv;
  const { stdout } = await promisify(execFile)(all[0]!, all.slice(1), { maxBuffer: 1024 * 1024 });
  return stdout.trim();
}

async function attackSocket({ target, messages, seed }: Order): Promise<void> {
  const random = new Random(seed);
  const contract: Contract = 'path' in target ? clientContract : peerContract;
  const open = await connectorOf(target);
  const attack = new Attack(random, contract, open);
  const begun = performance.now();
  let connections = 0;
  while (attack.sent < messages) {
    connections++;
    if (random.below(ODD_ONE_IN) === 0) await attack.oddly();
    else await attack.requests();
  }
  const seconds = (performance.now() - begun) / 1000;
  process.stdout.write(
    `${attack.sent} messages over ${connections} connections in ${Math.round(seconds)} s, ${attack.stuck} not closed\n`,
  );
  process.exit(0);
}

async function connectorOf(target: Target): Promise<() => Socket> {
  if ('path' in target) return () => connect(target.path);
  const tls = await loadTls((await loadConfig(target.config)).tls);
  const { host, port } = target;
  return () => connectTls({ host, port, ...mutualTls(tls), checkServerIdentity: () => undefined });
}

/** By these a member may leave, or be elsewhere, and then is spoken with no more. */
const LEAVING = ['cluster.left', 'cluster.moved'];

class Attack {
  sent = 0;
  /** Connections that the agent has left open though it should not. */
  stuck = 0;
  readonly #methods: string[];
  readonly #huge = Object.values(hugeTexts(MAX_MESSAGE_BYTES));
  #id = 0;

  constructor(
    private readonly random: Random,
    private readonly contract: Contract,
    private readonly connect: () => Socket,
  ) {
    this.#methods = Object.keys(contract).filter((method) => !LEAVING.includes(method));
  }

  /** Right as far as their outside goes, and a last one that is not: so the agent has read all of them when it closes. */
  async requests(): Promise<void> {
    const socket = await this.#open();
    if (!socket) return;
    this.#say(socket, writeHello({ kind: 'client', name: 'node2' }));
    for (let n = 0; n < BATCH; n++)
      this.#say(socket, oddRequest(this.random, this.contract, this.#methods, this.#id++));
    this.#say(
      socket,
      mutated(this.random, oddRequest(this.random, this.contract, this.#methods, this.#id++)),
    );
    this.#say(socket, '{oops');
    await this.#closed(socket);
  }

  oddly(): Promise<void> {
    const ways = [
      this.#hugeHello,
      this.#hugeMessage,
      this.#brokenFrames,
      this.#brokenRequest,
      this.#pings,
      this.#unread,
    ];
    return this.random.of(ways).call(this);
  }

  async #hugeHello(): Promise<void> {
    const socket = await this.#open();
    if (!socket) return;
    this.#say(socket, this.random.of(this.#huge));
    await this.#closed(socket);
  }

  async #hugeMessage(): Promise<void> {
    const socket = await this.#open();
    if (!socket) return;
    this.#say(socket, writeHello({ kind: 'client', name: 'node2' }));
    const method = this.random.of(this.#methods);
    const begin = `{"jsonrpc":"2.0","id":1,"method":"${method}","params":{"job":`;
    const texts = [this.random.of(this.#huge), `${begin}${this.random.of(this.#huge).slice(0, -200)}}}`];
    this.#say(socket, this.random.of(texts));
    this.#say(socket, '{oops');
    await this.#closed(socket);
  }

  async #brokenFrames(): Promise<void> {
    const socket = await this.#open();
    if (!socket) return;
    const raw = (socket as unknown as { _socket: Socket })._socket;
    for (let n = 0; n < 50; n++) {
      raw.write(
        Buffer.from(Array.from({ length: 1 + this.random.below(200) }, () => this.random.below(256))),
      );
      this.sent++;
    }
    await this.#closed(socket);
  }

  async #brokenRequest(): Promise<void> {
    const socket = this.connect();
    socket.on('error', () => {});
    const request = `GET /rpc HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n`;
    socket.write(mutated(this.random, request));
    this.sent++;
    await Promise.race([once(socket, 'close').catch(() => {}), sleep(50)]);
    socket.destroy();
  }

  async #pings(): Promise<void> {
    const socket = await this.#open();
    if (!socket) return;
    for (let n = 0; n < 5_000; n++) {
      if (socket.readyState === socket.OPEN) socket.ping('x'.repeat(125));
      this.sent++;
    }
    socket.pause();
    await sleep(20);
    socket.terminate();
  }

  /** Asks and does not read. */
  async #unread(): Promise<void> {
    const socket = await this.#open();
    if (!socket) return;
    socket.pause();
    this.#say(socket, writeHello({ kind: 'client', name: 'node2' }));
    for (let id = 0; id < 2_000; id++)
      this.#say(socket, JSON.stringify({ jsonrpc: '2.0', id, method: 'jobs.list', params: { ended: true } }));
    await sleep(20);
    socket.terminate();
  }

  #say(socket: WebSocket, text: string): void {
    if (socket.readyState === socket.OPEN) socket.send(text, () => {});
    this.sent++;
  }

  async #open(): Promise<WebSocket | undefined> {
    const socket = new WebSocket('ws+unix:/godwit:/rpc', { createConnection: this.connect as never });
    socket.on('error', () => {});
    const opened = await Promise.race([
      once(socket, 'open').then(
        () => true,
        () => false,
      ),
      once(socket, 'close').then(
        () => false,
        () => false,
      ),
    ]);
    return opened ? socket : undefined;
  }

  async #closed(socket: WebSocket): Promise<void> {
    if (socket.readyState === socket.CLOSED) return;
    const waited = sleep(CLOSE_MS, 'waited', { ref: false });
    if ((await Promise.race([once(socket, 'close').catch(() => {}), waited])) === 'waited') this.stuck++;
    socket.terminate();
  }
}
