/**
 * What a home's files cost on a host: the same program on the files themselves and through the mount, in one run, the
 * two ends joined as agents join them: two processes, and a WebSocket over TLS between them. The network is this
 * machine's loopback, so what a real one adds in time and takes in width comes on top.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { issueCertificate, makeAuthority } from '../../agent/machine/certificates/authority';
import { connectWire, joinWires } from '../../agent/machine/homefs/join';
import { openStream } from '../../agent/wire/client';
import { serveTls } from '../../agent/wire/server';
import { pipeStreams } from '../../agent/wire/streams';
import { Tickets } from '../../agent/wire/tickets';
import { loadTls, type TlsFiles } from '../../agent/wire/tls';
import { compile } from '../support/c-programs';
import { MountedHome } from '../support/mounted-home';
import { endAll, run } from '../support/processes';
import { inProject } from '../support/project';

const HOST = '127.0.0.1';

interface Order {
  socket: string;
  files: TlsFiles;
  /** Where the home's agent is: for that of the host. */
  home?: { port: number; ticket: string };
}

/** The home's agent: a stream to its server. */
async function beHome({ socket, files }: Order): Promise<void> {
  const tickets = new Tickets();
  const { port } = await serveTls({
    ...{ host: HOST, port: 0, name: 'node1', kind: 'agent', contract: {}, handlers: {}, tickets },
    tls: await loadTls(files),
    admits: () => true,
  });
  const ticket = tickets.issue(async (stream) => pipeStreams(stream, await connectWire(socket)));
  process.send!({ port, ticket });
}

/** The host's agent: joins. */
async function beHost({ socket, files, home }: Order): Promise<void> {
  const endpoint = { address: HOST, port: home!.port, expectName: 'node1', tls: await loadTls(files) };
  const far = await openStream(endpoint, home!.ticket);
  void joinWires(await connectWire(socket), far);
  process.send!({});
}

/** What this program is when it is started as one of the two agents. */
export const AGENTS = { 'agent-of-home': beHome, 'agent-of-host': beHost };

function agent(role: keyof typeof AGENTS, order: Order) {
  const child = fork(process.argv[1]!, [role, JSON.stringify(order)], { execArgv: [] });
  return { child, ready: once(child, 'message').then(([message]) => message) };
}

type Figures = Record<string, number>;

async function measure(program: string, folder: string): Promise<Figures> {
  mkdirSync(folder, { recursive: true });
  const { status, stdout, stderr } = await run([program, folder], { limitMs: 300_000 });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Figures;
}

/** Prints a table of what the same program gets done at home and away. */
export async function benchFiles(): Promise<Figures> {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-bench-'));
  const root = join(folder, 'root');
  mkdirSync(join(root, 'away'), { recursive: true });
  const mounted = new MountedHome(root, folder);
  const children = [];
  try {
    const program = await compile(inProject('test', 'programs', 'file-bench.c'), folder);
    const authority = await makeAuthority(join(folder, 'ca'), 'bench');
    const [node1, node2] = await Promise.all(
      ['node1', 'node2'].map((name) => issueCertificate(authority, join(folder, name), name)),
    );
    await mounted.begin();
    const home = agent('agent-of-home', { socket: mounted.sockets.serve, files: node1! });
    children.push(home.child);
    const host = agent('agent-of-host', {
      ...{ socket: mounted.sockets.mount, files: node2! },
      home: (await home.ready) as { port: number; ticket: string },
    });
    children.push(host.child);
    await host.ready;
    const local = await measure(program, join(root, 'local'));
    const away = await measure(program, join(mounted.at, 'away'));
    const rows = Object.entries(local).map(([what, at]) => ({
      what,
      'at home': Math.round(at),
      away: Math.round(away[what]!),
      ratio: Number((away[what]! / at).toPrecision(2)),
    }));
    console.table(rows);
    return Object.fromEntries(rows.map(({ what, ratio }) => [`${what}, ratio`, ratio]));
  } finally {
    await mounted.stop();
    for (const child of children) child.kill();
    endAll();
    rmSync(folder, { recursive: true });
  }
}
