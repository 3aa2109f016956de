/** Speaks to the agents of a lab from within the network of one of its nodes, with whatever certificate. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import { type PeerContract, peerContract } from '../../agent/api/peer-contract';
import { nodeNamespace } from '../../agent/lab/namespaces';
import { type Client, connectTls } from '../../agent/wire/client';
import type { TlsEndpoint } from '../../agent/wire/endpoint';
import type { TlsFiles, TlsIdentity } from '../../agent/wire/tls';
import type { Stage } from './stage';

/** Carries what comes to a Unix socket to a port that is reached from there. */
const RELAY = `
  const net = require('node:net');
  const [path, port, host] = process.argv.slice(1);
  const { pipeline } = require('node:stream');
  net.createServer((near) => {
    const far = net.connect(port, host);
    pipeline(near, far, near, () => {});
  }).listen(path, () => console.log('ready'));`;

export class Intruder {
  readonly #folder = mkdtempSync(join(tmpdir(), 'godwit-intruder-'));
  readonly #relays: ChildProcess[] = [];
  readonly #doors: Server[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #clients: { close(): void }[] = [];
  readonly #ports = new Map<string, Promise<number>>();

  /** @param node in whose network it is */
  constructor(
    private readonly stage: Stage,
    readonly node: string,
  ) {}

  /** What a node has for itself. */
  tls(node: string): TlsIdentity {
    return identity(this.stage.configOf(node).tls);
  }

  async endpoint(target: string, tls: TlsIdentity): Promise<TlsEndpoint> {
    const port = await this.#port(target);
    return { address: '127.0.0.1', port, tls, expectName: target };
  }

  /** @param name which the certificate must have */
  async dial(
    target: string,
    name: string = this.node,
    tls: TlsIdentity = this.tls(name),
  ): Promise<Client<PeerContract>> {
    const options = { name, kind: 'agent', contract: peerContract } as const;
    const client = await connectTls(await this.endpoint(target, tls), options);
    this.#clients.push(client);
    return client;
  }

  close(): void {
    for (const client of this.#clients) client.close();
    for (const socket of this.#sockets) socket.destroy();
    for (const door of this.#doors) door.close();
    for (const relay of this.#relays) relay.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #port(target: string): Promise<number> {
    const port = this.#ports.get(target) ?? this.#reach(target);
    this.#ports.set(target, port);
    return port;
  }

  /** A port of this machine's loopback that leads to the target's. */
  async #reach(target: string): Promise<number> {
    const { listen } = this.stage.configOf(target);
    const path = join(this.#folder, target);
    const place = `--net=${nodeNamespace(this.stage.lab, this.node)}`;
    const argv = [place, process.execPath, '-e', RELAY, path, String(listen.port), listen.host];
    const relay = spawn('nsenter', argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#relays.push(relay);
    await new Promise((resolve, reject) => relay.stdout!.once('data', resolve).once('error', reject));
    const door = createServer((near) => {
      const far = connect(path);
      for (const socket of [near, far]) this.#sockets.add(socket);
      pipeline(near, far, near, () => {});
    });
    this.#doors.push(door);
    await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
    return (door.address() as { port: number }).port;
  }
}

export const identity = ({ ca, cert, key }: TlsFiles): TlsIdentity => ({
  ca: readFileSync(ca),
  cert: readFileSync(cert),
  key: readFileSync(key),
});
