/**
 * A debug session on a job: launches it or attaches to it, follows it wherever it goes, and always comes to an end.
 *
 * What the protocol asks of one object is in layers, each a subject; a layer knows those below it, and is asked by them
 * only where it overrides. From the bottom:
 *
 * - cdt-gdb-adapter's session: the framing of requests, MI, when the program is stopped for what the client wants
 * - `TellingSession`: what the client gets: messages, what is of use in gdb's output, refusals, what has changed
 * - `GdbSession`: gdb is looked for, started, given its Python and the line, and ended
 * - `StopSession`: why the program has stopped, steps, threads
 * - `ValuesSession`: frames, variables, expressions, memory
 * - `BreakpointSession`: breakpoints of all kinds; the program goes on only when they are set
 * - `ExceptionSession`: what else a program stops for, and what it was
 * - `NavigationSession`: places: where to stop, go, step into; what is loaded; what to type
 * - `GodwitSession`, here: the job. No layer below knows of jobs, nodes or moves.
 */
import { basename, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Event, ExitedEvent, OutputEvent, TerminatedEvent } from '@vscode/debugadapter';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { asGodwitError, type GodwitError } from '../../agent/api/errors';
import type { Exit, Job, MoveReport } from '../../agent/api/model';
import { findSocket } from '../../agent/client/agent-socket';
import {
  AttachArguments,
  LaunchArguments,
  MigrateArguments,
  parseArguments,
} from '../configuration/arguments';
import { before, launchRequest, programOf } from '../configuration/launching';
import { unknownKeys } from '../configuration/unknown-keys';
import { gdbGone, jobLost, lineGone, notDebugging, notRestartable, wontEnd } from '../errors';
import { wish } from '../gdb/given-up';
import { AgentLink } from '../job/agent-link';
import type { Child } from '../job/children';
import { Debuggee, type DebuggeeListener } from '../job/debuggee';
import type { MoveTold } from '../job/moves';
import { NavigationSession } from './navigation-session';

/** When the job is said to have ended, gdb is about to say so too, with the same; it has this long. */
const LAST_WORD_MS = 2_000;
/** A job that was killed has ended when its processes are reaped. */
const KILL_MS = 10_000;
/** For SIGTERM to reach it. */
const TERMINATE_MS = 5_000;
/** For an editor to begin a child's session: the child's stub waits no longer. */
const CHILD_MS = 60_000;
/** For an editor to open a terminal. */
const TERMINAL_MS = 60_000;
/** Beside the bundle. */
const COMMAND = join(__dirname, 'godwit.cjs');
/** DAP wants a code with each `exited`: this one where the program's own is not known, or it runs on. */
const UNKNOWN_EXIT = -1;

export interface SessionOptions {
  /** Milliseconds that the agent may be away. */
  patienceMs: number;
  /** Resolves when the client can take more events. */
  drained: () => Promise<void>;
}

type Opening = Pick<
  LaunchArguments,
  'gdb' | 'console' | 'setupCommands' | 'sourceFileMap' | 'followChildren' | 'stopInChildren'
>;

/** What its program does when the session begins: run on, to main, stay where it is, or nothing any more. */
type Beginning = 'run' | 'main' | 'here' | 'ended';

/** Why a session comes to its end. */
type End =
  /** The process that is debugged has ended. */
  | { exit: Exit }
  /** The program may run on, out of sight. */
  | { failure: GodwitError }
  /** The client wants it. */
  | { kill: boolean };

export class GodwitSession extends NavigationSession {
  private debuggee: Debuggee | undefined;
  /** It was launched by this session, and goes with it. */
  private launched = false;
  private beginning: Beginning = 'run';
  /** What children's sessions have in common with this one. */
  private handedDown: object = {};
  private ending: Promise<void> | undefined;
  /** What it was launched with last. */
  private launching: object = {};
  /** How many jobs there have been: what is said of an earlier one is not heard. */
  private jobs = 0;
  /** The program is being ended to begin anew: called when gdb has seen its end. */
  private endAwaited: (() => void) | undefined;
  private begun: Promise<void> | undefined;
  /** `terminated` has been told: nothing may follow. */
  private over = false;

  constructor(private readonly options: SessionOptions) {
    super();
  }

  protected override capabilities(): DebugProtocol.Capabilities {
    return { ...super.capabilities(), supportsRestartRequest: true };
  }

