/** What a session has to do with gdb: starting and ending it, stops, what is shown of what it says. It knows no jobs. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ErrorDestination, Event, OutputEvent, Response } from '@vscode/debugadapter';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { GDBTargetDebugSession } from 'cdt-gdb-adapter/dist/desktop/GDBTargetDebugSession';
import type { MIBreakpointInfo } from 'cdt-gdb-adapter/dist/mi';
import type { IGDBBackend } from 'cdt-gdb-adapter/dist/types/gdb';
import type { FrameReference } from 'cdt-gdb-adapter/dist/types/session';
import { asGodwitError, GodwitError } from '../agent/api/errors';
import type { Exit } from '../agent/api/model';
import { plain } from '../agent/api/plain';
import { Breakpoints } from './breakpoints';
import { Chatter } from './chatter';
import { gdbFailed, noGdb } from './errors';
import { type Gdb, GdbFactory } from './gdb';
import { InterruptedStep, type StepCommand } from './interrupted-step';
import { moduleAt } from './modules';
import { ask, loadPython } from './python';
import { isRefused, notSupported } from './refusals';
import { exitOf, reasonOf, type Stopped, type StopReason } from './stops';
import { standing, Threads } from './threads';
import { loadingArguments } from './values/values';

/** Milliseconds for gdb to have a stopped program killed. While its node does not answer, gdb waits for it. */
const KILL_MS = 5_000;
/** gdb gives up on a slow reply after so many seconds, 2 by default: far above the longest freeze. */
const REMOTE_TIMEOUT_S = 3600;
/** cdt-gdb-adapter's ConfiguringState.DONE, which it does not export. */
const CONFIGURED = 4;

/** What gdb says by itself and cdt-gdb-adapter knows; all else is of no use here. */
const KNOWN_NOTES: ReadonlySet<string> = new Set(['thread-created', 'thread-exited']);

export interface GdbOptions {
  gdb: string;
  cwd: string;
  sysroot: string;
  /** Commands of gdb's or of MI's that come before gdb looks at the program. */
  before: Setup[];
}

export interface Setup {
  text: string;
  ignoreFailures?: boolean | undefined;
}

export abstract class GdbSession extends GDBTargetDebugSession {
  private readonly factory: GdbFactory;
  private readonly chatter = new Chatter();
  /** What the client can be told. */
  private client: DebugProtocol.InitializeRequestArguments | undefined;
  protected breakpoints: Breakpoints | undefined;
  private ready = false;
  private pausing = false;
  /** The step that is under way. */
  private step: InterruptedStep | undefined;
  /** A stop at main was asked for: gdb's number for that breakpoint. */
  private entry: string | undefined;
  /** Only one thread runs, for the time of one step. */
  private alone = false;
  /** The client was told that children are not debugged. */
  private forkTold = false;
  /** The program was asked to end. */
  protected terminating = false;
  protected lastStop: Stopped | undefined;

  constructor() {
    const factory = new GdbFactory();
    super(factory);
    this.factory = factory;
  }

  /** The process that is debugged has ended. */
  protected abstract programEnded(exit: Exit): void;
  /** What was read at the stop before is no longer so. @param returned gdb's name for what a function returned */
  protected abstract forgetValues(returned: string | undefined): void;
  /** gdb has ended, for whatever reason. */
  protected abstract gdbEnded(how: string): void;

  /** @throws GodwitError `no-gdb` */
  protected async checkGdb(gdb: string): Promise<void> {
    const manager = await this.factory.createGDBManager();
    await manager.getVersion({ gdb } as never).catch((error: NodeJS.ErrnoException) => {
      throw noGdb(gdb, error.code === 'ENOENT' ? 'there is no such program' : error.message);
    });
  }

