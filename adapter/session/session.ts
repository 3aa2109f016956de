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
 * - `JobSession`: what is told of the job and its moves, its children, its terminal. No layer below knows of jobs
 * - `GodwitSession`, here: how it begins, begins anew and ends
 */
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Event, ExitedEvent, OutputEvent, TerminatedEvent } from '@vscode/debugadapter';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { asGodwitError } from '../../agent/api/errors';
import type { Exit, Job } from '../../agent/api/model';
import { findSocket } from '../../agent/client/agent-socket';
import { AttachArguments, ChildArguments, LaunchArguments, parseArguments } from '../configuration/arguments';
import { unknownKeys } from '../configuration/unknown-keys';
import { gdbGone, notRestartable, wontEnd } from '../errors';
import { AgentLink } from '../job/agent-link';
import { Debuggee } from '../job/debuggee';
import { type End, JobSession, LAST_WORD_MS, type Opening } from './job-session';
import { before, launchRequest, programOf } from './launching';

/** A job that was killed has ended when its processes are reaped. */
const KILL_MS = 10_000;
/** For SIGTERM to reach it. */
const TERMINATE_MS = 5_000;
/** DAP wants a code with each `exited`: this one where the program's own is not known, or it runs on. */
const UNKNOWN_EXIT = -1;

export interface SessionOptions {
  /** Milliseconds that the agent may be away. */
  patienceMs: number;
  /** Resolves when the client can take more events. */
  drained: () => Promise<void>;
}

/** What its program does when the session begins: run on, to main, stay where it is, or nothing any more. */
type Beginning = 'run' | 'main' | 'here' | 'ended';

export class GodwitSession extends JobSession {
  /** It was launched by this session, and goes with it. */
  private launched = false;
  private beginning: Beginning = 'run';
  private ending: Promise<void> | undefined;
  /** What it was launched with last. */
  private launching: object = {};
  private isRestarting = false;
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
      await this.findGdb(wanted.gdb);
      if (wanted.coreFile !== undefined) return this.openCore(wanted, wanted.coreFile);
      this.launching = args;
      const entered = this.run(wanted).then((there) => this.enter(...there, {}));
      await this.connect(entered, wanted);
      if (wanted.stopAtEntry) this.beginning = 'main';
    });
  }

  protected override attachRequest(
    response: DebugProtocol.AttachResponse,
    args: DebugProtocol.AttachRequestArguments,
  ): Promise<void> {
    return this.begin(response, async () => {
      const wanted = parseArguments(ChildArguments, 'attach', args);
      this.nameUnknown(AttachArguments, args);
      await this.findGdb(wanted.gdb);
      const link = await AgentLink.open(findSocket(wanted.agent), this.options.patienceMs);
      const { process: pid, __child: child } = wanted;
      const job = await orClose(link, findJob(link, wanted.job));
      // What the job prints is shown by its program's session.
      const opening = child ? { ...wanted, console: 'panel' as const } : wanted;
      await this.connect(this.enter(link, job, { pid, session: child?.session }), opening);
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
  ): Promise<[Debuggee, string]> {
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
    return [this.debuggee, await this.debuggee.listen()];
  }

  /** gdb starts while the job comes to stand: each takes some tenths of a second. */
  private async connect(entered: Promise<[Debuggee, string]>, wanted: Opening): Promise<void> {
    const gdb = this.beginGdb({ ...optionsOf(wanted), sysroot: '/' });
    // If one fails, what the other has made must be known, to be taken away.
    await Promise.allSettled([entered, gdb]);
    const [debuggee, socket] = await entered;
    await gdb;
    await this.connectGdb(socket);
    await this.connected(debuggee, wanted, this.options.patienceMs);
  }

  // ---- A program that has ended already

  private async openCore(wanted: LaunchArguments, core: string): Promise<void> {
    await this.beginGdb(optionsOf(wanted));
    await this.connectCore({ program: programOf(wanted), core: resolve(wanted.cwd ?? '/', core) });
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

  // ---- Anew

  protected override async restartRequest(
    response: DebugProtocol.RestartResponse,
    args: DebugProtocol.RestartArguments | undefined,
  ): Promise<void> {
    const { debuggee } = this;
    let isOver = false;
    try {
      if (!this.launched || !debuggee || this.ending || this.isRestarting) throw notRestartable();
      // An editor hands over the configuration as it is by now.
      const given = { ...this.launching, ...args?.arguments };
      const wanted = parseArguments(LaunchArguments, 'launch', given);
      this.launching = given;
      isOver = this.isRestarting = true;
      await this.endToBeginAnew(debuggee);
      await this.beginAnew(wanted);
      this.isRestarting = false;
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
    const [debuggee, socket] = await this.enter(...(await this.run(wanted)), {});
    await this.connectAnew(socket);
    await this.connected(debuggee, wanted, this.options.patienceMs);
    await this.breakpointsAnew();
    await this.goFromStart(wanted.stopAtEntry);
  }

  protected override get isEnding(): boolean {
    return this.ending !== undefined;
  }

  protected override output(text: string): Promise<void> {
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

  protected override endWith(why: End): void {
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

const optionsOf = (wanted: Opening) => ({ gdb: wanted.gdb, cwd: '/', before: before(wanted) });

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