  // ---- Beginning

  protected override launchRequest(
    response: DebugProtocol.LaunchResponse,
    args: DebugProtocol.LaunchRequestArguments,
  ): Promise<void> {
    return this.begin(response, async () => {
      const wanted = parseArguments(LaunchArguments, 'launch', args);
      this.nameUnknown(LaunchArguments, args);
      await this.checkGdb(wanted.gdb);
      if (wanted.coreFile !== undefined) return this.openCore(wanted, wanted.coreFile);
      this.launching = args;
      const socket = await this.enter(...(await this.run(wanted)), {}, wanted);
      await this.connectGdb(socket, { gdb: wanted.gdb, cwd: '/', sysroot: '/', before: before(wanted) });
      await this.connected(wanted);
      if (wanted.stopAtEntry) this.beginning = 'main';
    });
  }

  protected override attachRequest(
    response: DebugProtocol.AttachResponse,
    args: DebugProtocol.AttachRequestArguments,
  ): Promise<void> {
    return this.begin(response, async () => {
      const wanted = parseArguments(AttachArguments, 'attach', args);
      this.nameUnknown(AttachArguments, args);
      await this.checkGdb(wanted.gdb);
      const link = await AgentLink.open(findSocket(wanted.agent), this.options.patienceMs);
      const { process: pid, __child: child } = wanted;
      const job = await orClose(link, findJob(link, wanted.job));
      // What the job prints is shown by its program's session.
      const opening = child ? { ...wanted, console: 'panel' as const } : wanted;
      const socket = await this.enter(link, job, { pid, session: child?.session }, opening);
      await this.connectGdb(socket, { gdb: wanted.gdb, cwd: '/', sysroot: '/', before: before(wanted) });
      await this.connected(opening);
      // Its configuration is not one that a program could be launched with anew.
      this.tell(new Event('capabilities', { capabilities: { supportsRestartRequest: false } }));
      if (child && wanted.stopInChildren) this.beginning = child.program ? 'main' : 'here';
    });
  }

  /** What would else be ignored in silence. */
  private nameUnknown(schema: typeof LaunchArguments | typeof AttachArguments, args: object): void {
    for (const text of unknownKeys(Object.keys(schema.shape), args)) this.say(text, 'important');
  }

  private async begin(response: DebugProtocol.Response, work: () => Promise<void>): Promise<void> {
    try {
      this.begun = work().catch(async (error) => {
        await this.abandon();
        throw error;
      });
      await this.begun;
      if (this.ending) return this.sendResponse(response);
      this.sendInitializedEvent();
      this.sendResponse(response);
    } catch (error) {
      this.refuse(response, error);
    }
  }

  private async run(wanted: LaunchArguments): Promise<[AgentLink, Job]> {
    const link = await AgentLink.open(findSocket(wanted.agent), this.options.patienceMs);
    const job = await orClose(link, link.call('jobs.run', launchRequest(wanted)));
    this.launched = true;
    return [link, job];
  }

  /** The job is this session's from here on; returns where gdb finds it. */
  private async enter(
    link: AgentLink,
    job: Job,
    process: { pid?: number | undefined; session?: string | undefined },
    { followChildren: _follow, console: _console, ...common }: Opening,
  ): Promise<string> {
    try {
      this.debuggee = await Debuggee.open(link, job, process, this.listening());
    } catch (error) {
      if (this.launched) await killQuietly(link, job);
      link.close();
      throw error;
    }
    const { id, name, node } = job;
    this.tell(new Event('godwit.job', { id, name, node }));
    this.say(`Job ${id} (${name}) on ${node}.`);
    this.handedDown = { agent: link.socket, followChildren: true, ...common };
    return this.debuggee.listen();
  }

  /** gdb is there, and the program stands. */
  private async connected({ console, followChildren }: Opening): Promise<void> {
    if (followChildren) await this.followChildren();
    if (console === 'debugConsole') this.debuggee!.follow(this.options.patienceMs);
    if (console === 'integratedTerminal' || console === 'externalTerminal') this.openTerminal(console);
  }

