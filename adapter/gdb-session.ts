/** What a session has to do with gdb: starting and ending it, stops, what is shown of what it says. It knows no jobs. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ErrorDestination, Event, OutputEvent } from '@vscode/debugadapter';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { GDBTargetDebugSession } from 'cdt-gdb-adapter/dist/desktop/GDBTargetDebugSession';
import type { MIBreakpointInfo } from 'cdt-gdb-adapter/dist/mi';
import type { IGDBBackend } from 'cdt-gdb-adapter/dist/types/gdb';
import type { FrameReference } from 'cdt-gdb-adapter/dist/types/session';
import { asGodwitError } from '../agent/api/errors';
import type { Exit } from '../agent/api/model';
import { plain } from '../agent/api/plain';
import { Breakpoints } from './breakpoints';
import { Chatter } from './chatter';
import { gdbFailed, noGdb } from './errors';
import { type Gdb, GdbFactory } from './gdb';
import { InterruptedStep, type StepCommand } from './interrupted-step';
import { exitOf, reasonOf, type Stopped, type StopReason } from './stops';
import { loadingArguments } from './values/values';

/** Milliseconds for gdb to have a stopped program killed. While its node does not answer, gdb waits for it. */
const KILL_MS = 5_000;
/** gdb gives up on a slow reply after so many seconds, 2 by default: far above the longest freeze. */
const REMOTE_TIMEOUT_S = 3600;
/** cdt-gdb-adapter's ConfiguringState.DONE, which it does not export. */
const CONFIGURED = 4;

export interface GdbOptions {
  gdb: string;
  cwd: string;
  sysroot: string;
}

export abstract class GdbSession extends GDBTargetDebugSession {
  private readonly factory: GdbFactory;
  private readonly chatter = new Chatter();
  protected breakpoints: Breakpoints | undefined;
  private ready = false;
  private pausing = false;
  /** The step that is under way. */
  private step: InterruptedStep | undefined;
  /** A stop at main was asked for: gdb's number for that breakpoint. */
  private entry: string | undefined;

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
  protected async connectGdb(socket: string, { gdb, cwd, sysroot }: GdbOptions): Promise<void> {
    const settings = [`remotetimeout ${REMOTE_TIMEOUT_S}`, 'confirm off', 'pagination off'];
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
      await this.gdb.sendGDBSet(`sysroot ${sysroot}`);
      await this.gdb.sendCommand(`-target-select remote ${socket}`);
      await this.gdb.confirmAsyncMode();
    } catch (error) {
      throw gdbFailed((error as Error).message);
    }
    this.isAttach = true;
    this.breakpoints = new Breakpoints(this.ownGdb, this.chatter);
    this.ready = true;
    const { withoutSymbols } = this.chatter;
    if (withoutSymbols)
      this.say(
        `${withoutSymbols} has no debug information: no lines, no variables, and breakpoints in source files are never hit; compile it with -g.`,
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
    response.body = { ...response.body, supportTerminateDebuggee: true };
    super.initializeRequest(response, args);
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
    for (const thread of this.threads) thread.running = true;
    this.isRunning = this.threads.length > 0;
  }

  protected override handleGDBStopped(stopped: Stopped): void {
    const exit = exitOf(stopped);
    if (exit) return void this.programEnded(exit);
    if (this.step?.goesOnAfter(stopped)) return;
    const { pausing, entry } = this;
    const group = this.breakpoints?.groupOf(stopped.bkptno ?? '');
    this.pausing = false;
    this.step = undefined;
    this.stopped(stopped, reasonOf(stopped, { pausing, entry, group }));
  }

  /** All threads stop together. */
  private stopped(stopped: Stopped, reason: StopReason): void {
    this.forgetValues(stopped['gdb-result-var']);
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
    if (!this.canRequestProceed() || args.granularity === 'instruction') return;
    this.step = await InterruptedStep.begin(this.ownGdb, command, args.threadId).catch(() => undefined);
  }

  /** After what the program was stopped for without the client's knowing. */
  protected override async continueIfNeeded(): Promise<void> {
    const { step } = this;
    if (!step || this.pauseCount !== 1 || !this.waitPausedNeeded) return super.continueIfNeeded();
    this.pauseCount--;
    await step.resume();
  }

  /** A command that a person typed: its answer is shown. */
  protected override sendCommandToGdb(
    gdb: IGDBBackend,
    command: string,
    frame: FrameReference | undefined,
  ): Promise<void> {
    return this.chatter.during(() => super.sendCommandToGdb(gdb, command, frame));
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