  /** @throws GodwitError `gdb-failed` */
  protected async connectGdb(socket: string, { gdb, cwd, sysroot, before }: GdbOptions): Promise<void> {
    const settings = [
      `remotetimeout ${REMOTE_TIMEOUT_S}`,
      'confirm off',
      'pagination off',
      // Else all go in and out at each step. A park takes them out of the program, as it does while it runs.
      'breakpoint always-inserted on',
    ];
    const gdbArguments = settings.flatMap((setting) => ['-iex', `set ${setting}`]);
    gdbArguments.push(...loadingArguments(join(__dirname, 'gdb')));
    const args = { gdb, cwd, gdbArguments };
    try {
      await this.setupCommonLoggerAndBackends(args);
      this.initializeSessionArguments(args);
      this.gdb.on('exit', (code, signal) =>
        this.gdbEnded(signal ? `was ended by ${signal}` : `exited with status ${code}`),
      );
      await this.spawn(args);
      await loadPython(this.gdb);
      for (const setup of before) await this.setUp(setup);
      await this.gdb.sendGDBSet(`sysroot ${sysroot}`);
      await this.gdb.sendCommand(`-target-select remote ${socket}`);
      await this.gdb.confirmAsyncMode();
    } catch (error) {
      throw error instanceof GodwitError ? error : gdbFailed((error as Error).message);
    }
    this.isAttach = true;
    this.breakpoints = new Breakpoints(this.ownGdb);
    this.chatter.forked = (child) => this.forked(child);
    this.ready = true;
    const { withoutSymbols } = this.chatter;
    if (withoutSymbols)
      this.say(
        `${withoutSymbols} has no debug information: no lines, no variables, and breakpoints in source files are never hit; compile it with -g.`,
        'important',
      );
  }

  private async setUp({ text, ignoreFailures }: Setup): Promise<void> {
    try {
      await this.sendCommandToGdb(this.gdb, text, undefined);
    } catch (error) {
      const why = `the command "${text}" of setupCommands failed: ${(error as Error).message}`;
      if (!ignoreFailures) throw new Error(why);
      this.say(why, 'stderr');
    }
  }

  /** Children of a fork go their own way; what was set for the program is in none of them. */
  private forked(child: number): void {
    if (this.forkTold || !this.breakpoints?.any) return;
    this.forkTold = true;
    this.say(
      `The program has forked. Breakpoints are not hit in process ${child} or in others that it forks, which are not debugged by this session; attach to one by its number inside the job ("process": ${child}).`,
      'important',
    );
  }

  /**
   * Kills the process if it stands in gdb's hands. Killed by others it would be a zombie until gdb lets it go. One that
   * runs is not for gdb to kill.
   */
  protected async killStopped(): Promise<void> {
    if (!this.ready || this.isRunning) return;
    const killing = this.gdb.sendCommand('-interpreter-exec console kill').catch(() => {});
    await Promise.race([killing, sleep(KILL_MS, undefined, { ref: false })]);
  }

  /** gdb is gone afterwards, whatever it was doing; the program is not touched by it. */
  protected async endGdb(): Promise<void> {
    this.ready = false;
    await this.factory.gdb?.end();
  }

  /** Waits for the first instruction of main instead of running on. */
  protected async stopAtEntry(): Promise<boolean> {
    try {
      const { bkpt } = await this.gdb.sendCommand<{ bkpt: MIBreakpointInfo | MIBreakpointInfo[] }>(
        '-break-insert -t --function main',
      );
      this.entry = (Array.isArray(bkpt) ? bkpt[0]! : bkpt).number;
      return true;
    } catch {
      return false;
    }
  }

  /** One line of the session's own. The editor makes a message of what is important. */
  protected say(text: string, category: 'console' | 'important' | 'stderr' = 'console'): void {
    super.sendEvent(new OutputEvent(`${plain(text)}\n`, category));
  }

  private get ownGdb(): Gdb {
    return this.factory.gdb!;
  }

  protected override canRequestProceed(): boolean {
    return this.ready;
  }

  protected override shouldReportError(error: unknown): boolean {
    return this.ready && super.shouldReportError(error);
  }

  protected override initializeRequest(
    response: DebugProtocol.InitializeResponse,
    args: DebugProtocol.InitializeRequestArguments,
  ): void {
    this.client = args;
    response.body = {
      ...response.body,
      supportTerminateDebuggee: true,
      supportsSingleThreadExecutionRequests: true,
    };
    super.initializeRequest(response, args);
  }

  /** What is not done is refused: cdt-gdb-adapter's base would answer that it was. */
  protected override dispatchRequest(request: DebugProtocol.Request): void {
    if (isRefused(request.command)) this.refuse(new Response(request), notSupported(request.command));
    else super.dispatchRequest(request);
  }

  /** All that cdt-gdb-adapter says passes here; what this session says itself does not. */
  override sendEvent(event: DebugProtocol.Event): void {
    // Ends are told by the session, with the exit code, once.
    if (event.event === 'terminated' || event.event === 'exited') return;
    if (event.event === 'output') this.pass(event.body as DebugProtocol.OutputEvent['body']);
    else super.sendEvent(event);
  }

  private pass({ output, category = 'console' }: DebugProtocol.OutputEvent['body']): void {
    const shown = this.chatter.take(output, category);
    if (shown !== undefined) super.sendEvent(new OutputEvent(shown, 'console'));
  }

