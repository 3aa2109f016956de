/**
 * The inferior, as gdb calls it: the debugged process beside its gdbserver, made to run and to stop. What the client
 * knows of it is `memory`; what the client is to be sent comes as events.
 */
import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { GodwitError } from '../../api/errors';
import type { Exit } from '../../api/model';
import type { SerialQueue } from '../../machine/serial-queue';
import type { Gdbserver } from '../attach/gdbserver';
import { withSiginfo, writeSiginfo } from '../attach/inspect';
import { drainStopSignals, isStopSignal, STOP_SIGNAL } from '../attach/park';
import { isAlive, isOurStopQueued, isStopQueued } from '../attach/threads';
import type { Target } from '../attach/unpark';
import { parseStopReply, replaceSignal, threadOfStop } from '../rsp/packets';
import type { Symbols } from '../rsp/symbols';
import { exitReply } from '../state/exit-reply';
import { comesAgain, isForkEvent, passesStopSignal, sameAgain, stopReported } from '../state/memory';
import type { Memory, ParkedStub, Stop, ThreadRegisters } from '../state/parked';
import { withMore } from '../state/pending';
import { withSignals } from '../state/resume';
import { type ChildTold, isAbout, runningAlong, unseenMet } from './children';
import { endProcess, type GdbserverLoss, lossOf } from './loss';
import { JobFiles } from './vfile';

/** Milliseconds in which gdbserver reports a stop, even with hundreds of threads. */
const STOP_AGAIN = 500;
/** gdb's number of SIGINT. */
const INTERRUPT_SIGNAL = 2;

export interface Hooks {
  /** Freezes and thaws the job's `run` cgroup; used to leave a process when its client has gone. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** How the process ended, when it has. */
  exitStatus(): Promise<Exit>;
  /** As children.ts has it. */
  keepChild(child: number, letGo: () => Promise<void>): Promise<string>;
}

interface InferiorOptions {
  server: Gdbserver;
  hooks: Hooks;
  /** Replies of gdbserver that come by themselves take their turn among what is asked of it. */
  queue: SerialQueue;
  /** Is there a client that will deal with a fork event? */
  attended: () => boolean;
}

interface InferiorEvents {
  /** A stop to report to the client. */
  stopped: [reply: string];
  /** It met a SIGSTOP of ours that is no longer waited for. */
  caught: [];
  /** A run is over, and what came of it dealt with. */
  arrived: [];
  /** A child was let go. */
  child: [told: ChildTold];
  /** It has ended, as gdbserver reported. */
  ended: [];
  /** gdbserver has exited without being asked to. `processAlive`: at that moment; `lost` follows, once it is sure. */
  gdbserverExited: [processAlive: boolean];
  /** The process has no debugger any more: what came of it after `gdbserverExited`. */
  lost: [loss: GdbserverLoss];
}

/** A resume that gdbserver has not answered yet. `taken`: the stop is waited for elsewhere than usual. */
interface Run {
  reply: Promise<string>;
  taken: boolean;
}

export const debuggerGone = (pid: number) =>
  new GodwitError({ code: 'debugger-gone', message: `no debugger holds process ${pid} any more` });

const willNotStop = (pid: number, limit: number) =>
  new GodwitError({
    code: 'debugger-will-not-stop',
    message: `process ${pid} did not stop for its debugger within ${Math.round(limit)} ms`,
    fix: 'it may wait in the kernel, e.g. for a vforked child or a dead file server; try again',
  });

export class Inferior extends EventEmitter<InferiorEvents> {
  readonly hooks: Hooks;
  /** Registers of every thread, as they were when it was last brought to a standstill. */
  registers: ThreadRegisters[];
  /** gdbserver is in the middle of asking the client for symbols. */
  lookingUp = false;
  /** What the client has told before it is asked. */
  symbols: Symbols = new Map();
  /** As many as there were when they were counted last. */
  threads = 1;
  /** The threads, as the client is reading them window by window. */
  threadList: string | null = null;
  readonly #target: Target;
  readonly #queue: SerialQueue;
  readonly #attended: () => boolean;
  #memory: Memory;
  #files: JobFiles;
  #server: Gdbserver | null;
  #run: Run | null = null;
  /** This gdbserver has reported a stop. */
  #met = false;
  /** A SIGSTOP of ours has been sent and not seen. */
  #stopOwed = false;
  /** A vforked child that the client believes to be gone (children.ts). */
  #unseen: number | null = null;