  /** The editor runs the command that shows the job's terminal and types into it. */
  private openTerminal(kind: 'integratedTerminal' | 'externalTerminal'): void {
    const { job, socket } = this.debuggee!;
    const none = (why: string) =>
      this.say(`The editor opened no terminal: ${why}. \`godwit attach ${job.id}\` shows it.`, 'important');
    if (!this.supportsRunInTerminalRequest) {
      none('it opens none for a debugger');
      return;
    }
    const terminal = {
      kind: kind === 'integratedTerminal' ? ('integrated' as const) : ('external' as const),
      title: job.name,
      cwd: '/',
      args: [process.execPath, COMMAND, 'attach', job.id, '--agent', socket],
      // The adapter's own program may be the editor's.
      env: { ELECTRON_RUN_AS_NODE: '1' },
    };
    this.runInTerminalRequest(terminal, TERMINAL_MS, ({ success, message }) => {
      if (!success) none(message ?? 'it does not say why');
    });
  }

  /** Those that gdb lets go from now on. */
  private async followChildren(): Promise<void> {
    this.forkTold = this.canStartDebugging && (await this.python.ask('follow_children', {}));
    if (this.forkTold) return;
    const why = this.canStartDebugging
      ? "the job's node has a version of Godwit that can't"
      : 'this editor begins no sessions that a debugger asks for';
    this.say(`Children are not followed: ${why}.`, 'important');
  }

  // ---- A program that has ended already

  private async openCore(wanted: LaunchArguments, core: string): Promise<void> {
    const { gdb } = wanted;
    const [program, file] = [programOf(wanted), resolve(wanted.cwd ?? '/', core)];
    await this.connectCore({ program, core: file }, { gdb, cwd: '/', sysroot: '/', before: before(wanted) });
    this.beginning = 'ended';
    this.tell(new Event('capabilities', { capabilities: { supportsRestartRequest: false } }));
  }

  private async leaveCore(): Promise<void> {
    if (this.beginning !== 'ended' || this.over) return;
    this.over = true;
    await this.endGdb();
    this.tell(new TerminatedEvent());
  }

  /** It could not begin: what was started already is ended. */
  private async abandon(): Promise<void> {
    await this.endGdb();
    // It has ended for good when its debugger lets it go, with the line.
    if (this.launched) await this.debuggee?.kill().catch(() => {});
    await this.debuggee?.close();
    this.debuggee = undefined;
  }

  protected override async configurationDoneRequest(
    response: DebugProtocol.ConfigurationDoneResponse,
    args: DebugProtocol.ConfigurationDoneArguments,
  ): Promise<void> {
    const { beginning } = this;
    if (beginning === 'run' || (beginning === 'main' && (await this.stopAtEntry())))
      return super.configurationDoneRequest(response, args);
    if (beginning === 'ended') return this.showEnd(response);
    if (beginning === 'main')
      this.say('gdb knows no main of the program: it is stopped before its first instruction.', 'important');
    this.stayAtStart(response);
  }

  // ---- Meanwhile

  protected override customRequest(command: string, response: DebugProtocol.Response, args: unknown): void {
    if (command === 'godwit.migrate') void this.migrateRequest(response, args);
    else super.customRequest(command, response, args);
  }

  private async migrateRequest(response: DebugProtocol.Response, args: unknown): Promise<void> {
    try {
      const { node } = parseArguments(MigrateArguments, 'godwit.migrate', args);
      if (!this.debuggee || this.ending) throw notDebugging();
      response.body = await this.debuggee.migrate(node, wish());
      this.sendResponse(response);
    } catch (error) {
      this.refuse(response, error);
    }
  }

  // ---- Anew

  protected override async restartRequest(
    response: DebugProtocol.RestartResponse,
    args: DebugProtocol.RestartArguments | undefined,
  ): Promise<void> {
    const { debuggee } = this;
    let isOver = false;
    try {
      if (!this.launched || !debuggee || this.ending || this.endAwaited) throw notRestartable();
      // An editor hands over the configuration as it is by now.
      const given = { ...this.launching, ...args?.arguments };
      const wanted = parseArguments(LaunchArguments, 'launch', given);
      this.launching = given;
      isOver = true;
      await this.endToBeginAnew(debuggee);
      await this.beginAnew(wanted);
      this.sendResponse(response);
    } catch (error) {
      // There is no program to go back to.
      if (isOver) await this.debuggee?.kill().catch(() => {});
      if (isOver) this.endWith({ failure: asGodwitError(error) });
      this.refuse(response, error);
    }
  }