  /** Past the filter for what cdt-gdb-adapter says. */
  protected tell(event: DebugProtocol.Event): void {
    super.sendEvent(event);
  }

  // ---- Stopping

  /** In place of `configurationDone`: the program is not let go. */
  protected stayAtStart(response: DebugProtocol.ConfigurationDoneResponse): void {
    // As `sendInitializedEvent` has counted it.
    this.pauseCount--;
    this.configuringState = CONFIGURED;
    this.sendResponse(response);
    this.stopped({}, { reason: 'entry' });
  }

  protected override async pauseRequest(response: DebugProtocol.PauseResponse): Promise<void> {
    if (this.canRequestProceed()) {
      this.pausing = this.isRunning;
      this.ownGdb.pause();
    }
    this.sendResponse(response);
  }

  /**
   * gdb has taken a command to go on; that the program runs it says a moment later. A breakpoint that the client wants in
   * between would else be set while nobody stops the program for it, and be in gdb alone.
   */
  // biome-ignore lint/suspicious/noExplicitAny: as it is declared
  protected override handleGDBResult(result: string, data: any): void {
    super.handleGDBResult(result, data);
    if (result !== 'running') return;
    this.chatter.takeComplaints();
    for (const thread of this.threads) thread.running = true;
    this.isRunning = this.threads.length > 0;
  }

  /** The program was to go on, and gdb found only then that it can't. */
  protected override sendStoppedEvent(_reason: string, threadId: number): void {
    const text = this.chatter
      .takeComplaints()
      .trim()
      .replace(/\s*\n\s*/g, ' ');
    this.say(`The program can't go on: ${text}`, 'important');
    const stopped = { 'thread-id': String(threadId) };
    this.stopped(stopped, { reason: 'pause', description: "Can't go on", text });
  }

  protected override handleGDBStopped(told: Stopped): void {
    const signal = this.chatter.takeSignal();
    const stopped = told.reason === undefined ? { ...told, ...signal } : told;
    const exit = exitOf(stopped);
    if (exit) return void this.programEnded(exit);
    if (this.step?.goesOnAfter(stopped)) return;
    if (this.terminating && stopped['signal-name'] === 'SIGTERM') this.deliver();
    else this.tellStop(stopped);
  }

  private tellStop(stopped: Stopped): void {
    const { pausing, entry } = this;
    const group = this.breakpoints?.groupOf(stopped.bkptno ?? '');
    this.pausing = false;
    this.step = undefined;
    const reason = reasonOf(stopped, { pausing, entry, group, caught: this.caughtBy(stopped) });
    this.tellReturn(stopped);
    this.stopped(stopped, reason);
  }

  /** The program gets the signal that it has stopped for. */
  private deliver(): void {
    this.gdb.sendCommand('-exec-continue').catch((error: Error) => this.say(error.message, 'stderr'));
  }

  /** What stops a program besides breakpoints, in words. */
  protected caughtBy(_stopped: Stopped): string | undefined {
    return undefined;
  }

  private tellReturn({ 'return-value': value }: Stopped): void {
    if (value !== undefined) this.say(`Returned: ${value}`);
  }

  /** All threads stop together. */
  protected stopped(stopped: Stopped, reason: StopReason): void {
    this.lastStop = stopped;
    this.forgetValues(stopped['gdb-result-var']);
    if (this.alone) this.together();
    const threadId = Number(stopped['thread-id'] ?? this.threads[0]?.id ?? 1);
    const body: DebugProtocol.StoppedEvent['body'] = { threadId, allThreadsStopped: true, ...reason };
    this.tell(new Event('stopped', body));
  }

  protected override async nextRequest(
    response: DebugProtocol.NextResponse,
    args: DebugProtocol.NextArguments,
  ): Promise<void> {
    await this.beginStep('-exec-next', args);
    await super.nextRequest(response, args);
  }

  protected override async stepInRequest(
    response: DebugProtocol.StepInResponse,
    args: DebugProtocol.StepInArguments,
  ): Promise<void> {
    await this.beginStep('-exec-step', args);
    await super.stepInRequest(response, args);
  }

  protected override async stepOutRequest(
    response: DebugProtocol.StepOutResponse,
    args: DebugProtocol.StepOutArguments,
  ): Promise<void> {
    await this.beginStep('-exec-finish', args);
    await super.stepOutRequest(response, args);
  }

