/** A lab in which programs are debugged through the adapter, as an editor does it. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { expect } from 'vitest';
import { adapterClient } from './adapter-client';
import type { DebugClient } from './dap';
import { FaultLab } from './fault-lab';
import { run } from './processes';

export interface Begin {
  /** Of the source file. */
  breakpoints?: DebugProtocol.SourceBreakpoint[];
  config?: object;
  /** What the client says of itself besides. */
  client?: object;
  /** Between `initialized` and `configurationDone`. */
  configure?: (client: DebugClient) => Promise<unknown>;
}

/** What a client says that begins sessions for children. */
export const FOLLOWS = { supportsStartDebuggingRequest: true };

export class DebugLab {
  readonly #clients: DebugClient[] = [];

  private constructor(
    readonly lab: FaultLab,
    /** What adapters keep while they run. */
    readonly temp: string,
  ) {}

  static async up(name: string): Promise<DebugLab> {
    const lab = await FaultLab.up(name);
    const temp = join(lab.folder, 'temp');
    mkdirSync(temp);
    return new DebugLab(lab, temp);
  }

  /** After each test. */
  async clear(): Promise<void> {
    for (const client of this.#clients.splice(0)) {
      client.kill();
      await client.gone();
    }
    await this.lab.recover();
  }

  async compile(source: string, argv: readonly string[], name: string): Promise<string> {
    const program = join(this.lab.folder, name);
    const { status, stderr } = await run([...argv, '-o', program, source]);
    if (status !== 0) throw new Error(`${argv[0]} could not compile ${source}: ${stderr}`);
    return program;
  }

  launch(
    program: string,
    source: string,
    args: (string | number)[],
    { config = {}, ...begin }: Begin = {},
  ): Promise<Debugged> {
    const launching = { program, args: args.map(String), node: 'node1', ...config };
    return this.begin('launch', source, { ...begin, config: launching });
  }

  /** On what a program has left: there is no job. */
  look(
    config: object,
    source: string,
    breakpoints: DebugProtocol.SourceBreakpoint[] = [],
  ): Promise<Debugged> {
    return this.begin('launch', source, { config, breakpoints });
  }

  /** As an editor does it that is asked for the session of a child. */
  async child(parent: Debugged, nth: number, source: string, begin: Begin = {}): Promise<Debugged> {
    type Asked = { request: 'attach'; configuration: object };
    const { seq, args } = await parent.client.askedFor<Asked>(nth, 'startDebugging');
    const session = await this.begin(args.request, source, {
      ...begin,
      client: FOLLOWS,
      config: { ...args.configuration, ...begin.config },
    });
    parent.client.answer(seq, 'startDebugging');
    expect(session.client.said('important')).not.toContain('is not known to this debug configuration');
    return session;
  }

  private async begin(
    request: 'launch' | 'attach',
    source: string,
    { breakpoints = [], config = {}, client: more = {}, configure }: Begin,
  ): Promise<Debugged> {
    const client = adapterClient({ TMPDIR: this.temp, GODWIT_AGENT: this.lab.socket('node1') });
    this.#clients.push(client);
    const capabilities = await client.request<DebugProtocol.Capabilities>('initialize', {
      adapterID: 'godwit',
      pathFormat: 'path',
      linesStartAt1: true,
      columnsStartAt1: true,
      ...more,
    });
    const begun = client.start(request, config);
    await Promise.race([client.event('initialized'), begun]);
    const placed = await client.setBreakpoints(source, breakpoints);
    await configure?.(client);
    await client.request('configurationDone');
    await begun;
    const job = client.all<{ id: string }>('godwit.job')[0]?.id ?? '';
    return new Debugged(this.lab, client, job, capabilities, placed, source);
  }
}

/** A program that a client controls. */
export class Debugged {
  constructor(
    readonly lab: FaultLab,
    readonly client: DebugClient,
    readonly job: string,
    readonly capabilities: DebugProtocol.Capabilities,
    readonly placed: DebugProtocol.Breakpoint[],
    readonly source: string,
  ) {}

  async stack(threadId = 1) {
    return this.client.stack(threadId);
  }

  async line(threadId = 1): Promise<number> {
    return (await this.stack(threadId))[0]!.line;
  }

  resume(): Promise<unknown> {
    return this.client.request('continue', { threadId: 1 });
  }

  /** Goes on to the next stop. */
  async on(reason?: string): Promise<DebugProtocol.StoppedEvent['body']> {
    await this.resume();
    const stop = await this.client.stopped();
    if (reason !== undefined) expect(stop.reason).toBe(reason);
    return stop;
  }

  async step(command: 'next' | 'stepIn' | 'stepOut' = 'next', args: object = {}): Promise<number> {
    await this.client.request(command, { threadId: 1, ...args });
    expect(await this.client.stopped()).toMatchObject({ reason: 'step' });
    return this.line();
  }

  move(node: string): Promise<unknown> {
    return this.client.request('godwit.migrate', { node }, 60_000);
  }

  get output(): string {
    return readFileSync(join(this.lab.paths('node1').state, 'jobs', this.job, 'console'), 'utf8');
  }
}