  /** gdb has no program afterwards, and has kept its breakpoints. */
  private async endToBeginAnew(debuggee: Debuggee): Promise<void> {
    const seen = new Promise<void>((resolve) => {
      this.endAwaited = resolve;
    });
    const ran = this.isRunning;
    this.jobs++;
    const exit = await this.kill(debuggee);
    // gdb says of one that ran how it ended.
    if (ran) await Promise.race([seen, sleep(LAST_WORD_MS, undefined, { ref: false })]);
    this.endAwaited = undefined;
    if (!exit) throw wontEnd(debuggee.job.id);
    await debuggee.consoleShown();
    await debuggee.close();
  }

  private async beginAnew(wanted: LaunchArguments): Promise<void> {
    const socket = await this.enter(...(await this.run(wanted)), {}, wanted);
    await this.connectAnew(socket);
    await this.connected(wanted);
    await this.breakpointsAnew();
    await this.goFromStart(wanted.stopAtEntry);
  }

  /** What is said of the job that there is now. What an earlier one has printed is shown to its end. */
  private listening(): DebuggeeListener {
    const job = ++this.jobs;
    const heard = Object.entries(this.listener).map(([what, tell]) => [
      what,
      (...said: never[]) =>
        this.jobs === job || what === 'output' ? (tell as (...said: never[]) => unknown)(...said) : undefined,
    ]);
    return Object.fromEntries(heard);
  }

  private readonly listener: DebuggeeListener = {
    say: (text) => this.sayOf(text),
    output: (text) => this.output(text),
    moving: (move) => this.tellMove('godwit.moving', move),
    moved: (move, report) => this.moved(move, report),
    aborted: ({ from, to }, reason) => this.sayOf(`Not moved ${from} → ${to}: ${reason}`),
    child: (child) => this.child(child),
    lost: (reason) => this.endWith({ failure: jobLost(this.debuggee!.job.id, reason) }),
    ended: (exit) => this.afterLastWord(() => this.endWith({ exit })),
    lineClosed: (why) => this.afterLastWord(() => this.lineClosed(why)),
    agentGone: (failure) => this.endWith({ failure }),
  };

  /** It stands before its first instruction, and waits for a session of its own. */
  private child(child: Child): void {
    const { pid, session, program = '', why = '' } = child;
    const { debuggee } = this;
    if (!debuggee || this.ending) return;
    if (session === undefined) {
      this.sayOf(`Process ${pid}, a child, is not debugged: ${why}.`);
      return;
    }
    const configuration = {
      ...this.handedDown,
      type: 'godwit',
      name: `${program ? basename(program) : debuggee.job.name}: process ${pid}`,
      ...{ job: debuggee.job.id, process: pid, __child: { session, program } },
    };
    this.sendRequest(
      'startDebugging',
      { request: 'attach', configuration },
      CHILD_MS,
      ({ success, message }) => {
        // One that is only late may still come, until the stub has waited long enough.
        if (success || message === 'timeout') return;
        this.sayOf(
          `Process ${pid}, a child, is not debugged: the editor began no session for it: ${message ?? 'it does not say why'}`,
        );
        debuggee.letGo(child).catch((error) => this.sayOf(asGodwitError(error).toLine()));
      },
    );
  }

  private moved(move: MoveTold, report: MoveReport | undefined): void {
    const { freezeMs = 0, totalMs = 0 } = report ?? {};
    this.tellMove('godwit.moved', { ...move, freezeMs, totalMs });
    const frozen = report ? `, frozen ${Math.round(freezeMs)} ms` : '';
    this.sayOf(`Moved ${move.from} → ${move.to}${frozen}`);
  }

  private tellMove(event: string, move: MoveTold & { freezeMs?: number; totalMs?: number }): void {
    if (!this.ending) this.tell(new Event(event, { job: this.debuggee?.job.id, ...move }));
  }

  /** In the debug console alone: the editor shows a message where the move was asked for. */
  private sayOf(text: string): void {
    if (!this.ending) this.say(text);
  }

  private output(text: string): Promise<void> {
    if (text && !this.over) this.tell(new OutputEvent(text, 'stdout'));
    return this.options.drained();
  }

  // ---- The end

  protected override programEnded(exit: Exit): void {
    if (this.endAwaited) this.endAwaited();
    else this.endWith({ exit });
  }

