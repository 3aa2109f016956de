/** A client of the Debug Adapter Protocol over an adapter's stdio. What it has heard is kept: no event is missed. */
import type { ChildProcess } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { end, launch } from './processes';

/** A stop, an answer: all but a wait for the program itself. */
const ANSWER_MS = 120_000;

/** The adapter said no. */
export class DapRefusal extends Error {
  constructor(readonly response: DebugProtocol.ErrorResponse) {
    super(response.message ?? `${response.command} failed`);
  }

  get body(): DebugProtocol.Message | undefined {
    return this.response.body?.error;
  }
}

export class DebugClient {
  readonly events: DebugProtocol.Event[] = [];
  /** What the adapter has asked of its client, in its order. */
  readonly asked: DebugProtocol.Request[] = [];
  /** What it wrote to stderr. */
  stderr = '';
  readonly #process: ChildProcess;
  readonly #responses = new Map<number, DebugProtocol.Response>();
  readonly #news = new EventEmitter();
  #bytes: Buffer = Buffer.alloc(0);
  #seq = 0;
  #taken = 0;
  #gone = false;

  constructor(argv: readonly string[], env: Record<string, string> = {}) {
    this.#news.setMaxListeners(0);
    this.#process = launch(argv, { env });
    this.#process.stdout!.on('data', (chunk: Buffer) => this.#read(chunk));
    this.#process.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    const gone = () => {
      this.#gone = true;
      this.#news.emit('news');
    };
    this.#process.once('close', gone).once('error', gone);
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** The number of the request that was sent last. */
  get lastRequest(): number {
    return this.#seq;
  }

  /** The program's output, as it came. */
  get output(): string {
    return this.said('stdout');
  }

  /** What was said in the given categories. */
  said(...categories: string[]): string {
    return this.all<DebugProtocol.OutputEvent['body']>('output')
      .filter(({ category = 'console' }) => categories.includes(category))
      .map(({ output }) => output)
      .join('');
  }

  all<B = Record<string, unknown>>(event: string): B[] {
    return this.events.filter((one) => one.event === event).map(({ body }) => body as B);
  }

  /** @throws DapRefusal */
  async request<B = Record<string, never>>(
    command: string,
    args: object = {},
    limitMs = ANSWER_MS,
  ): Promise<B> {
    return (await this.start<B>(command, args, limitMs)).body;
  }

  /** Sends now; the answer may be waited for later. */
  start<B>(command: string, args: object = {}, limitMs = ANSWER_MS): Promise<{ body: B }> {
    const seq = ++this.#seq;
    this.#write({ seq, type: 'request', command, arguments: args });
    const answer = this.#until(`an answer to ${command}`, limitMs, () => this.#responses.get(seq));
    const checked = answer.then((response) => {
      if (!response.success) throw new DapRefusal(response as DebugProtocol.ErrorResponse);
      return { body: response.body as B };
    });
    checked.catch(() => {});
    return checked;
  }

