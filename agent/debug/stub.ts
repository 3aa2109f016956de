/**
 * The node's half of a debug connection. It answers the client, by the debug server beside the process or by itself,
 * and can leave the process and take it up again elsewhere without the client's knowing.
 *
 *     attached --stop--> held --release--> (a ParkedStub travels) --unpark--> held --go--> attached
 *                        held --unstop--> attached
 */
import { EventEmitter, once } from 'node:events';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { asGodwitError, GodwitError } from '../api/errors';
import type { Exit } from '../api/model';
import { unescapeBinary } from './codec';
import { exitReply } from './exit-reply';
import type { Gdbserver } from './gdbserver';
import {
  generalRegisters,
  giveSiginfo,
  insist,
  otherProcesses,
  putInBreakpoints,
  select,
  takeOutBreakpoints,
  threadNames,
  withSiginfo,
} from './inspect';
import {
  isBirth,
  isSignalList,
  passesStopSignal,
  programSignal,
  remember,
  resumed,
  told,
  withoutStopSignal,
} from './memory';
import { isResume, parseStopReply, replaceSignal, withoutSignal } from './packets';
import { atBirth, isStopSignal, letFall, settle } from './park';
import { MAX_WAITING, type Memory, type ParkedStub, type Stop } from './parked';
import { filterFeatures, refusalOf, withStopReasons } from './refusals';
import { letsRun, signalsOf, steppedThreads, steps, withSignals } from './resume';
import { type Message, refuse, Session } from './session';
import { childrenOf, isAlive, isStopQueued, threadsOf } from './threads';
import { Turns } from './turns';
import { attach, type Target } from './unpark';
import { JobFiles } from './vfile';

export { freshStub, ParkedStub } from './parked';
export type { Target } from './unpark';

/** Milliseconds for which a client that vanished without good-bye may come back. */
export const GRACE = 60_000;
/** Milliseconds for gdbserver to answer a client's request; thread-local storage lookups are the slowest. */
const CLIENT_LIMIT = 60_000;
/** Milliseconds to leave a process whose client has gone: as long as a vfork may reasonably take. */
const LEAVE_LIMIT = 30_000;
/** Milliseconds for a process to vanish after the gdbserver in its namespace has. */
const VANISH_LIMIT = 1_000;
const POLL = 20;
/** Among the packets that wait, the client's request to stop what they have let run. */
const INTERRUPT = '\x03';
/** gdb's number of SIGINT. */
const INTERRUPT_SIGNAL = 2;
/** siginfo_t of a finished single step: SIGTRAP with TRAP_TRACE (siginfo.h). */
const SIGTRAP = 5;
const TRAP_TRACE = 2;

export interface Hooks {
  /** Freezes and thaws the job's `run` cgroup; used to leave a process when its client has gone. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** How the process ended, when it has. */
  exitStatus(): Promise<Exit>;
}

export interface StubOptions {
  hooks: Hooks;
  /** Milliseconds; GRACE by default. */
  grace?: number;
}

interface StubEvents {
  /** The stub has nothing to do with the process any more: that ended, or was left. There is nothing to park. */
  ended: [reason: string];
  /** The session is over too. */
  closed: [];
  /** gdbserver ended by itself; `ended` and `closed` follow. */
  'lost-debugger': [why: GodwitError];
  client: [connected: boolean];
}

const willNotStop = (pid: number, limit: number) =>
  new GodwitError({
    code: 'debugger-will-not-stop',
    message: `process ${pid} did not stop for its debugger within ${Math.round(limit)} ms`,
    fix: 'it may wait in the kernel, e.g. for a vforked child or a dead file server; try again',
  });

const holdsSeveral = (children: number[]) =>
  new GodwitError({
    code: 'debugger-holds-several',
    message: `one debugger holds several processes of the job (also ${children.join(', ')})`,
    fix: 'detach it from all but one (in gdb: `set detach-on-fork on`), then move the job',
  });

