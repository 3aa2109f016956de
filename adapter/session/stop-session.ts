/** Stopping and going on: why the program has stopped, its threads, and steps that come to their end. */
import { Event } from '@vscode/debugadapter';
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { MIBreakpointInfo } from 'cdt-gdb-adapter/dist/mi';
import type { Exit } from '../../agent/api/model';
import { plain } from '../../agent/api/plain';
import { signalName } from '../../agent/api/signals';
import { InterruptedStep, type StepCommand } from '../stops/interrupted-step';
import { exitOf, reasonOf, type Stopped, type StopReason } from '../stops/stops';
import { GdbSession } from './gdb-session';
import { standing } from './threads';

/** cdt-gdb-adapter's ConfiguringState.DONE, which it does not export. */
const CONFIGURED = 4;

export abstract class StopSession extends GdbSession {
  private pausing = false;
  /** The step that is under way. */
  private step: InterruptedStep | undefined;
  /** A stop at main was asked for: gdb's number for that breakpoint. */
  private entry: string | undefined;
  /** Only one thread runs, for the time of one step. */
  private alone = false;
  /** The program was asked to end. */
  protected terminating = false;
  protected lastStop: Stopped | undefined;

  /** The process that is debugged has ended. */
  protected abstract programEnded(exit: Exit): void;
  /** What was read at the stop before is no longer so. @param returned gdb's name for what a function returned */
  protected abstract forgetValues(returned: string | undefined): void;

  protected override capabilities(): DebugProtocol.Capabilities {
    return { ...super.capabilities(), supportsSingleThreadExecutionRequests: true };
  }

  // ---- At the start

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

  /** In place of `configurationDone`: the program is not let go. */
  protected stayAtStart(response: DebugProtocol.ConfigurationDoneResponse): void {
    // As `sendInitializedEvent` has counted it.
    this.pauseCount--;
    this.configuringState = CONFIGURED;
    this.sendResponse(response);
    this.stopped({}, { reason: 'entry' });
  }

  /** As `configurationDone` does it, for a program that begins anew under the same gdb. */
  protected async goFromStart(toEntry: boolean): Promise<void> {
    this.step = undefined;
    this.pausing = false;
    this.terminating = false;
    this.entry = undefined;
    if (this.alone) this.together();
    if (toEntry && !(await this.stopAtEntry())) this.stopped({}, { reason: 'entry' });
    else await this.gdb.sendCommand('-exec-continue');
  }

  /** In place of `configurationDone`: the program has ended long ago. */
  protected async showEnd(response: DebugProtocol.ConfigurationDoneResponse): Promise<void> {
    this.pauseCount--;
    this.configuringState = CONFIGURED;
    this.sendResponse(response);
    const number = await this.python.ask('ended_by', {}).catch(() => null);
    const signal = number === null ? undefined : signalName(number);
    const how = signal ? `Ended by ${signal}` : 'What a program has left';
    this.stopped(signal ? { 'signal-name': signal } : {}, {
      reason: 'exception',
      description: how,
      text: how,
    });
  }

  // ---- Stopping

  protected override async pauseRequest(response: DebugProtocol.PauseResponse): Promise<void> {
    if (this.canRequestProceed()) {
      this.pausing = this.isRunning;
      this.ownGdb.pause();
    }
    this.sendResponse(response);
  }

  /**
   * gdb has taken a command to go on; that the program runs it says a moment later. A breakpoint that the client wants in
   * between would else be set in gdb alone, since the program is not stopped for it.
   */
  // biome-ignore lint/suspicious/noExplicitAny: as it is declared
  protected override handleGDBResult(result: string, data: any): void {
    super.handleGDBResult(result, data);
    if (result !== 'running') return;
    this.gdbOutput.takeComplaints();
    for (const thread of this.threads) thread.running = true;
    this.isRunning = this.threads.length > 0;
  }

  /** The program was to go on, and gdb found only then that it can't. */
  protected override sendStoppedEvent(_reason: string, threadId: number): void {
    const text = this.gdbOutput
      .takeComplaints()
      .trim()
      .replace(/\s*\n\s*/g, ' ');
    this.say(`The program can't go on: ${text}`, 'important');
    const stopped = { 'thread-id': String(threadId) };
    this.stopped(stopped, { reason: 'pause', description: "Can't go on", text });
  }

  protected override handleGDBStopped(told: Stopped): void {
    const signal = this.gdbOutput.takeSignal();
    const stopped = told.reason === undefined ? { ...told, ...signal } : told;
    const exit = exitOf(stopped);
    if (exit) return void this.programEnded(exit);
    if (this.step?.goesOnAfter(stopped)) return;
    if (this.terminating && stopped['signal-name'] === 'SIGTERM') this.deliver();
    else this.tellStop(stopped);
  }

  private tellStop(stopped: Stopped): void {
    const { pausing, entry } = this;
    const group = this.groupOf(stopped.bkptno ?? '');
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

  /** The group of the breakpoint with gdb's number. */
  protected groupOf(_number: string): string | undefined {
    return undefined;
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
    this.python.stopped();
    this.forgetValues(stopped['gdb-result-var']);
    if (this.alone) this.together();
    const threadId = Number(stopped['thread-id'] ?? this.threads[0]?.id ?? 1);
    const body: DebugProtocol.StoppedEvent['body'] = { threadId, allThreadsStopped: true, ...reason };
    this.tell(new Event('stopped', body));
  }

  // ---- Going on

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

  /** With `singleThread` all others are stopped until the next stop. */
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

  /** After what the program was stopped for without the client's knowing. */
  protected override async continueIfNeeded(): Promise<void> {
    const { step } = this;
    if (!step || this.pauseCount !== 1 || !this.waitPausedNeeded) return super.continueIfNeeded();
    this.pauseCount--;
    await step.resume();
  }

  // ---- Threads

  protected override async threadsRequest(response: DebugProtocol.ThreadsResponse): Promise<void> {
    try {
      // Of a program that runs gdb can't be asked; it tells of those that come and go.
      if (this.canRequestProceed() && !this.isRunning)
        this.threads = standing(await this.python.ask('threads', {}));
      response.body = { threads: this.threads.map(({ id, name }) => ({ id, name: plain(name) })) };
      this.sendResponse(response);
    } catch (error) {
      if (this.shouldReportError(error)) return this.refuse(response, error);
      response.body = { threads: this.threads.map(({ id, name }) => ({ id, name: plain(name) })) };
      this.sendResponse(response);
    }
  }
}