  protected override gdbEnded(how: string): void {
    if (this.debuggee) this.endWith({ failure: gdbGone(how, this.debuggee.job.id) });
  }

  /** gdb is about to say how the program has ended, if that is why. */
  private afterLastWord(work: () => unknown): void {
    const job = this.jobs;
    void sleep(LAST_WORD_MS).then(() => (this.jobs === job ? work() : undefined));
  }

  private async lineClosed(why: GodwitError | undefined): Promise<void> {
    if (this.ending || !this.debuggee) return;
    const exit = await this.debuggee.exit(LAST_WORD_MS);
    if (exit) this.endWith({ exit });
    else this.endWith({ failure: lineGone(why?.message ?? 'it was detached', this.debuggee.job.id) });
  }

  protected override async disconnectRequest(
    response: DebugProtocol.DisconnectResponse,
    args: DebugProtocol.DisconnectArguments | undefined,
  ): Promise<void> {
    await this.leave(response, args?.terminateDebuggee ?? this.launched);
  }

  /** The first request asks it to end; a second one, or a disconnect, has it killed. */
  protected override async terminateRequest(response: DebugProtocol.TerminateResponse): Promise<void> {
    if (this.terminating || !this.debuggee || this.ending) return this.leave(response, true);
    this.terminating = true;
    const { debuggee } = this;
    const asking = async () => {
      await debuggee.terminate();
      // One that is stopped is continued for it.
      if (!this.isRunning) await this.gdb.sendCommand('-exec-continue');
      return true;
    };
    const asked = asking().catch(() => false);
    // One that can't be asked, as when its node is down, is not waited for.
    if (await Promise.race([asked, sleep(TERMINATE_MS, false, { ref: false })])) this.sendResponse(response);
    else await this.leave(response, true);
  }

  private async leave(response: DebugProtocol.Response, kill: boolean): Promise<void> {
    try {
      await this.end({ kill });
      this.sendResponse(response);
    } catch (error) {
      this.refuse(response, error);
    }
  }

  /** The client has gone, or this process is to end. */
  override shutdown(): void {
    void this.end({ kill: this.launched })
      .catch(() => {})
      .finally(() => process.exit(0));
  }

  private endWith(why: End): void {
    this.end(why).catch((error) => this.say(asGodwitError(error).toLine(), 'stderr'));
  }

  /** The first cause ends the session; all later ones wait for the same end. */
  private end(why: End): Promise<void> {
    this.ending ??= this.finish(why);
    return this.ending;
  }

  /** @throws GodwitError where the job was to be ended and could not be; all else is done all the same */
  private async finish(why: End): Promise<void> {
    await this.begun?.catch(() => {});
    const { debuggee } = this;
    if (!debuggee) return this.leaveCore();
    let exit = 'exit' in why ? why.exit : undefined;
    let failure = 'failure' in why ? why.failure : undefined;
    if ('kill' in why && why.kill) {
      exit = await this.kill(debuggee).catch((error) => {
        failure = asGodwitError(error);
        return undefined;
      });
    }
    await this.endGdb();
    if (failure) this.say(failure.toLine(), 'stderr');
    if (exit?.signal && !('kill' in why)) this.say(`The program was ended by ${exit.signal}.`, 'important');
    if (exit && !debuggee.process) await debuggee.consoleShown();
    this.over = true;
    const detached = 'kill' in why && !why.kill;
    if (!detached) this.tell(new ExitedEvent(exit?.exit ?? UNKNOWN_EXIT));
    this.tell(new TerminatedEvent());
    await debuggee.close();
    if (failure && 'kill' in why) throw failure;
  }

  private async kill(debuggee: Debuggee): Promise<Exit | undefined> {
    await this.killStopped();
    await debuggee.kill();
    return debuggee.exit(KILL_MS);
  }
}

/** The connection is of no use without what is asked. */
const orClose = <T>(link: AgentLink, asked: Promise<T>): Promise<T> =>
  asked.catch((error) => {
    link.close();
    throw error;
  });

const killQuietly = (link: AgentLink, { id }: Job) =>
  link.call('jobs.kill', { job: id, signal: 'SIGKILL' }).catch(() => {});

/** @throws GodwitError `no-such-job`, `ambiguous-job` */
const findJob = (link: AgentLink, reference: string): Promise<Job> =>
  link.call('jobs.show', { job: reference });