const nothingHeld = (pid: number) =>
  new GodwitError({ code: 'debugger-gone', message: `no debugger holds process ${pid} any more` });

const isAway = (pid: number) =>
  new GodwitError({
    code: 'debugger-away',
    message: `the debugger of process ${pid} is on its way to another node`,
    fix: 'ask again where the job is then',
  });

/** A resume that gdbserver has not answered yet. `taken`: somebody else than the usual way waits for the stop. */
interface Run {
  reply: Promise<string>;
  taken: boolean;
}

export class Stub extends EventEmitter<StubEvents> {
  readonly session: string;
  readonly #session: Session;
  readonly #target: Target;
  readonly #hooks: Hooks;
  readonly #grace: number;
  readonly #turns = new Turns();
  readonly #changes = new EventEmitter<{ change: [] }>();
  #files: JobFiles;
  #memory: Memory;
  #registers: ParkedStub['registers'];
  #waiting: string[];
  #bye: boolean;
  #server: Gdbserver | null;
  #phase: 'attached' | 'held' | 'released' | 'ended' | 'closed' = 'held';
  #run: Run | null = null;
  /** A SIGSTOP of ours has been sent and not seen. */
  #stopOwed = false;
  /** A park waits for a moment in which the process can be stopped. */
  #parking = false;
  /** A packet of the client is being answered. */
  #serving = false;
  /** gdbserver is in the middle of asking the client for symbols. */
  #lookingUp = false;
  /** What the client was waiting for when gdbserver ended. */
  #unanswered: string | null = null;
  #graceTimer: NodeJS.Timeout | undefined;
  #ending: Promise<void> | undefined;

  /**
   * Precondition: the process is frozen in `target.run`, untraced. Then it is in ptrace-stop there, held until `go`.
   * On failure it is as it was before. @throws debugger-attach-failed, cannot-hold
   */
  static async unpark(target: Target, parked: ParkedStub, options: StubOptions): Promise<Stub> {
    const { server, refused } = await attach(target, parked);
    const stub = new Stub(target, parked, options, server);
    for (const breakpoint of refused) stub.#tell({ event: 'breakpoint-lost', breakpoint });
    return stub;
  }

