/** The half of a session that is gdb's: breakpoints, stops, what is shown of what gdb says. It knows no jobs. */
import { constants } from 'node:os';
import { Event, OutputEvent } from '@vscode/debugadapter';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { GDBTargetDebugSession } from 'cdt-gdb-adapter/dist/desktop/GDBTargetDebugSession';
import type { MIBreakpointInfo } from 'cdt-gdb-adapter/dist/mi';
import type { IGDBBackend } from 'cdt-gdb-adapter/dist/types/gdb';
import type { FrameReference } from 'cdt-gdb-adapter/dist/types/session';
import { asGodwitError } from '../agent/api/errors';
import type { Exit } from '../agent/api/model';
import { Breakpoints, type Wanted } from './breakpoints';
import { Chatter } from './chatter';
import { gdbFailed, noGdb } from './errors';
import { type Gdb, GdbFactory } from './gdb';
import { quoted } from './log-points';

/** gdb gives up on a slow reply after so many seconds, 2 by default: far above the longest freeze. */
const REMOTE_TIMEOUT_S = 3600;
/** What the debug registers of a processor can watch at most: four times eight bytes. */
const MAX_WATCHED_BYTES = 32;

/** cdt-gdb-adapter's ConfiguringState.DONE, which it does not export. */
const CONFIGURED = 4;

const FUNCTIONS = 'functions';
const INSTRUCTIONS = 'instructions';
const DATA = 'data';
const REASONS: Record<string, string> = {
  [FUNCTIONS]: 'function breakpoint',
  [INSTRUCTIONS]: 'instruction breakpoint',
  [DATA]: 'data breakpoint',
};

/** How gdb interrupts a program, and how that is reported by different stubs. */
const INTERRUPTS: ReadonlySet<string> = new Set(['SIGINT', 'SIGSTOP', 'SIGTRAP', '0']);

export interface GdbOptions {
  gdb: string;
  cwd: string;
  sysroot: string;
}

/** Reasons of gdb's for stops that end a step. */
const STEPS: ReadonlySet<string> = new Set(['end-stepping-range', 'function-finished', 'location-reached']);

/** What gdb says in a `*stopped` record. */
interface Stopped {
  reason?: string;
  'thread-id'?: string;
  bkptno?: string;
  disp?: string;
  'signal-name'?: string;
  'signal-meaning'?: string;
  'exit-code'?: string;
  wpt?: { exp: string };
  value?: { old?: string; new?: string; value?: string };
}

export abstract class GdbSession extends GDBTargetDebugSession {
  private readonly factory: GdbFactory;
  private readonly chatter = new Chatter();
  private breakpoints: Breakpoints | undefined;
  private ready = false;
  private pausing = false;
  /** A stop at main was asked for: gdb's number for that breakpoint. */
  private entry: string | undefined;

  constructor() {
    const factory = new GdbFactory();
    super(factory);
    this.factory = factory;
  }

