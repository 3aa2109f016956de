/** A line to a process of a job, through the agent. The command's and the debug adapter's. */
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GodwitError } from '../api/errors';
import { type Attempt, Line } from '../debug/link/line';
import { type Agent, ask, askThroughRestarts } from './agent';
import { debuggerRefused } from './errors';

/** Attaching to hundreds of threads takes seconds; the stub's hello may take 30 s. */
const OPEN_TIMEOUT_MS = 60_000;

export interface Target {
  /** The agent's. */
  socket: string;
  job: string;
  /** Inside the job; the program itself if absent. */
  pid?: number | undefined;
  /** Of a stub that waits for its client already; a new one by default. */
  session?: string | undefined;
  /** What the stub tells besides answers. */
  onEvent?: ((event: Record<string, unknown>) => void) | undefined;
  /** Gets a text for each move and cut. */
  onNotice?: ((text: string) => void) | undefined;
}

export class JobLine {
  readonly line: Line;
  /** Resolves with why it ended; undefined where client or stub ended it in the usual way. */
  readonly closed: Promise<GodwitError | undefined>;
  private readonly session: string;
  private first: Promise<Opened> | undefined;
  private firstTaken = false;
  private readonly staying = new AbortController();
  private lastNotice = 'the stub does not answer';

  constructor(private readonly target: Target) {
    this.session = target.session ?? randomUUID();
    this.line = new Line({
      session: this.session,
      connect: (attempt) => this.connect(attempt),
      onEvent: (event) => {
        target.onEvent?.(event);
        target.onNotice?.(JSON.stringify(event));
      },
      log: (text) => {
        this.lastNotice = text;
        target.onNotice?.(text);
      },
    });
    this.closed = new Promise((resolve) =>
      this.line.once('closed', (why, reason) => {
        if (reason) this.lastNotice = reason;
        this.staying.abort();
        resolve(why);
      }),
    );
  }

  /**
   * Waits for a debugger of this process's own, and returns at what path. The path is there until that debugger has
   * come, for either end may be killed afterwards, and nothing is to be left of it then.
   * @throws cannot-listen
   */
  async listen(): Promise<string> {
    // A folder that only its user may enter.
    const folder = await mkdtemp(join(tmpdir(), 'godwit-'));
    const remove = () => rmSync(folder, { recursive: true, force: true });
    this.line.once('client', remove);
    this.line.once('closed', remove);
    return this.line.listen({ path: join(folder, 'line') });
  }

  /**
   * Attaches to the process. Here, unlike later, nothing is tried twice: the caller gets the refusal at once.
   * @throws GodwitError whatever the agent refuses, `debugger-refused`
   */
  async open(): Promise<{ home: string }> {
    const { home, id, pid } = await this.openFirst();
    this.stay({ job: id, pid, session: this.session });
    const patience = new AbortController();
    const tooLate = sleep(OPEN_TIMEOUT_MS, undefined, { signal: patience.signal }).then(
      () => debuggerRefused(this.lastNotice),
      () => undefined,
    );
    const ended = this.closed.then((why) => why ?? debuggerRefused(this.lastNotice));
    const opened = this.line.open().then(
      () => undefined,
      () => ended,
    );
    const failure = await Promise.race([opened, tooLate]);
    patience.abort();
    if (failure) throw failure;
    return { home };
  }

  private connect(attempt: Attempt): Promise<Duplex> {
    const { socket } = this.target;
    if (!this.firstTaken) {
      this.firstTaken = true;
      return this.openFirst().then(({ stream }) => stream);
    }
    return openDebug(socket, this.target, attempt).then(({ stream }) => stream);
  }

  /** As long as the agent has a connection to this process, the stub takes the client for present. */
  private stay(target: { job: string; pid: number; session: string }): void {
    const { signal } = this.staying;
    const options = { signal, timeoutMs: Number.POSITIVE_INFINITY };
    const stay = (agent: Agent) => agent.call('debug.stay', target, options);
    askThroughRestarts(this.target.socket, stay, { accepted: true }).catch((error: Error) => {
      if (!signal.aborted) this.target.onNotice?.(error.message);
    });
  }

  private openFirst(): Promise<Opened> {
    const { socket } = this.target;
    this.first ??= openDebug(socket, this.target, { session: this.session, fresh: true });
    return this.first;
  }
}

interface Opened {
  id: string;
  home: string;
  pid: number;
  stream: Duplex;
}

function openDebug(
  socket: string,
  { job, pid }: Target,
  { session, fresh, signal }: Omit<Attempt, 'signal'> & { signal?: AbortSignal },
): Promise<Opened> {
  const params = { job, session, fresh, ...(pid === undefined ? {} : { pid }) };
  return ask(socket, async (agent) => {
    const { ticket, ...place } = await agent.call('debug.open', params, {
      signal,
      timeoutMs: OPEN_TIMEOUT_MS,
    });
    return { ...place, stream: await agent.openStream(ticket) };
  });
}