  private constructor(
    target: Target,
    parked: ParkedStub,
    { hooks, grace = GRACE }: StubOptions,
    server: Gdbserver,
  ) {
    super();
    this.session = parked.session;
    this.#target = target;
    this.#hooks = hooks;
    this.#grace = grace;
    this.#server = server;
    this.#memory = structuredClone(parked.memory);
    this.#registers = parked.registers;
    this.#waiting = [...parked.waiting];
    this.#bye = parked.bye;
    this.#files = this.#filesOf(target);
    this.#session = new Session(parked.session, parked.link ?? undefined);
    this.#session.on('message', (message) => this.#take(message));
    this.#session.on('connected', () => this.#connected(true));
    this.#session.on('cut', () => this.#connected(false));
    this.#session.on('failed', () => void this.end());
    void server.closed.then(() => this.#turns.take(() => this.#lost(server)));
  }

  /** The process, as it is numbered inside the job; another one after the client has followed a fork's child. */
  get pid(): number {
    return this.#memory.pid;
  }

  get connected(): boolean {
    return this.#session.connected;
  }

  /** Does the process run, as the client knows it? */
  get running(): boolean {
    return this.#memory.running;
  }

  /** Joins the client's stream, in place of any before. */
  connect(stream: Duplex): void {
    if (this.#phase === 'released') refuse(stream, isAway(this.pid));
    else this.#session.attach(stream);
  }

  /** After the thaw: goes on with whatever it was doing. */
  go(): void {
    if (!this.#session.connected) this.#connected(false);
    void this.#turns
      .take(() => this.#goOn())
      .catch((error) => this.#fail(error))
      .then(() => (this.#bye ? this.end() : this.#pump()));
  }

  /**
   * Park, phase 1: brings the process to a stop, takes breakpoints out, remembers registers. The client's requests
   * wait from here on. `limit`: milliseconds. On failure all goes on as before.
   * @throws debugger-will-not-stop, debugger-at-fork, debugger-holds-several, debugger-gone
   */
  async stop(limit: number): Promise<void> {
    const until = Date.now() + limit;
    this.#parking = true;
    try {
      while (!(await this.#turns.take(() => this.#tryStop(until)))) {
        this.#pump();
        await this.#change(until - Date.now());
        if (Date.now() >= until) throw atBirth(this.#memory.event ? `a ${this.#memory.event}` : 'an event');
      }
    } finally {
      this.#parking = false;
      await this.#turns.take(() => this.#goOnIfCaught());
    }
  }

  /** Takes `stop` back, or a `release` that failed. Precondition: the job is thawed. */
  async unstop(): Promise<void> {
    await this.#turns.take(async () => {
      if (this.#phase !== 'held') return;
      await this.#backIn(this.#held());
      await this.#goOn();
    });
    if (this.#bye) await this.end();
    this.#pump();
  }

  /**
   * Park, phase 2. Precondition: stopped, and `run` frozen. Then the process is untraced and the stub is only a value.
   * @throws debugger-at-fork: a fork came to light, the process is held as before; `unstop` once it is thawed
   */
  release(): Promise<ParkedStub> {
    return this.#turns.take(async () => {
      if (this.#phase !== 'held') throw nothingHeld(this.pid);
      const { stops, birth } = await letFall(this.#held(), this.#target.pid, 'vCont;c');
      this.#memory = { ...this.#memory, pending: [...this.#memory.pending, ...stops] };
      if (birth) throw atBirth(`a ${birth}`);
      this.#server = null;
      this.#phase = 'released';
      this.#files.close();
      clearTimeout(this.#graceTimer);
      this.#session.detach();
      return {
        session: this.session,
        link: this.#session.state(),
        memory: this.#memory,
        registers: this.#registers,
        waiting: this.#waiting,
        bye: this.#bye,
      };
    });
  }

  /**
   * Leaves the process for good: breakpoints out, its signals delivered, it runs on. While the stub is held the
   * leaving waits for `go`, here or where it is unparked.
   */
  end(): Promise<void> {
    this.#bye = true;
    if (this.#phase !== 'attached' && this.#phase !== 'ended') return Promise.resolve();
    this.#ending ??= this.#finish();
    return this.#ending;
  }

  // ---- The client's side

  #take(message: Message): void {
    if (message.kind === 'packet') {
      if (message.payload === 'vCtrlC' && this.#memory.running) this.#takeInterrupt();
      else if (this.#waiting.length >= MAX_WAITING) void this.end();
      else this.#waiting.push(message.payload);
      this.#pump();
    } else if (message.kind === 'interrupt') this.#takeInterrupt();
    else if (message.kind === 'bye') void this.end();
  }

  /** It is for what was asked before it, which may have to wait. */
  #takeInterrupt(): void {
    if (this.#waiting.length === 0 && !this.#serving) this.#interrupt();
    else this.#waiting.push(INTERRUPT);
    this.#pump();
  }

  #pump(): void {
    void this.#turns.take(async () => {
      for (let [next] = this.#waiting; next !== undefined; [next] = this.#waiting) {
        if (next !== INTERRUPT && !this.#answers()) return;
        this.#waiting.shift();
        if (next === INTERRUPT) this.#interrupt();
        else await this.#serve(next);
      }
    });
  }

  #answers(): boolean {
    return this.#phase === 'ended' || (this.#phase === 'attached' && this.#run === null);
  }

  #reply(payload: string): void {
    this.#session.send({ kind: 'packet', payload });
  }

  #tell(event: Record<string, string>): void {
    this.#session.send({ kind: 'event', event });
  }

  /** The client hears of a stop. */
  #report(stop: Stop): void {
    this.#memory = told(this.#memory, stop);
    this.#reply(stop.reply);
    this.#changes.emit('change');
  }

  #connected(connected: boolean): void {
    clearTimeout(this.#graceTimer);
    // Until the process runs again for its client nobody waits for it: the time counts while the stub is attached.
    if (!connected && this.#phase !== 'released')
      this.#graceTimer = setTimeout(() => void this.end(), this.#grace).unref();
    this.emit('client', connected);
  }

  /** The client has heard of something or been answered; or the time (milliseconds) is over. */
  async #change(limit: number): Promise<void> {
    if (limit > 0)
      await once(this.#changes, 'change', { signal: AbortSignal.timeout(limit) }).catch(() => {});
  }

  async #serve(packet: string): Promise<void> {
    this.#serving = true;
    try {
      const answer = await this.#answerTo(packet);
      if (answer !== null) this.#reply(answer);
    } catch (error) {
      const why = asGodwitError(error);
      if (why.code === 'gdbserver-gone') this.#unanswered = packet;
      else this.#reply(sentence(why));
    }
    this.#serving = false;
    this.#changes.emit('change');
  }

  /** null where the answer comes later. */
  async #answerTo(packet: string): Promise<string | null> {
    const refusal = refusalOf(packet);
    if (refusal !== undefined) return refusal;
    if (packet.startsWith('vFile:')) return this.#files.answer(packet);
    if (packet === '?' && this.#memory.stop) return this.#memory.stop.reply;
    if (!this.#server) return this.#answerAlone(packet);
    if (packet === 'k' || packet.startsWith('vKill;')) return this.#kill(packet);
    if (packet === 'D' || packet.startsWith('D;')) return this.#detach(packet);
    if (isResume(packet)) return this.#resume(packet);
    return this.#forward(this.#server, packet);
  }

  async #forward(server: Gdbserver, request: string): Promise<string> {
    const packet = request.startsWith('qSupported') ? withStopReasons(request) : request;
    const reply = await server.ask(isSignalList(packet) ? withoutStopSignal(packet) : packet, CLIENT_LIMIT);
    this.#memory = remember(this.#memory, packet, reply);
    // Between its question and the answer the client may read memory.
    if (packet.startsWith('qSymbol:')) this.#lookingUp = reply.startsWith('qSymbol:');
    if (packet.startsWith('qSupported')) return filterFeatures(reply);
    if (packet === '?') this.#memory = { ...this.#memory, stop: { reply, siginfo: null } };
    return reply;
  }

  /** What is left to say when the process has ended. */
  #answerAlone(packet: string): string | null {
    if (isResume(packet)) return this.#memory.stop?.reply ?? 'E01';
    if (packet === 'k') return null;
    return /^(D|vKill)/.test(packet) ? 'OK' : 'E01';
  }

  async #resume(packet: string): Promise<null> {
    const selected = this.#memory.selected.g?.slice('Hg'.length) ?? null;
    this.#memory = resumed(this.#memory, packet);
    const stop = this.#nextPending(packet);
    if (stop) {
      // As gdbserver does it: nothing is let go while a stop waits to be told.
      const owedSignals = [...this.#memory.owedSignals, ...signalsOf(packet, selected)];
      this.#memory = { ...this.#memory, owedSignals };
      await this.#deliver(stop);
      return null;
    }
    const { packet: whole, owed } = withSignals(packet, this.#memory.owedSignals);
    this.#memory = { ...this.#memory, owedSignals: owed };
    this.#letRun(whole);
    return null;
  }

  /** Takes the first stop of a thread that is to run now off the list. A finished step counts if it is asked for again. */
  #nextPending(packet: string): Stop | undefined {
    for (const stop of this.#memory.pending) {
      const parsed = parseStopReply(stop.reply);
      const thread = parsed?.kind === 'stop' ? parsed.thread : undefined;
      if (thread !== undefined && !letsRun(packet, thread)) continue;
      const pending = this.#memory.pending.filter((other) => other !== stop);
      this.#memory = { ...this.#memory, pending };
      if (thread === undefined || !isStep(stop.reply) || steps(packet, thread)) return stop;
    }
    return undefined;
  }

  async #deliver(stop: Stop): Promise<void> {
    const parsed = parseStopReply(stop.reply);
    if (parsed?.kind === 'stop' && parsed.thread !== undefined) await this.#server?.ask(`Hg${parsed.thread}`);
    this.#report(stop);
  }

  async #kill(packet: string): Promise<string | null> {
    const server = this.#held();
    if (packet === 'k') server.send(packet);
    const reply = packet === 'k' ? null : await server.ask(packet, CLIENT_LIMIT);
    if (
      packet === 'k' ||
      (reply === 'OK' && Number.parseInt(packet.slice('vKill;'.length), 16) === this.pid)
    ) {
      this.#server = null;
      await Promise.race([server.closed, sleep(VANISH_LIMIT)]);
      await server.kill();
      this.#end('its debugger has killed it');
    }
    return reply;
  }

  async #detach(packet: string): Promise<string | null> {
    const server = this.#held();
    const process = packet === 'D' ? this.pid : Number.parseInt(packet.slice('D;'.length), 16);
    if (process !== this.pid) return this.#forward(server, packet);
    const child = otherProcesses(await threadNames(server), this.pid)[0];
    if (child !== undefined) return this.#follow(server, packet, child);
    await this.#leave(server);
    this.#reply('OK');
    this.#end('its debugger has detached');
    this.#close('detached');
    return null;
  }

  /** The client lets the parent go and keeps the child (`set follow-fork-mode child`). */
  async #follow(server: Gdbserver, packet: string, child: number): Promise<string> {
    const outer = childrenOf(this.#target.pid).find((pid) =>
      threadsOf(pid).some(({ inner }) => inner === child),
    );
    const reply = await server.ask(packet, CLIENT_LIMIT);
    if (reply !== 'OK' || outer === undefined) return reply;
    this.#target.pid = outer;
    this.#memory = {
      ...this.#memory,
      pid: child,
      event: null,
      children: this.#memory.children.filter((pid) => pid !== child),
    };
    this.#files.close();
    this.#files = this.#filesOf(this.#target);
    return reply;
  }