  /** The process that is debugged has ended. */
  protected abstract programEnded(exit: Exit): void;
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
    const args = { gdb, cwd, gdbArguments };
    try {
      await this.setupCommonLoggerAndBackends(args);
      this.initializeSessionArguments(args);
      this.gdb.on('exit', (code, signal) =>
        this.gdbEnded(signal ? `was ended by ${signal}` : `exited with status ${code}`),
      );
      await this.spawn(args);
      await this.gdb.sendEnablePrettyPrint();
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

  /** The program runs on if it is stopped. */
  protected letGo(): void {
    if (this.ready && !this.isRunning) this.gdb.sendCommand('-exec-continue').catch(() => {});
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

  /** One line of the session's own. */
  protected say(text: string, category: 'console' | 'important' | 'stderr' = 'console'): void {
    super.sendEvent(new OutputEvent(`${text}\n`, category));
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

  // ---- Breakpoints

  protected override setBreakPointsRequest(
    response: DebugProtocol.SetBreakpointsResponse,
    { source, breakpoints = [] }: DebugProtocol.SetBreakpointsArguments,
  ): Promise<void> {
    const path = source.path ?? source.name ?? '';
    const wanted = breakpoints.map(({ line, condition, hitCondition, logMessage, mode }) => ({
      at: { path, line },
      condition,
      hitCondition,
      logMessage,
      hardware: mode === 'hardware',
    }));
    return this.setBreakpoints(response, `file ${path}`, wanted);
  }

  protected override setFunctionBreakPointsRequest(
    response: DebugProtocol.SetFunctionBreakpointsResponse,
    { breakpoints }: DebugProtocol.SetFunctionBreakpointsArguments,
  ): Promise<void> {
    const wanted = breakpoints.map(({ name, condition, hitCondition }) => ({
      at: { function: name },
      condition,
      hitCondition,
    }));
    return this.setBreakpoints(response, FUNCTIONS, wanted);
  }

  protected override setInstructionBreakpointsRequest(
    response: DebugProtocol.SetInstructionBreakpointsResponse,
    { breakpoints }: DebugProtocol.SetInstructionBreakpointsArguments,
  ): Promise<void> {
    const wanted = breakpoints.map(({ instructionReference, offset = 0, condition, hitCondition }) => ({
      at: { address: `0x${(BigInt(instructionReference) + BigInt(offset)).toString(16)}` },
      condition,
      hitCondition,
    }));
    return this.setBreakpoints(response, INSTRUCTIONS, wanted);
  }

  protected override setDataBreakpointsRequest(
    response: DebugProtocol.SetDataBreakpointsResponse,
    { breakpoints }: DebugProtocol.SetDataBreakpointsArguments,
  ): Promise<void> {
    const wanted = breakpoints.map(({ dataId, accessType = 'write', condition, hitCondition }) => ({
      at: { watched: dataId, access: accessType },
      condition,
      hitCondition,
    }));
    return this.setBreakpoints(response, DATA, wanted);
  }

  /** The program is stopped for it where it runs. */
  private async setBreakpoints(
    response: DebugProtocol.Response,
    group: string,
    wanted: Wanted[],
  ): Promise<void> {
    response.body = { breakpoints: [] };
    const { breakpoints } = this;
    const nothing = wanted.length === 0 && !breakpoints?.has(group);
    if (nothing || !breakpoints || !this.canRequestProceed()) return this.sendResponse(response);
    await this.pauseIfNeeded();
    try {
      response.body = { breakpoints: await breakpoints.set(group, wanted) };
      this.sendResponse(response);
    } catch (error) {
      this.refuse(response, error);
    } finally {
      await this.continueIfNeeded().catch((error: Error) => this.say(error.message, 'stderr'));
    }
  }

  protected override async dataBreakpointInfoRequest(
    response: DebugProtocol.DataBreakpointInfoResponse,
    { name, variablesReference, frameId }: DebugProtocol.DataBreakpointInfoArguments,
  ): Promise<void> {
    response.body = { dataId: null, description: `${name} can't be watched` };
    try {
      const dataId = await this.watchable(name, variablesReference, frameId);
      response.body = { dataId, description: name, accessTypes: ['write', 'readWrite', 'read'] };
    } catch (error) {
      response.body.description = `${name} can't be watched: ${(error as Error).message}`;
    }
    this.sendResponse(response);
  }

  /** An expression for the memory that a variable has now: its name means something else in another frame. */
  private async watchable(
    name: string,
    reference: number | undefined,
    frameId: number | undefined,
  ): Promise<string> {
    const variable = reference === undefined ? undefined : this.variableHandles.get(reference);
    if (variable?.type === 'registers') throw new Error('it is a register');
    const frame = this.frameHandles.get(variable?.frameHandle ?? frameId ?? 0);
    const expression =
      variable?.type === 'object' ? await this.childExpression(variable.varobjName, name) : name;
    const evaluate = async (what: string) => {
      const at = frame ? `--thread ${frame.threadId} --frame ${frame.frameId} ` : '';
      const { value } = await this.gdb.sendCommand<{ value: string }>(
        `-data-evaluate-expression ${at}${quoted(what)}`,
      );
      return value;
    };
    const size = Number(await evaluate(`sizeof(${expression})`));
    if (size > MAX_WATCHED_BYTES) throw new Error(`it has ${size} bytes, ${MAX_WATCHED_BYTES} is the most`);
    const address = /0x[0-9a-f]+/.exec(await evaluate(`(long)&(${expression})`).then(hexadecimal))![0];
    const type = { 1: 'char', 2: 'short', 4: 'int', 8: 'long' }[size];
    return type ? `*(${type} *) ${address}` : `*(char (*)[${size}]) ${address}`;
  }

  private async childExpression(parent: string, name: string): Promise<string> {
    const child = `${parent}.${name.replace(/^\[(\d+)\]$/, '$1')}`;
    const { path_expr } = await this.gdb.sendCommand<{ path_expr: string }>(
      `-var-info-path-expression ${child}`,
    );
    return path_expr;
  }

  // ---- Running and stopping

  /** In place of `configurationDone`: the program is not let go. */
  protected stayAtStart(response: DebugProtocol.ConfigurationDoneResponse): void {
    // As `sendInitializedEvent` has counted it.
    this.pauseCount--;
    this.configuringState = CONFIGURED;
    this.sendResponse(response);
    this.stopped({}, 'entry');
  }

  protected override async pauseRequest(response: DebugProtocol.PauseResponse): Promise<void> {
    if (this.canRequestProceed()) {
      this.pausing = true;
      this.ownGdb.pause();
    }
    this.sendResponse(response);
  }

  protected override handleGDBStopped(stopped: Stopped): void {
    const exit = exitOf(stopped);
    if (exit) this.programEnded(exit);
    else this.stopped(stopped, ...this.reasonOf(stopped));
    this.pausing = false;
  }

  /** DAP's reason for a stop, and what else belongs to it. */
  private reasonOf(stopped: Stopped): [string, Partial<DebugProtocol.StoppedEvent['body']>?] {
    const { reason = '', bkptno = '', 'signal-name': signal = '' } = stopped;
    if (reason === 'breakpoint-hit') return this.reasonOfBreakpoint(bkptno);
    if (reason.endsWith('watchpoint-trigger')) return ['data breakpoint'];
    if (STEPS.has(reason)) return ['step'];
    if (this.pausing && INTERRUPTS.has(signal)) return ['pause'];
    if (reason !== 'signal-received') return ['pause', { description: `Paused: ${reason}` }];
    const text = `${signal}: ${stopped['signal-meaning'] ?? ''}`;
    return ['exception', { description: `Paused on ${signal}`, text }];
  }

  private reasonOfBreakpoint(number: string): [string, Partial<DebugProtocol.StoppedEvent['body']>?] {
    if (number === this.entry) {
      this.entry = undefined;
      return ['entry'];
    }
    const group = this.breakpoints?.groupOf(number);
    if (group === undefined) return ['breakpoint'];
    return [REASONS[group] ?? 'breakpoint', { hitBreakpointIds: [Number(number)] }];
  }

  /** All threads stop together. */
  private stopped(
    stopped: Stopped,
    reason: string,
    more: Partial<DebugProtocol.StoppedEvent['body']> = {},
  ): void {
    this.frameHandles.reset();
    this.variableHandles.reset();
    this.ownGdb.forgetVariables();
    const threadId = Number(stopped['thread-id'] ?? this.threads[0]?.id ?? 1);
    const body: DebugProtocol.StoppedEvent['body'] = { reason, threadId, allThreadsStopped: true, ...more };
    this.tell(new Event('stopped', body));
  }

  // biome-ignore lint/suspicious/noExplicitAny: as it is declared
  protected override handleGDBNotify(notification: string, data: any): void {
    if (notification.startsWith('breakpoint-')) this.breakpointChanged(notification, data);
    else super.handleGDBNotify(notification, data);
  }

  private breakpointChanged(
    notification: string,
    { bkpt, id }: { bkpt?: MIBreakpointInfo; id?: string },
  ): void {
    const removed = notification === 'breakpoint-deleted';
    const breakpoint = removed ? this.breakpoints?.deleted(String(id)) : this.breakpoints?.changed(bkpt!);
    if (breakpoint)
      this.tell(new Event('breakpoint', { reason: removed ? 'removed' : 'changed', breakpoint }));
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
}

const octal = (code: string | undefined) => Number.parseInt(code ?? '0', 8);
const hexadecimal = (value: string) => `0x${BigInt.asUintN(64, BigInt(value)).toString(16)}`;

/** How the process ended, if that is why it stopped. */
function exitOf({ reason, 'exit-code': code, 'signal-name': signal = '' }: Stopped): Exit | undefined {
  if (reason === 'exited-normally') return { exit: 0, signal: null };
  if (reason === 'exited') return { exit: octal(code), signal: null };
  if (reason !== 'exited-signalled') return undefined;
  return { exit: 128 + (constants.signals[signal as NodeJS.Signals] ?? 0), signal };
}
