/**
 * The node's half of a debug connection. It answers the client, by the debug server beside the process or by itself,
 * and can detach from the process and attach to it elsewhere without the client noticing.
 *
 *     attached --stop--> ptraceStopped --release--> (a ParkedStub travels) --unpark--> ptraceStopped --go--> attached
 *                        ptraceStopped --unstop--> attached
 */
import { EventEmitter, once } from 'node:events';
import type { Duplex } from 'node:stream';
import { asGodwitError, GodwitError } from '../../api/errors';
import { SerialQueue } from '../../machine/serial-queue';
import type { Gdbserver } from '../attach/gdbserver';
import { atForkEvent, detachIntoFreezer } from '../attach/park';
import { isAlive } from '../attach/threads';
import { assertFrozen, attach, type Target } from '../attach/unpark';
import { refuse } from '../link/session';
import { isResume } from '../rsp/packets';
import type { ParkedStub } from '../state/parked';
import { Conversation, sentence } from './conversation';
import { debuggerGone, type Hooks, Inferior } from './inferior';
import { backIn, leave, standStill, stopForPark } from './standstill';

export type { Target } from '../attach/unpark';
export type { Hooks } from './inferior';

/** Milliseconds within which a client whose connection was cut may come back. */
export const GRACE = 60_000;
/** Milliseconds to leave a process whose client has gone: as long as a vfork may reasonably take. */
const LEAVE_LIMIT = 30_000;

const ENDINGS = { killed: 'its debugger has killed it', detached: 'its debugger has detached' };

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
  /** gdbserver exited without being asked to; was the process alive then? */
  gdbserverExited: [processAlive: boolean];
  client: [connected: boolean];
}

const isAway = (pid: number) =>
  new GodwitError({
    code: 'debugger-away',
    message: `the debugger of process ${pid} is on its way to another node`,
    fix: 'ask again where the job is then',
  });

export class Stub extends EventEmitter<StubEvents> {
  readonly session: string;
  readonly #queue = new SerialQueue();
  /** The cgroup's folder, as in `Target`. */
  readonly #run: string;
  readonly #inferior: Inferior;
  readonly #conversation: Conversation;
  readonly #changes = new EventEmitter<{ change: [] }>();
  #phase: 'attached' | 'ptraceStopped' | 'released' | 'ended' | 'closed' = 'ptraceStopped';
  /** A park waits for a moment in which the process can be stopped. */
  #parking = false;
  #bye: boolean;
  #ending: Promise<void> | undefined;

  /**
   * Precondition: the process is frozen in `target.run`, untraced. Then it is in ptrace-stop there, until `go`.
   * On failure it is as it was before. @throws debugger-attach-failed, cannot-hold
   */
  static async unpark(target: Target, parked: ParkedStub, options: StubOptions): Promise<Stub> {
    const { server, refused } = await attach(target, parked);
    const stub = new Stub(target, parked, options, server);
    stub.#reportLostBreakpoints(refused);
    return stub;
  }

