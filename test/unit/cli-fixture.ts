/** The command as it is built, and an agent that a test speaks for: real processes, a real socket, the real wire. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, vi } from 'vitest';
import { type ClientContract, clientContract } from '../../agent/api/client-contract';
import type { Handlers } from '../../agent/api/contract';
import { GodwitError } from '../../agent/api/errors';
import type { Job, MoveReport, Node } from '../../agent/api/model';
import { type Server, serveUnix } from '../../agent/wire/server';
import { type StreamHandler, Tickets } from '../../agent/wire/tickets';

/** No run of the command takes longer than this unless it hangs. */
const RUN_TIMEOUT_MS = 60_000;

// Some tests run the command several times, on a machine that may be busy.
vi.setConfig({ testTimeout: 4 * RUN_TIMEOUT_MS });

export let folder = '';
/** Where the command was built into. */
export let dist = '';

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-cli-'));
  dist = join(folder, 'dist');
  mkdirSync(dist);
  await build({
    entryPoints: { godwit: fileURLToPath(new URL('../../agent/command/main.ts', import.meta.url)) },
    outdir: dist,
    outExtension: { '.js': '.cjs' },
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    external: ['bufferutil', 'utf-8-validate'],
    logLevel: 'warning',
  });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const endings: (() => unknown)[] = [];
/** Runs when the test is over, last registered first. */
export const atEnd = (ending: () => unknown) => void endings.push(ending);
afterEach(async () => {
  while (endings.length > 0) await endings.pop()!();
});

export interface RunOptions {
  env?: Record<string, string>;
  cwd?: string;
}

export class Run {
  readonly child: ChildProcess;
  private readonly out: Buffer[] = [];
  private readonly err: Buffer[] = [];
  private readonly over: Promise<number>;