  /** Remembered in case that it has to be interrupted. One of a single instruction is over at once. */
  private async beginStep(command: StepCommand, args: DebugProtocol.NextArguments): Promise<void> {
    this.step = undefined;
    if (!this.canRequestProceed()) return;
    await this.chooseThreads(args);
    if (args.granularity !== 'instruction')
      this.step = InterruptedStep.begin(this.ownGdb, command, args.threadId);
  }

  /** With `singleThread` all others stand until the next stop. */
  protected async chooseThreads({ singleThread }: { singleThread?: boolean }): Promise<void> {
    if (!singleThread && this.alone) this.together();
    if (!singleThread) return;
    await this.gdb.sendGDBSet('scheduler-locking on');
    this.alone = true;
  }

  private together(): void {
    this.alone = false;
    // gdb's default.
    this.gdb
      .sendGDBSet('scheduler-locking replay')
      .catch((error: Error) => this.say(error.message, 'stderr'));
  }

  protected override async threadsRequest(response: DebugProtocol.ThreadsResponse): Promise<void> {
    try {
      // Of a program that runs gdb can't be asked; it tells of those that come and go.
      if (this.canRequestProceed() && !this.isRunning)
        this.threads = standing(await ask(this.gdb, 'threads', {}, Threads));
      response.body = { threads: this.threads.map(({ id, name }) => ({ id, name: plain(name) })) };
      this.sendResponse(response);
    } catch (error) {
      if (this.shouldReportError(error)) return this.refuse(response, error);
      response.body = { threads: this.threads.map(({ id, name }) => ({ id, name: plain(name) })) };
      this.sendResponse(response);
    }
  }

  // biome-ignore lint/suspicious/noExplicitAny: as it is declared
  protected override handleGDBNotify(notification: string, data: any): void {
    if (notification === 'memory-changed') this.memoryChanged(data);
    else if (notification === 'library-loaded') this.libraryChanged('new', data);
    else if (notification === 'library-unloaded') this.libraryChanged('removed', data);
    else if (KNOWN_NOTES.has(notification)) super.handleGDBNotify(notification, data);
  }

  /** By a person's command: what the editor shows of it is old. */
  protected memoryChanged({ addr, len }: { addr: string; len: string }): void {
    if (this.client?.supportsMemoryEvent)
      this.tell(new Event('memory', { memoryReference: addr, offset: 0, count: Number(len) }));
    this.invalidate();
  }

  private libraryChanged(reason: string, { id }: { id?: string }): void {
    // They are read a moment later.
    const { symbolStatus: _, ...module } = moduleAt(id ?? '', true);
    if (this.ready) this.tell(new Event('module', { reason, module }));
  }

  /** The program itself, which gdb does not list. */
  protected programModule(): DebugProtocol.Module[] {
    const { program, withoutSymbols } = this.chatter;
    return program === undefined ? [] : [moduleAt(program, withoutSymbols === undefined)];
  }

  protected invalidate(): void {
    if (this.client?.supportsInvalidatedEvent) this.tell(new Event('invalidated', { areas: ['variables'] }));
  }

  /** After what the program was stopped for without the client's knowing. */
  protected override async continueIfNeeded(): Promise<void> {
    const { step } = this;
    if (!step || this.pauseCount !== 1 || !this.waitPausedNeeded) return super.continueIfNeeded();
    this.pauseCount--;
    await step.resume();
  }

  /** A command that a person typed: its answer is shown. */
  protected override async sendCommandToGdb(
    gdb: IGDBBackend,
    command: string,
    frame: FrameReference | undefined,
  ): Promise<void> {
    await this.chatter.during(() => super.sendCommandToGdb(gdb, command, frame));
    // It may have set a register, of which gdb tells nobody.
    if (this.ready && !this.isRunning) this.invalidate();
  }

  /** An error as the editor shows it: one line with what, why and what to do. */
  protected refuse(response: DebugProtocol.Response, error: unknown): void {
    const why = asGodwitError(error);
    const variables = { code: why.code, ...(why.fix ? { fix: why.fix } : {}) };
    this.sendErrorResponse(response, { id: 1, format: why.toLine(), showUser: true, variables });
  }

  /** Of gdb's refusals, too, the editor makes messages. */
  protected override sendErrorResponse(
    response: DebugProtocol.Response,
    error: number | DebugProtocol.Message,
    format = '',
    variables?: unknown,
    destination?: ErrorDestination,
  ): void {
    const line = (text: string) => plain(text.trim().replace(/\s*\n\s*/g, ' '));
    const told = typeof error === 'number' ? error : { ...error, format: line(error.format) };
    super.sendErrorResponse(response, told, line(format), variables, destination);
  }
}