  private constructor(
    target: Target,
    parked: ParkedStub,
    { hooks, grace = GRACE }: StubOptions,
    server: Gdbserver,
  ) {
    super();
    const queue = this.#queue;
    this.session = parked.session;
    this.#run = target.run;
    this.#bye = parked.bye;
    const inferior = new Inferior(target, parked, { server, hooks, queue, attended: () => !this.#bye });
    const ready = () => this.#phase === 'ended' || (this.#phase === 'attached' && !inferior.runs);
    this.#inferior = inferior;
    this.#conversation = new Conversation(parked, { inferior, queue, grace, ready });
    this.#followInferior();
    this.#followConversation();
  }

  #followInferior(): void {
    this.#inferior.on('stopped', (reply) => {
      this.#conversation.stopped(reply);
      this.#changes.emit('change');
    });
    this.#inferior.on('caught', () => {
      if (this.#parking) this.#changes.emit('change');
      else this.#inferior.runOn();
    });
    this.#inferior.on('arrived', () => this.#conversation.pump());
    this.#inferior.on('child', ({ pid, ...told }) => {
      this.#conversation.sendEvent({ event: 'child', pid: `${pid}`, ...told });
      this.#changes.emit('change');
    });
    this.#inferior.on('ended', () => this.#end('it has ended'));
    this.#inferior.on('gdbserverExited', (alive) => this.emit('gdbserverExited', alive));
    this.#inferior.on('lost', (loss) => {
      if (loss.cause === 'process-ended') this.#processEnded(loss.reply);
      else this.#fail(loss.why);
    });
  }

  #followConversation(): void {
    this.#conversation.on('connected', (connected) => this.emit('client', connected));
    this.#conversation.on('served', () => this.#changes.emit('change'));
    this.#conversation.on('bye', () => void this.end());
    this.#conversation.on('ended', (how) => {
      this.#end(ENDINGS[how]);
      if (how === 'detached') this.#close('detached');
    });
  }

  /** The process, as it is numbered inside the job; another one after the client has followed a fork's child. */
  get pid(): number {
    return this.#inferior.pid;
  }

  get connected(): boolean {
    return this.#conversation.connected;
  }

  /** Does the process run, as the client knows it? */
  get running(): boolean {
    return this.#inferior.memory.running;
  }

  /** Joins the client's stream, in place of any before. */
  connect(stream: Duplex): void {
    if (this.#phase === 'released') refuse(stream, isAway(this.pid));
    else this.#conversation.join(stream);
  }

  // ---- Parked

  /** After the thaw: goes on with what it was doing. */
  go(): void {
    this.#conversation.expect();
    void this.#queue
      .take(() => this.#goOn())
      .catch((error) => this.#fail(error))
      .then(() => (this.#bye ? this.end() : this.#conversation.pump()));
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
      while (!(await this.#queue.take(() => this.#tryStop(until)))) {
        this.#conversation.pump();
        await this.#change(until - Date.now());
        const { event } = this.#inferior.memory;
        if (Date.now() >= until) throw atForkEvent(event ? `a ${event}` : 'an event');
      }
    } finally {
      this.#parking = false;
      await this.#queue.take(() => {
        if (this.#phase === 'attached') this.#inferior.goOnIfCaught();
      });
    }
  }

  /** Takes `stop` back, or a `release` that failed. Precondition: the job is thawed. */
  async unstop(): Promise<void> {
    await this.#queue.take(() => this.#takeBack());
    if (this.#bye) await this.end();
    this.#conversation.pump();
  }

  /**
   * Park, phase 2. Precondition: stopped, and `run` frozen. Then the process is untraced and the stub is only a value.
   * @throws debugger-at-fork: a fork came to light, the process is in ptrace-stop as before; `unstop` once it is thawed
   */
  release(): Promise<ParkedStub> {
    return this.#queue.take(async () => {
      if (this.#phase !== 'ptraceStopped') throw debuggerGone(this.pid);
      assertFrozen(this.#run);
      const inferior = this.#inferior;
      const { stops, forkEvent } = await detachIntoFreezer(
        inferior.requireServer(),
        inferior.nodePid,
        'vCont;c',
      );
      inferior.keep(stops);
      if (forkEvent) throw atForkEvent(`a ${forkEvent}`);
      inferior.forgetServer();
      inferior.close();
      this.#phase = 'released';
      const { memory, registers } = inferior;
      return { session: this.session, ...this.#conversation.park(), memory, registers, bye: this.#bye };
    });
  }

  /**
   * Leaves the process for good: breakpoints out, its signals delivered, it runs on. While the stub is parked the
   * leaving waits for `go`, here or where it is unparked.
   */
  end(): Promise<void> {
    this.#bye = true;
    if (this.#phase !== 'attached' && this.#phase !== 'ended') return Promise.resolve();
    this.#ending ??= this.#finish();
    return this.#ending;
  }

  /** false: the client has something to deal with first. */
  async #tryStop(until: number): Promise<boolean> {
    if (this.#phase === 'ptraceStopped') return true;
    if (!(await stopForPark(this.#inferior, until))) return false;
    this.#phase = 'ptraceStopped';
    try {
      await standStill(this.#inferior);
      return true;
    } catch (error) {
      await this.#takeBack();
      throw error;
    }
  }

  async #takeBack(): Promise<void> {
    if (this.#phase !== 'ptraceStopped') return;
    this.#reportLostBreakpoints(await backIn(this.#inferior));
    await this.#goOn();
  }

  async #goOn(): Promise<void> {
    if (this.#phase !== 'ptraceStopped') return;
    this.#phase = 'attached';
    await this.#inferior.goOn();
  }

  /** Something was reported to the client, or a request answered; or the time (milliseconds) is over. */
  async #change(limit: number): Promise<void> {
    if (limit > 0)
      await once(this.#changes, 'change', { signal: AbortSignal.timeout(limit) }).catch(() => {});
  }

  #reportLostBreakpoints(breakpoints: string[]): void {
    for (const breakpoint of breakpoints)
      this.#conversation.sendEvent({ event: 'breakpoint-lost', breakpoint });
  }

  // ---- Ending

  async #finish(): Promise<void> {
    const { server } = this.#inferior;
    try {
      const until = Date.now() + LEAVE_LIMIT;
      await this.#queue.take(async () => {
        if (this.#phase !== 'attached' || !this.#inferior.server) return;
        await this.#inferior.halt(until);
        await leave(this.#inferior);
        this.#end('its debugger has gone');
      });
    } catch (error) {
      if (this.#phase === 'attached') this.emit('lost-debugger', asGodwitError(error));
      // One that was killed meanwhile ends for its parent only without a tracer.
      if (!isAlive(this.#inferior.nodePid)) await server?.kill();
    }
    this.#close('the client has gone');
  }

  #end(reason: string): void {
    if (this.#phase === 'ended' || this.#phase === 'closed') return;
    this.#phase = 'ended';
    this.#inferior.close();
    this.#changes.emit('change');
    this.emit('ended', reason);
  }

  #close(reason: string): void {
    if (this.#phase === 'closed' || this.#phase === 'released') return;
    this.#end(reason);
    this.#phase = 'closed';
    this.#conversation.end(reason);
    this.emit('closed');
  }

  /** The process has ended while gdbserver traced it, and gdbserver with it. */
  #processEnded(reply: string): void {
    const { unanswered } = this.#conversation;
    const stop = { reply, siginfo: null };
    if (this.running || (unanswered !== null && isResume(unanswered))) this.#inferior.report(stop);
    else {
      this.#inferior.note({ stop });
      if (unanswered !== null) this.#conversation.reply('E01');
    }
    this.#conversation.unanswered = null;
    this.#end('it has ended');
  }

  #fail(error: unknown): void {
    const why = asGodwitError(error);
    this.#inferior.forgetServer();
    if (this.running || this.#conversation.unanswered !== null) this.#conversation.reply(sentence(why));
    this.#conversation.sendEvent({ event: 'lost-debugger', message: why.toLine() });
    this.emit('lost-debugger', why);
    this.#close(why.message);
  }
}
