/** The job that a session debugs: the line to it, its console, its moves, its end. */
import { StringDecoder } from 'node:string_decoder';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClusterSnapshot } from '../../agent/api/client-events';
import { asGodwitError, type GodwitError } from '../../agent/api/errors';
import type { Exit, Job, MoveReport } from '../../agent/api/model';
import { followConsole } from '../../agent/client/console';
import { JobLine } from '../../agent/client/job-line';
import { readHistory } from '../../agent/client/lists';
import type { AgentLink } from './agent-link';
import { type Child, childOf, letGo } from './children';
import { type MoveListener, MoveWatcher } from './moves';

/** The console's last bytes are there when the job has ended; an agent that restarts just then may need longer. */
const CONSOLE_END_MS = 10_000;

export interface DebuggeeListener extends MoveListener {
  say(text: string): void;
  /** The job's output; resolves when more may come. */
  output(text: string): Promise<void>;
  /** The process has a child, and children are followed. */
  child(child: Child): void;
  /** It has ended; gdb may say so too. */
  ended(exit: Exit): void;
  /** The line is closed, by one of its ends or (`why`) for another reason. */
  lineClosed(why: GodwitError | undefined): void;
  /** The agent has not come back. */
  agentGone(why: GodwitError): void;
}

export class Debuggee {
  private readonly line: JobLine;
  private readonly moves: MoveWatcher;
  private console: Promise<void> | undefined;
  private nodeDown = false;

  private constructor(
    private readonly link: AgentLink,
    readonly job: Job,
    /** The process inside the job, if not the program itself. */
    readonly process: number | undefined,
    session: string | undefined,
    private readonly listener: DebuggeeListener,
  ) {
    const onEvent = (event: Record<string, unknown>) => {
      const child = childOf(event);
      if (child) listener.child(child);
    };
    this.line = new JobLine({ socket: link.socket, job: job.id, pid: process, session, onEvent });
    this.moves = new MoveWatcher(job.id, () => readHistory(link, job.id), listener);
  }

  /**
   * A line to the job, and eyes on it. `session`: of a stub that waits there for its client. Nothing is left behind where that fails, and the job is untouched.
   * @throws GodwitError whatever the agent refuses, `debugger-refused`
   */
  static async open(
    link: AgentLink,
    job: Job,
    { pid, session }: { pid?: number | undefined; session?: string | undefined },
    listener: DebuggeeListener,
  ): Promise<Debuggee> {
    const debuggee = new Debuggee(link, job, pid, session, listener);
    try {
      await debuggee.line.open();
      await debuggee.moves.begin();
      debuggee.observe();
      await link.watch();
      return debuggee;
    } catch (error) {
      await debuggee.release();
      throw error;
    }
  }

  /** The agent's. */
  get socket(): string {
    return this.link.socket;
  }

  /** Where gdb finds the line. @throws GodwitError `cannot-listen` */
  listen(): Promise<string> {
    return this.line.listen();
  }

  /** Shows the job's output from its beginning. @param patienceMs that an agent may be away */
  follow(patienceMs: number): void {
    const decoder = new StringDecoder('utf8');
    const write = (chunk: Buffer) => this.listener.output(decoder.write(chunk));
    const restarts = { accepted: true, giveUpMs: patienceMs };
    this.console = followConsole(this.link.socket, this.job.id, write, restarts)
      .then(() => this.listener.output(decoder.end()))
      .catch((error) =>
        this.listener.say(`The job's output can't be shown: ${asGodwitError(error).toLine()}`),
      );
  }

  /** All that it has printed has been shown. */
  async consoleShown(): Promise<void> {
    if (this.console) await within(CONSOLE_END_MS, this.console);
  }

  /** A child of which nothing comes runs on. */
  letGo(child: Child): Promise<void> {
    return letGo(this.link.socket, this.job.id, child);
  }

  /** `signal`: it is taken back, if it is not too late for that. */
  migrate(node: string, signal: AbortSignal | undefined): Promise<MoveReport> {
    const options = { timeoutMs: Number.POSITIVE_INFINITY, ...(signal ? { signal } : {}) };
    return this.link.call('jobs.migrate', { job: this.job.id, node, transfer: 'auto' }, options);
  }

  /** Ends the job at once, if it has not ended. @throws GodwitError where that could not be done */
  kill(): Promise<void> {
    return this.signal('SIGKILL');
  }

  /** Asks the job's program to end. @throws GodwitError where that could not be done */
  terminate(): Promise<void> {
    return this.signal('SIGTERM');
  }

  private async signal(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    try {
      await this.link.call('jobs.kill', { job: this.job.id, signal });
    } catch (error) {
      if (asGodwitError(error).code !== 'job-ended') throw error;
    }
  }

  /** How the job ended, if it does so in time. */
  async exit(timeoutMs: number): Promise<Exit | undefined> {
    const { exit, signal } = await this.link
      .call('jobs.wait', { job: this.job.id }, { timeoutMs })
      .catch(() => ({ exit: undefined, signal: null }));
    return exit === undefined ? undefined : { exit, signal };
  }

  /** Has the stub leave the program alone. Does not fail. */
  async close(): Promise<void> {
    await this.release();
    this.link.close();
  }

  private async release(): Promise<void> {
    this.link.removeAllListeners();
    await this.line.line.close();
  }

  private observe(): void {
    const { link, listener } = this;
    void this.line.closed.then((why) => listener.lineClosed(why));
    link.on('snapshot', (snapshot) => this.look(snapshot));
    link.on('away', () =>
      listener.say('The agent does not answer; the program goes on, and the debugger waits for it.'),
    );
    link.on('back', () => listener.say('The agent is back.'));
    link.on('gone', (why) => listener.agentGone(why));
  }

  private look(snapshot: ClusterSnapshot): void {
    this.moves.look(snapshot);
    const job = snapshot.jobs.find(({ id }) => id === this.job.id);
    if (!job) return;
    if (job.state === 'ended' && job.exit) this.listener.ended(job.exit);
    const down = snapshot.nodes.some(({ name, state }) => name === job.node && state === 'down');
    if (down !== this.nodeDown) {
      this.nodeDown = down;
      this.listener.say(
        down
          ? `Node ${job.node}, where the job is, does not answer; the debugger waits for it.`
          : `Node ${job.node} is back.`,
      );
    }
  }
}

async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const late = new AbortController();
  const timer = sleep(ms, undefined, { signal: late.signal }).catch(() => {});
  await Promise.race([work, timer]);
  late.abort();
}