  constructor(target: Target, parked: ParkedStub, { server, hooks, queue, attended }: InferiorOptions) {
    super();
    this.hooks = hooks;
    this.registers = parked.registers;
    this.#target = { ...target };
    this.#queue = queue;
    this.#attended = attended;
    this.#memory = structuredClone(parked.memory);
    this.#files = this.#openFiles();
    this.#server = server;
    void server.closed.then(() => queue.take(() => this.#lose(server)));
  }

  /** As it is numbered inside the job; another one after the client has followed a fork's child. */
  get pid(): number {
    return this.#memory.pid;
  }

  /** As this node numbers it. */
  get nodePid(): number {
    return this.#target.pid;
  }

  get memory(): Memory {
    return this.#memory;
  }

  get files(): JobFiles {
    return this.#files;
  }

  /** null once it has no debugger any more. */
  get server(): Gdbserver | null {
    return this.#server;
  }

  /** Does gdbserver let it run? The client may think so of one that is stopped, e.g. between park and unpark. */
  get runs(): boolean {
    return this.#run !== null;
  }

  /** @throws debugger-gone */
  requireServer(): Gdbserver {
    if (!this.#server) throw debuggerGone(this.pid);
    return this.#server;
  }

  note(change: Partial<Memory>): void {
    this.#memory = { ...this.#memory, ...change };
  }

  /** Keeps stops that are to be reported to the client later. */
  keep(stops: Stop[]): void {
    this.note({ pending: withMore(this.#memory.pending, stops) });
  }

  /** Reports a stop to the client. */
  report(stop: Stop): void {
    this.#memory = stopReported(this.#memory, stop);
    this.emit('stopped', stop.reply);
  }

  /** Reports a stop that was kept: its thread is selected from then on. */
  async deliver(stop: Stop): Promise<void> {
    const thread = threadOfStop(stop.reply);
    if (thread !== undefined) await this.#server?.ask(`Hg${thread}`);
    this.report(stop);
  }

  /** The client has let the parent go, and this child of it is debugged from now on. */
  follow(nodePid: number, pid: number): void {
    this.#target.pid = nodePid;
    this.note({ pid, event: null, children: this.#memory.children.filter((child) => child !== pid) });
    this.#files.close();
    this.#files = this.#openFiles();
  }

  /** A process that gdbserver holds and the client does not know of. */
  get unseen(): number | null {
    return this.#unseen;
  }

  holdUnseen(child: number): void {
    this.#unseen = child;
  }

  /** gdbserver's exit is expected from here on. */
  forgetServer(): void {
    this.#server = null;
  }

  /** Nothing is expected of it any more. */
  close(): void {
    this.#run = null;
    this.#files.close();
  }

  #openFiles(): JobFiles {
    const { tools, owner, init } = this.#target;
    return new JobFiles({ helper: tools.helper, owner, init }, this.#memory.files);
  }

  // ---- Running

  letRun(packet: string): void {
    const reply = this.requireServer().resume(runningAlong(this.#unseen, packet));
    const run: Run = { reply, taken: false };
    this.#run = run;
    const arrived = (reply: string) => this.#queue.take(() => (run.taken ? undefined : this.#arrived(reply)));
    // A failure is the end of gdbserver, which is dealt with where that is noticed.
    void run.reply.then(arrived, () => {}).then(() => this.emit('arrived'));
    if (this.#memory.interrupted) this.#sendStop();
  }

  /** Runs on as it last ran. */
  runOn(): void {
    this.letRun(sameAgain(this.#memory));
  }

  /** After a ptrace-stop: goes on with what its client knows it to do. */
  async goOn(): Promise<void> {
    const { running, pending, interrupted } = this.#memory;
    if (!running) return;
    const [first, ...rest] = pending;
    if (first) {
      this.note({ pending: rest });
      await this.deliver(first);
    } else if (interrupted) {
      const thread = this.registers[0]?.thread;
      const reply = thread === undefined ? 'S02' : `T02thread:${thread};`;
      await this.deliver({ reply, siginfo: null });
    } else this.runOn();
  }

  /** A stop that came too late for one try of a park waits for the next one; there is none any more. */
  goOnIfCaught(): void {
    if (this.#server && this.#memory.running && !this.#run) this.runOn();
  }

  async #arrived(reply: string): Promise<void> {
    this.#run = null;
    if (await this.#dealtWithUnseen(reply)) return this.runOn();
    this.#met = true;
    if (isStopSignal(reply)) this.#metStopSignal(reply);
    else if (this.#isEnd(reply)) this.#exited(reply);
    else {
      if (this.#stopOwed) this.#stopOwed = isStopQueued(this.nodePid);
      this.report({ reply, siginfo: null });
    }
  }

  async #dealtWithUnseen(reply: string): Promise<boolean> {
    const child = this.#unseen;
    if (child === null || !isAbout(reply, child)) return false;
    this.#unseen = null;
    await unseenMet(reply, child, this, this.requireServer());
    return true;
  }

  #metStopSignal(reply: string): void {
    const ours = this.#stopOwed;
    this.#stopOwed = ours && isStopQueued(this.nodePid);
    if (this.#memory.interrupted)
      this.report({ reply: replaceSignal(reply, INTERRUPT_SIGNAL), siginfo: null });
    else if (ours) this.emit('caught');
    else if (passesStopSignal(this.#memory)) this.letRun(passingStop(reply, sameAgain(this.#memory)));
    else this.report({ reply, siginfo: null });
  }

  // ---- Stopping

  /** The client wants it stopped: it is at once, or as soon as it has run again. */
  interrupt(): void {
    if (!this.#memory.running) return;
    this.note({ interrupted: true });
    if (this.#run) this.#sendStop();
  }

  #sendStop(): void {
    if (this.#stopOwed) return;
    this.#stopOwed = true;
    this.#signalStop();
    if (this.#run) void this.#resendLostStop(this.#run);
  }

  #signalStop(): void {
    try {
      // For the process, not for one thread: any of them may be about to end, and gdbserver stops all when one has met it.
      process.kill(this.nodePid, 'SIGSTOP');
    } catch {
      // It has ended: gdbserver is about to say so.
    }
  }

  /**
   * A thread that gdbserver is about to stop by a SIGSTOP of its own may get ours first, and gdbserver takes it for its
   * own. So a SIGSTOP that is no longer queued and has not been reported is sent again.
   */
  async #resendLostStop(run: Run): Promise<void> {
    for (;;) {
      await sleep(STOP_AGAIN);
      if (this.#run !== run || !this.#stopOwed) return;
      if (!isOurStopQueued(this.nodePid)) this.#signalStop();
    }
  }

  /**
   * Stops it if it runs. false: a fork event was reported to the client, which must deal with it first. `until`: as Date.now().
   * @throws debugger-will-not-stop; debugger-gone: it has ended, as the client has been told
   */
  async halt(until: number): Promise<boolean> {
    const run = this.#run;
    if (!run) return true;
    this.#sendStop();
    const started = Date.now();
    const reply = await Promise.race([run.reply, sleep(Math.max(0, until - started), null)]);
    if (reply === null) throw willNotStop(this.pid, until - started);
    run.taken = true;
    this.#run = null;
    this.#stopOwed = isStopQueued(this.nodePid);
    if (isStopSignal(reply) || (await this.#dealtWithUnseen(reply))) return true;
    if (this.#isEnd(reply)) {
      this.#exited(reply);
      throw debuggerGone(this.pid);
    }
    if (isForkEvent(parseStopReply(reply)) && this.#attended()) {
      this.report({ reply, siginfo: null });
      return false;
    }
    this.keep([await withSiginfo(this.requireServer(), reply)]);
    return true;
  }

  /** No SIGSTOP is queued any more, which would stop the process for good. `registers`: as in park.ts. */
  async drainStopSignals(registers: ThreadRegisters[]): Promise<void> {
    const server = this.requireServer();
    this.#stopOwed = false;
    if (!isStopQueued(this.nodePid)) return;
    this.keep(await drainStopSignals(server, this.nodePid, registers));
    const { stop, running, pending } = this.#memory;
    for (const known of [...pending].reverse()) await writeSiginfo(server, known);
    if (stop && !running) await writeSiginfo(server, stop);
  }

  // ---- Ending

  /** Does the reply say that this very process has ended? */
  #isEnd(reply: string): boolean {
    const stop = parseStopReply(reply);
    if (stop?.kind !== 'exited' && stop?.kind !== 'signalled') return false;
    return stop.process === undefined || stop.process === this.pid;
  }

  #exited(reply: string): void {
    const server = this.#server;
    this.#server = null;
    this.report({ reply, siginfo: null });
    void server?.kill();
    this.emit('ended');
  }

  /**
   * The pc that the kernel has of a thread that met a breakpoint is one byte into the instruction. gdbserver turns it
   * back in its own cache, and writes that only when it resumes the thread: if it ends before, the pc stays wrong.
   */
  #hasStaleBreakpointPc(): boolean {
    const { running, stop } = this.#memory;
    return this.#met && !running && stop !== null && comesAgain(parseStopReply(stop.reply));
  }

  /** gdbserver has exited. With the process, or alone? */
  async #lose(server: Gdbserver): Promise<void> {
    if (this.#server !== server) return;
    this.#server = null;
    this.#run = null;
    this.emit('gdbserverExited', isAlive(this.nodePid));
    if (this.#hasStaleBreakpointPc()) endProcess(this.nodePid);
    const reply = async () => exitReply(this.#memory, await this.hooks.exitStatus());
    this.emit(
      'lost',
      await lossOf({ pid: this.pid, nodePid: this.nodePid, stderr: server.stderrTail }, reply),
    );
  }
}

/** The resume that lets a thread meet the SIGSTOP which another process has sent it. */
function passingStop(reply: string, resume: string): string {
  const thread = threadOfStop(reply);
  const owed = thread === undefined ? [] : [{ thread, signal: STOP_SIGNAL }];
  return withSignals(resume, owed).packet;
}