  #filesOf({ pid, init }: Target): JobFiles {
    return new JobFiles(pid, init, this.#memory.files);
  }

  // ---- The process's side

  #held(): Gdbserver {
    if (!this.#server) throw nothingHeld(this.pid);
    return this.#server;
  }

  #letRun(packet: string): void {
    const run: Run = { reply: this.#held().resume(packet), taken: false };
    this.#run = run;
    const arrived = (reply: string) => this.#turns.take(() => (run.taken ? undefined : this.#arrived(reply)));
    // A failure is the end of gdbserver, which is dealt with where that is noticed.
    void run.reply.then(arrived, () => {}).then(() => this.#pump());
    if (this.#memory.interrupted) this.#sendStop();
  }

  #interrupt(): void {
    if (!this.#memory.running) return;
    this.#memory = { ...this.#memory, interrupted: true };
    if (this.#run && this.#phase === 'attached') this.#sendStop();
  }

  #sendStop(): void {
    if (this.#stopOwed) return;
    this.#stopOwed = true;
    try {
      // For the process, not for one thread: any of them may be about to end, and gdbserver stops all when one has met it.
      process.kill(this.#target.pid, 'SIGSTOP');
    } catch {
      // It has ended: gdbserver is about to say so.
    }
  }

  #arrived(reply: string): void {
    this.#run = null;
    const { resume, interrupted } = this.#memory;
    if (isStopSignal(reply)) {
      const ours = this.#stopOwed;
      this.#stopOwed = false;
      if (interrupted) this.#report({ reply: replaceSignal(reply, INTERRUPT_SIGNAL), siginfo: null });
      else if (ours && this.#parking) this.#changes.emit('change');
      else if (ours) this.#letRun(withoutSignal(resume ?? 'vCont;c'));
      else if (passesStopSignal(this.#memory)) this.#letRun(passingStop(reply, resume ?? 'vCont;c'));
      else this.#report({ reply, siginfo: null });
      return;
    }
    if (this.#isEnd(reply)) this.#exited(reply);
    else {
      if (this.#stopOwed) this.#stopOwed = isStopQueued(this.#target.pid);
      this.#report({ reply, siginfo: null });
    }
  }

  /** A stop that came too late for one try of a park waits for the next one; there is none any more. */
  #goOnIfCaught(): void {
    const { running, resume } = this.#memory;
    if (this.#phase === 'attached' && this.#server && running && !this.#run)
      this.#letRun(withoutSignal(resume ?? 'vCont;c'));
  }

  /** Does the reply say that the stub's own process has ended? */
  #isEnd(reply: string): boolean {
    const stop = parseStopReply(reply);
    if (stop?.kind !== 'exited' && stop?.kind !== 'signalled') return false;
    return stop.process === undefined || stop.process === this.pid;
  }

  #exited(reply: string): void {
    const server = this.#server;
    this.#server = null;
    this.#report({ reply, siginfo: null });
    void server?.kill();
    this.#end('it has ended');
  }

  async #goOn(): Promise<void> {
    if (this.#phase !== 'held') return;
    this.#phase = 'attached';
    const { running, pending, interrupted, resume } = this.#memory;
    if (!running) return;
    const [first, ...rest] = pending;
    if (first) {
      this.#memory = { ...this.#memory, pending: rest };
      await this.#deliver(first);
    } else if (interrupted) {
      const thread = this.#registers[0]?.thread;
      const reply = thread === undefined ? 'S02' : `T02thread:${thread};`;
      await this.#deliver({ reply, siginfo: null });
    } else this.#letRun(withoutSignal(resume ?? 'vCont;c'));
  }

  // ---- Parking

  /** false: the client has something to deal with first. */
  async #tryStop(until: number): Promise<boolean> {
    if (this.#phase === 'held') return true;
    const server = this.#held();
    if (this.#lookingUp || this.#memory.event === 'vfork') return false;
    if (this.#run ? !(await this.#halt(server, this.#run, until)) : this.#memory.event !== null) return false;
    if (await this.#bearsChildren(server)) return false;
    this.#phase = 'held';
    try {
      await this.#standStill(server);
      return true;
    } catch (error) {
      await this.#backIn(server);
      await this.#goOn();
      throw error;
    }
  }

  /** false: the client has been told of a birth, which it must deal with. */
  async #halt(server: Gdbserver, run: Run, until: number): Promise<boolean> {
    this.#sendStop();
    const started = Date.now();
    const reply = await Promise.race([run.reply, sleep(Math.max(0, until - started), null)]);
    if (reply === null) throw willNotStop(this.pid, until - started);
    run.taken = true;
    this.#run = null;
    if (isStopSignal(reply)) {
      this.#stopOwed = false;
      return true;
    }
    this.#stopOwed = isStopQueued(this.#target.pid);
    if (this.#isEnd(reply)) {
      this.#exited(reply);
      throw nothingHeld(this.pid);
    }
    if (isBirth(parseStopReply(reply)) && !this.#bye) {
      this.#report({ reply, siginfo: null });
      return false;
    }
    this.#keep([await withSiginfo(server, reply)]);
    return true;
  }

  #keep(stops: Stop[]): void {
    this.#memory = { ...this.#memory, pending: [...this.#memory.pending, ...stops] };
  }

  /** Does gdbserver hold a child that the client has not heard of? It hears of it now. @throws debugger-holds-several */
  async #bearsChildren(server: Gdbserver): Promise<boolean> {
    const others = otherProcesses(await threadNames(server), this.pid);
    if (others.length === 0) return false;
    const { children, running, resume } = this.#memory;
    if (others.every((child) => children.includes(child))) {
      await this.#goOnAfterRefusal();
      throw holdsSeveral(others);
    }
    if (!running) throw atBirth('a fork');
    // The event is there already: gdbserver tells of it, after others perhaps, without letting anybody go.
    for (;;) {
      const reply = await server.ask(withoutSignal(resume ?? 'vCont;c'));
      if (!isBirth(parseStopReply(reply))) this.#keep([await withSiginfo(server, reply)]);
      else {
        this.#report({ reply, siginfo: null });
        return true;
      }
    }
  }

  async #goOnAfterRefusal(): Promise<void> {
    this.#phase = 'held';
    await this.#goOn();
  }

  /** Nothing of the debugger's is in the process any more, and all that a thread is stands written down. */
  async #standStill(server: Gdbserver): Promise<void> {
    await takeOutBreakpoints(server, this.#memory);
    const { stop, running, resume } = this.#memory;
    if (running) this.#keep(await this.#finishedSteps(server, resume ?? ''));
    else if (stop) this.#memory = { ...this.#memory, stop: await withSiginfo(server, stop.reply) };
    this.#registers = await generalRegisters(server, await threadNames(server));
    await this.#settle(server, running ? [] : this.#registers);
  }

  /** No SIGSTOP is queued any more, which would stop the process for good. */
  async #settle(server: Gdbserver, registers: ParkedStub['registers']): Promise<void> {
    this.#stopOwed = false;
    if (!isStopQueued(this.#target.pid)) return;
    this.#keep(await settle(server, this.#target.pid, registers));
    await this.#giveSiginfo(server);
  }

  async #giveSiginfo(server: Gdbserver): Promise<void> {
    const { stop, running, pending } = this.#memory;
    for (const known of [...pending].reverse()) await giveSiginfo(server, known);
    if (stop && !running) await giveSiginfo(server, stop);
  }

  /**
   * Threads that had just taken the step they were asked for when all were stopped. gdbserver would forget it, and
   * the step would be taken twice.
   */
  async #finishedSteps(server: Gdbserver, resume: string): Promise<Stop[]> {
    const told = this.#memory.pending.map(({ reply }) => threadOf(reply));
    const finished: Stop[] = [];
    for (const thread of steppedThreads(resume)) {
      if (thread === null || told.includes(thread)) continue;
      const stop = await withSiginfo(server, `T05thread:${thread};`);
      if (stop.siginfo !== null && saysStepped(stop.siginfo)) finished.push(stop);
    }
    return finished;
  }

  async #backIn(server: Gdbserver): Promise<void> {
    for (const breakpoint of await putInBreakpoints(server, this.#memory))
      this.#tell({ event: 'breakpoint-lost', breakpoint });
    await select(server, this.#memory);
  }

  // ---- Leaving

  async #finish(): Promise<void> {
    try {
      const until = Date.now() + LEAVE_LIMIT;
      await this.#turns.take(async () => {
        if (this.#phase !== 'attached' || !this.#server) return;
        const server = this.#server;
        if (this.#run) await this.#halt(server, this.#run, until);
        await this.#leave(server);
        this.#end('its debugger has gone');
      });
    } catch (error) {
      if (this.#phase === 'attached') this.emit('lost-debugger', asGodwitError(error));
    }
    this.#close('the client has gone');
  }

  /** Lets the process go on alone. Precondition: stopped. */
  async #leave(server: Gdbserver): Promise<void> {
    const { pid } = this.#target;
    for (const child of otherProcesses(await threadNames(server), this.pid))
      await insist(server, `D;${child.toString(16)}`);
    await takeOutBreakpoints(server, this.#memory);
    const { stop, running } = this.#memory;
    if (stop && !running) this.#memory = { ...this.#memory, stop: await withSiginfo(server, stop.reply) };
    await this.#settle(server, []);
    await this.#hooks.freeze();
    try {
      this.#server = null;
      await letFall(server, pid, leavingPacket(this.#memory), { leaving: true });
    } finally {
      await this.#hooks.thaw();
    }
  }

  #end(reason: string): void {
    if (this.#phase === 'ended' || this.#phase === 'closed') return;
    this.#phase = 'ended';
    this.#run = null;
    this.#files.close();
    this.#changes.emit('change');
    this.emit('ended', reason);
  }

  #close(reason: string): void {
    if (this.#phase === 'closed' || this.#phase === 'released') return;
    this.#end(reason);
    this.#phase = 'closed';
    clearTimeout(this.#graceTimer);
    this.#session.send({ kind: 'bye', reason });
    // The session lets its stream deliver that; a client that is not there has nothing to hear.
    this.#session.detach();
    this.emit('closed');
  }

  // ---- Losing

  /** gdbserver has ended. With the process, or alone? */
  async #lost(server: Gdbserver): Promise<void> {
    if (this.#server !== server) return;
    this.#server = null;
    this.#run = null;
    for (let until = Date.now() + VANISH_LIMIT; isAlive(this.#target.pid) && Date.now() < until; )
      await sleep(POLL);
    if (isAlive(this.#target.pid)) {
      this.#fail(
        new GodwitError({
          code: 'lost-debugger',
          message: `gdbserver ended while it held process ${this.pid}${server.words ? `: ${server.words}` : ''}`,
          fix: 'attach the debugger anew; a breakpoint that was in may end the process',
        }),
      );
      return;
    }
    const reply = exitReply(this.#memory, await this.#hooks.exitStatus());
    const awaited = this.#memory.running || (this.#unanswered !== null && isResume(this.#unanswered));
    if (awaited) this.#report({ reply, siginfo: null });
    else {
      this.#memory = { ...this.#memory, stop: { reply, siginfo: null } };
      if (this.#unanswered !== null) this.#reply('E01');
    }
    this.#unanswered = null;
    this.#end('it has ended');
  }

  #fail(error: unknown): void {
    const why = asGodwitError(error);
    this.#server = null;
    if (this.#memory.running || this.#unanswered !== null) this.#reply(sentence(why));
    this.#tell({ event: 'lost-debugger', message: why.toLine() });
    this.emit('lost-debugger', why);
    this.#close(why.message);
  }
}

const sentence = (why: GodwitError): string => `E.${why.toLine().replaceAll(/[#$}*]|[^\x20-\x7e]/g, ' ')}`;

const threadOf = (reply: string): string | undefined => {
  const stop = parseStopReply(reply);
  return stop?.kind === 'stop' ? stop.thread : undefined;
};

/** A plain SIGTRAP without a reason: a finished step. */
function isStep(reply: string): boolean {
  const stop = parseStopReply(reply);
  return stop?.kind === 'stop' && stop.signal === SIGTRAP && stop.reason === undefined;
}

function saysStepped(siginfo: string): boolean {
  const bytes = unescapeBinary(siginfo);
  return bytes.length >= 12 && bytes.readInt32LE(0) === SIGTRAP && bytes.readInt32LE(8) === TRAP_TRACE;
}

/** The resume that lets a thread meet the SIGSTOP which somebody else has sent it. */
function passingStop(reply: string, resume: string): string {
  const thread = threadOf(reply);
  const owed = thread === undefined ? [] : [{ thread, signal: 0x11 }];
  return withSignals(withoutSignal(resume), owed).packet;
}

/** Lets all threads run, those that stopped for a signal of the program's own with that signal. */
function leavingPacket({ stop, running, pending, settings }: Memory): string {
  const stops = [...(stop && !running ? [stop] : []), ...pending].map(({ reply }) => parseStopReply(reply));
  const signals = stops.flatMap((parsed) => {
    const signal = programSignal(parsed);
    const thread = parsed?.kind === 'stop' ? parsed.thread : undefined;
    return signal !== null && thread !== undefined && reaches(settings, signal) ? [{ thread, signal }] : [];
  });
  return withSignals('vCont;c', signals).packet;
}

/** Does the client let this signal reach the program when it leaves? */
function reaches(settings: Memory['settings'], signal: number): boolean {
  const list = settings.QProgramSignals?.slice('QProgramSignals:'.length).split(';');
  return list === undefined || list.some((known) => Number.parseInt(known, 16) === signal);
}