  constructor(args: string[], { env = {}, cwd = folder }: RunOptions = {}) {
    const inherited = { PATH: process.env.PATH ?? '', TMPDIR: folder };
    this.child = spawn(process.execPath, [join(dist, 'godwit.cjs'), ...args], {
      cwd,
      env: { ...inherited, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: RUN_TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
    this.child.stdout!.on('data', (chunk) => this.out.push(chunk));
    this.child.stderr!.on('data', (chunk) => this.err.push(chunk));
    this.over = once(this.child, 'close').then(([code, signal]) => {
      if (signal) throw new Error(`godwit ${args.join(' ')} was ended by ${signal}; stderr: ${this.stderr}`);
      return code as number;
    });
    // A test that does not wait for it lets it be killed.
    this.over.catch(() => {});
    atEnd(() => this.child.kill('SIGKILL'));
  }

  get stdout(): string {
    return Buffer.concat(this.out).toString();
  }

  get stderr(): string {
    return Buffer.concat(this.err).toString();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.out);
  }

  /** Its exit status. */
  status(): Promise<number> {
    return this.over;
  }
}

export interface Outcome {
  status: number;
  stdout: string;
  stderr: string;
}

export async function godwit(args: string[], options?: RunOptions): Promise<Outcome> {
  const run = new Run(args, options);
  return { status: await run.status(), stdout: run.stdout, stderr: run.stderr };
}

type Answers = Partial<Handlers<ClientContract>>;
let sockets = 0;

export class FakeAgent {
  readonly path = join(folder, `${++sockets}.sock`);
  /** Every call that came, in its order. */
  readonly calls: { method: string; params: unknown }[] = [];
  private readonly tickets = new Tickets();
  private server: Server | undefined;

  private constructor(private readonly answers: Answers) {}

  static async start(answers: Answers = {}): Promise<FakeAgent> {
    const agent = new FakeAgent(answers);
    await agent.start();
    atEnd(() => agent.stop());
    return agent;
  }

  async start(): Promise<void> {
    this.server = await serveUnix({
      name: 'node1',
      kind: 'agent',
      contract: clientContract,
      handlers: this.handlers(),
      tickets: this.tickets,
      path: this.path,
    });
  }

  /** As the end of its process: all connections and streams are cut. */
  async stop(): Promise<void> {
    await this.server?.close();
    this.server = undefined;
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** Answers from now on. */
  answer(answers: Answers): void {
    Object.assign(this.answers, answers);
  }

  issue(handler: StreamHandler): string {
    return this.tickets.issue(handler);
  }

  params(method: string): unknown[] {
    return this.calls.filter((call) => call.method === method).map(({ params }) => params);
  }

  /** The command, with this agent to ask. */
  godwit(args: string[], options: RunOptions = {}): Promise<Outcome> {
    return godwit(args, this.inEnvironment(options));
  }

  run(args: string[], options: RunOptions = {}): Run {
    return new Run(args, this.inEnvironment(options));
  }

  private inEnvironment({ env, ...rest }: RunOptions): RunOptions {
    return { ...rest, env: { GODWIT_AGENT: this.path, ...env } };
  }

  private handlers(): Handlers<ClientContract> {
    const methods = Object.keys(clientContract) as (keyof ClientContract)[];
    const handle = (method: keyof ClientContract) => async (params: never, caller: never) => {
      this.calls.push({ method, params });
      const answer = this.answers[method];
      if (!answer) throw new GodwitError({ code: 'unexpected', message: `${method} was not expected` });
      return answer(params, caller);
    };
    return Object.fromEntries(methods.map((method) => [method, handle(method)])) as never;
  }
}

/** A job that prints what a test says and ends when it says so; what it is does not end with the agent. */
export class FakeJob {
  private printed = Buffer.alloc(0);
  private ending: { exit: number; signal: string | null } | undefined;
  private readonly changed = new Set<() => void>();
  /** Offsets from which its console was asked for. */
  readonly offsets: number[] = [];

  constructor(readonly id = 'abcdefghij') {}

  print(bytes: string | Buffer): void {
    this.printed = Buffer.concat([this.printed, Buffer.from(bytes)]);
    this.tell();
  }

  end(exit = 0, signal: string | null = null): void {
    this.ending = { exit, signal };
    this.tell();
  }

  get console(): Buffer {
    return this.printed;
  }

  /** How an agent answers for it. */
  answers(agent: () => FakeAgent): Answers {
    return {
      'jobs.run': () => aJob({ id: this.id }),
      'jobs.wait': async (_params, { signal }) => {
        while (!this.ending) await this.change(signal);
        return { id: this.id, ...this.ending };
      },
      'jobs.kill': () => ({ id: this.id }),
      'jobs.console': ({ offset, follow }) => {
        this.offsets.push(offset);
        const ticket = agent().issue((stream) => {
          const given = new AbortController();
          stream.once('close', () => given.abort());
          const console = Readable.from(this.chunks(offset, follow, given.signal), { objectMode: false });
          return pipeline(console, stream);
        });
        return { ticket, id: this.id, size: this.printed.length };
      },
    };
  }

  private async *chunks(offset: number, follow: boolean, signal: AbortSignal): AsyncGenerator<Buffer> {
    for (let at = offset; ; ) {
      const last = !follow || this.ending;
      const more = this.printed.subarray(at);
      at += more.length;
      if (more.length > 0) yield more;
      else if (last) return;
      else await this.change(signal);
    }
  }

  private change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) reject(new Error('the client has gone'));
      this.changed.add(resolve);
      signal.addEventListener('abort', () => reject(new Error('the client has gone')));
    });
  }

  private tell(): void {
    for (const resolve of this.changed) resolve();
    this.changed.clear();
  }
}

export const aJob = (given: Partial<Job> = {}): Job => ({
  id: 'abcdefghij',
  name: 'sim',
  command: ['/usr/bin/sim', '100'],
  user: 'root',
  state: 'running',
  home: 'node1',
  node: 'node2',
  pid: 12,
  address: null,
  cpu: 0.984,
  rss: 3_400_000,
  migrations: 1,
  debugged: false,
  pinned: false,
  exit: null,
  started: '2027-03-05T12:00:00.000Z',
  ended: null,
  epoch: 1,
  ...given,
});

export const aNode = (given: Partial<Node> = {}): Node => ({
  name: 'node1',
  address: '10.77.0.1',
  state: 'up',
  cpus: 2,
  speed: 1,
  load: 0.5,
  memTotal: 8_000_000_000,
  memFree: 950_000_000,
  jobs: 3,
  ...given,
});

export const aReport = (given: Partial<MoveReport> = {}): MoveReport => ({
  job: 'abcdefghij',
  from: 'node1',
  to: 'node2',
  epoch: 2,
  transfer: 'stop',
  freezeMs: 212.4,
  totalMs: 1480,
  bytes: 3_400_000,
  phases: { prepare: 20, park: 22, dump: 87, transfer: 5.25, restore: 60, commit: 3, thaw: 12 },
  ...given,
});

/** Polls until `ready` holds. */
export async function until(ready: () => boolean, what = 'it'): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!ready()) {
    if (Date.now() > deadline) throw new Error(`${what} did not come true within a minute`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