  /** The next event of that name, since the one that was waited for last. */
  async event<B>(name: string, limitMs = ANSWER_MS): Promise<B> {
    const found = await this.#until(`the event ${name}`, limitMs, () => {
      const index = this.events.findIndex((one, at) => at >= this.#taken && one.event === name);
      return index < 0 ? undefined : { index };
    });
    this.#taken = found.index + 1;
    return this.events[found.index]!.body as B;
  }

  /** The next stop. Without one: that the session ended is said, too. */
  stopped(limitMs = ANSWER_MS): Promise<DebugProtocol.StoppedEvent['body']> {
    return this.event('stopped', limitMs);
  }

  async outputHas(text: string, limitMs = ANSWER_MS): Promise<void> {
    await this.#until(`output with "${text}"`, limitMs, () =>
      this.said('stdout', 'console', 'important', 'stderr').includes(text) ? true : undefined,
    );
  }

  /** Waits for something to be so, looking after each message. */
  async comesTo(what: string, is: () => boolean, limitMs = ANSWER_MS): Promise<void> {
    await this.#until(what, limitMs, () => is() || undefined);
  }

  /** The `nth` request (from 0) of the adapter's. */
  async askedFor<A>(nth: number, command: string, limitMs = ANSWER_MS): Promise<{ seq: number; args: A }> {
    const found = await this.#until(`its request ${nth}`, limitMs, () => this.asked[nth]);
    if (found.command !== command) throw new Error(`it asked for ${found.command}, not for ${command}`);
    return { seq: found.seq, args: found.arguments as A };
  }

  answer(seq: number, command: string, { success = true, message = '', body = {} } = {}): void {
    this.#write({
      seq: ++this.#seq,
      type: 'response',
      request_seq: seq,
      command,
      success,
      body,
      ...(message ? { message } : {}),
    });
  }

  #write(message: object): void {
    const json = JSON.stringify(message);
    this.#process.stdin!.write(`Content-Length: ${Buffer.byteLength(json)}\r\n\r\n${json}`);
  }

  initialize(): Promise<DebugProtocol.Capabilities> {
    return this.request('initialize', {
      adapterID: 'godwit',
      pathFormat: 'path',
      linesStartAt1: true,
      columnsStartAt1: true,
    });
  }

  async setBreakpoints(
    path: string,
    breakpoints: DebugProtocol.SourceBreakpoint[],
  ): Promise<DebugProtocol.Breakpoint[]> {
    const answer = await this.request<DebugProtocol.SetBreakpointsResponse['body']>('setBreakpoints', {
      source: { path },
      breakpoints,
    });
    return answer.breakpoints;
  }

  async stack(threadId = 1): Promise<DebugProtocol.StackFrame[]> {
    const answer = await this.request<DebugProtocol.StackTraceResponse['body']>('stackTrace', { threadId });
    return answer.stackFrames;
  }

  async scope(
    frameId: number,
    name: 'Local' | 'Static' | 'Registers' = 'Local',
  ): Promise<DebugProtocol.Variable[]> {
    const { scopes } = await this.request<DebugProtocol.ScopesResponse['body']>('scopes', { frameId });
    return this.variables(scopes.find((scope) => scope.name === name)!.variablesReference);
  }

  async variables(
    variablesReference: number,
    part: Omit<DebugProtocol.VariablesArguments, 'variablesReference'> = {},
  ): Promise<DebugProtocol.Variable[]> {
    const answer = await this.request<DebugProtocol.VariablesResponse['body']>('variables', {
      variablesReference,
      ...part,
    });
    return answer.variables;
  }

  async evaluate(expression: string, frameId?: number, context = 'watch'): Promise<string> {
    const answer = await this.request<DebugProtocol.EvaluateResponse['body']>('evaluate', {
      expression,
      frameId,
      context,
    });
    return answer.result;
  }

  /** As an editor that goes away does it. */
  closeStdin(): void {
    this.#process.stdin!.end();
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** The adapter has ended, with this status. */
  async gone(limitMs = ANSWER_MS): Promise<number | null> {
    await this.#until('its end', limitMs, () => this.#gone || undefined);
    return this.#process.exitCode;
  }

  kill(): void {
    end(this.#process);
  }

  async #until<T>(what: string, limitMs: number, look: () => T | undefined): Promise<T> {
    const late = AbortSignal.timeout(limitMs);
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      const why = this.#gone ? 'the adapter has ended' : late.aborted ? `not within ${limitMs} ms` : '';
      if (why) throw new Error(`waited for ${what}: ${why}; ${this.#lately()}`);
      await once(this.#news, 'news', { signal: late }).catch(() => {});
    }
  }

  #lately(): string {
    const events = this.events.slice(-12).map(({ event, body }) => `${event} ${JSON.stringify(body)}`);
    return `its last events:\n${events.join('\n')}\nstderr: ${this.stderr}`;
  }

  #read(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    for (;;) {
      const head = this.#bytes.indexOf('\r\n\r\n');
      if (head < 0) break;
      const length = Number(/Content-Length: (\d+)/.exec(this.#bytes.toString('utf8', 0, head))![1]);
      const from = head + 4;
      if (this.#bytes.length < from + length) break;
      this.#take(JSON.parse(this.#bytes.toString('utf8', from, from + length)));
      this.#bytes = this.#bytes.subarray(from + length);
    }
    this.#news.emit('news');
  }

  #take(message: DebugProtocol.ProtocolMessage): void {
    if (message.type === 'request') this.asked.push(message as DebugProtocol.Request);
    else if (message.type === 'event') this.events.push(message as DebugProtocol.Event);
    else if (message.type === 'response') {
      const response = message as DebugProtocol.Response;
      this.#responses.set(response.request_seq, response);
    }
  }
}
