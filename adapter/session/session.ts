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
import { basename, dirname, isAbsolute, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Event, ExitedEvent, OutputEvent, TerminatedEvent } from '@vscode/debugadapter';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { asGodwitError, type GodwitError } from '../../agent/api/errors';
import type { Exit, Job, LaunchRequest, MoveReport } from '../../agent/api/model';
import { findSocket } from '../../agent/client/agent-socket';
import { inheritance } from '../../agent/client/launcher';
import {
  AttachArguments,
  LaunchArguments,
  MigrateArguments,
  parseArguments,
} from '../configuration/arguments';
import { environment } from '../configuration/environment';
import { unknownKeys } from '../configuration/unknown-keys';
import { gdbGone, jobLost, lineGone, notDebugging } from '../errors';
import { quoted } from '../gdb/quoting';
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
/** Of a terminal, until the editor says what it has. */
const USUAL_SIZE = { rows: 24, columns: 80 };
/** For an editor to begin a child's session: the child's stub waits no longer. */
const CHILD_MS = 60_000;
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

/** What its program does when the session begins: run on, to main, or stay where it is. */
type Beginning = 'run' | 'main' | 'here';

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
  private begun: Promise<void> | undefined;
  /** `terminated` has been told: nothing may follow. */
  private over = false;

  constructor(private readonly options: SessionOptions) {
    super();
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
      const link = await AgentLink.open(findSocket(wanted.agent), this.options.patienceMs);
      const job = await orClose(link, link.call('jobs.run', launchRequest(wanted)));
      this.launched = true;
      await this.open(link, job, {}, wanted);
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
      await this.open(link, job, { pid, session: child?.session }, opening);
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

  private async open(
    link: AgentLink,
    job: Job,
    process: { pid?: number | undefined; session?: string | undefined },
    wanted: Opening,
  ): Promise<void> {
    try {
      this.debuggee = await Debuggee.open(link, job, process, this.listener);
    } catch (error) {
      if (this.launched) await killQuietly(link, job);
      link.close();
      throw error;
    }
    const { id, name, node } = job;
    this.tell(new Event('godwit.job', { id, name, node }));
    this.say(`Job ${id} (${name}) on ${node}.`);
    const { gdb, console, setupCommands, sourceFileMap } = wanted;
    const before = [...setupCommands, ...substitutions(sourceFileMap)];
    await this.connectGdb(await this.debuggee.listen(), { gdb, cwd: '/', sysroot: '/', before });
    if (wanted.followChildren) await this.followChildren(link.socket, wanted);
    if (console === 'debugConsole') this.debuggee.follow(this.options.patienceMs);
  }

  /** Those that gdb lets go from now on. */
  private async followChildren(agent: string, { console: _, ...wanted }: Opening): Promise<void> {
    this.handedDown = { agent, ...wanted };
    this.forkTold = this.canStartDebugging && (await this.python.ask('follow_children', {}));
    if (this.forkTold) return;
    const why = this.canStartDebugging
      ? "the job's node has a version of Godwit that can't"
      : 'this editor begins no sessions that a debugger asks for';
    this.say(`Children are not followed: ${why}.`, 'important');
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
      response.body = await this.debuggee.migrate(node);
      this.sendResponse(response);
    } catch (error) {
      this.refuse(response, error);
    }
  }

  private readonly listener: DebuggeeListener = {
    say: (text) => this.sayOf(text),
    output: (text) => this.output(text),
    moving: (move) => this.tellMove('godwit.moving', move),
    moved: (move, report) => this.moved(move, report),
    aborted: ({ from, to }, reason) => this.sayOf(`Not moved ${from} → ${to}: ${reason}`),
    child: (child) => this.child(child),
    lost: (reason) => this.endWith({ failure: jobLost(this.debuggee!.job.id, reason) }),
    ended: (exit) => void sleep(LAST_WORD_MS).then(() => this.endWith({ exit })),
    lineClosed: (why) => void this.lineClosed(why),
    agentGone: (failure) => this.endWith({ failure }),
  };

  /** It stands before its first instruction, and waits for a session of its own. */
  private child(child: Child): void {
    const { pid, session, program = '', why = '' } = child;
    const { debuggee } = this;
    if (!debuggee || this.ending) return;
    if (session === undefined) return this.sayOf(`Process ${pid}, a child, is not debugged: ${why}.`);
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
          `Process ${pid}, a child, is not debugged: the editor began no session for it: ${message}`,
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
    this.endWith({ exit });
  }

  protected override gdbEnded(how: string): void {
    if (this.debuggee) this.endWith({ failure: gdbGone(how, this.debuggee.job.id) });
  }

  private async lineClosed(why: GodwitError | undefined): Promise<void> {
    // The stub closes it too when the program has ended: then gdb says how.
    await sleep(LAST_WORD_MS);
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
    if (!debuggee) return;
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

function launchRequest(wanted: LaunchArguments): LaunchRequest {
  const { program, args, cwd, env, node, jobName, cpus, memory, processes, allowIoUring, hostname } = wanted;
  const folder = cwd ?? (isAbsolute(program) ? dirname(program) : process.cwd());
  return {
    program: program.includes('/') ? resolve(folder, program) : program,
    args,
    cwd: folder,
    env: environment(env, wanted.envFile),
    node,
    stopped: true,
    limits: { cpus, memory, processes },
    allowIoUring,
    ...(wanted.console === 'terminal' ? { tty: USUAL_SIZE } : {}),
    ...inheritance(),
    ...(jobName === undefined ? {} : { name: jobName }),
    ...(hostname === undefined ? {} : { hostname }),
  };
}

/** Folders that the program was built in, and where their files are now. */
const substitutions = (map: LaunchArguments['sourceFileMap']) =>
  Object.entries(map).map(([from, to]) => ({
    text: `-gdb-set substitute-path ${quoted(from)} ${quoted(to)}`,
  }));
