/**
 * The client's half of a debug connection: a remote-protocol endpoint that stays put while the stub moves. It serves
 * one client and passes payloads to and from the stub through a session, over the stream that reaches it now.
 */
import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import type { Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { asGodwitError, GodwitError } from '../../api/errors';
import { GrowingPause } from '../../api/retry';
import { Asking } from './asking';
import { type Endpoint, listenForClient } from './endpoint';
import { bye } from './frames';
import { LineClient } from './line-client';
import { type Message, Session } from './session';

export type { Endpoint } from './endpoint';

/** Between two attempts to reach the stub: short after a cut, which is mostly an agent's restart. */
const PAUSES = { firstMs: 100, mostMs: 2_000 };
/** Long enough for an agent's restart. */
const FAREWELL = 5_000;
/** For a stub that knows of it, to leave the process: what that allows itself (stub.ts), and a little more. */
const LEAVING = 35_000;

/** Error codes after which trying again does not help. */
export const FINAL_REFUSALS: ReadonlySet<string> = new Set([
  'no-such-job',
  'ambiguous-job',
  'no-such-process',
  'job-ended',
  'job-lost',
  'already-debugged',
  'wrong-session',
  'debug-session-lost',
  'debug-session-overflow',
]);

const lineClosed = () => new GodwitError({ code: 'line-closed', message: 'the line was closed' });

export interface Attempt {
  session: string;
  /** The session has never been connected: a stub is to be attached for it. */
  fresh: boolean;
  /** Aborted when the line ends. */
  signal: AbortSignal;
}

export interface LineOptions {
  /** Makes a new stream to the stub. An error whose code is in FINAL_REFUSALS ends the line, any other is tried again. */
  connect: (attempt: Attempt) => Promise<Duplex>;
  /** The session's name; a new UUID by default. */
  session?: string;
  /** Events from the stub, e.g. that it moved. */
  onEvent?: (event: Record<string, unknown>) => void;
  log?: (text: string) => void;
  /** Milliseconds for the stub to learn that the client has gone; 5000 by default. */
  farewell?: number;
}

/** Milliseconds: longer than gdb takes from one packet of a step to the next, and sooner than a move begins. */
const QUIET_MS = 20;

interface LineEvents {
  /** Once, when all is closed. `why` is absent if client or stub sent a bye, `reason` is the stub's then. */
  closed: [why: GodwitError | undefined, reason: string | undefined];
  /** The client has connected: the listener is closed after one client. */
  client: [];
}

export class Line extends EventEmitter<LineEvents> {
  private readonly session: Session;
  private readonly options: Required<LineOptions>;
  private readonly over = new AbortController();
  private server: Server | undefined;
  private client: LineClient | undefined;
  private readonly asking: Asking;
  private reaching: Promise<void> | undefined;
  private ending: Promise<void> | undefined;
  /** The stub has sent its bye, or there is none any more. */
  private readonly stubLeft: Promise<void>;
  private stubHasLeft: () => void = () => {};
  private fresh = true;
  private readonly pause = new GrowingPause(PAUSES);
  /** Since the client's last packet. */
  private readonly quiet = setTimeout(() => this.asking.settle(), QUIET_MS).unref();

  constructor({
    connect,
    session = randomUUID(),
    onEvent = () => {},
    log = () => {},
    farewell = FAREWELL,
  }: LineOptions) {
    super();
    this.options = { connect, session, onEvent, log, farewell };
    this.stubLeft = new Promise((resolve) => {
      this.stubHasLeft = resolve;
    });
    this.session = new Session(session);
    this.session.on('message', (message) => this.take(message));
    this.session.on('failed', (why) => {
      this.stubHasLeft();
      void this.end(why);
    });
    this.asking = new Asking({
      send: (payload) => this.session.send({ kind: 'packet', payload }),
      interrupt: () => this.session.send({ kind: 'interrupt' }),
      reply: (payload) => this.client?.reply(payload),
      fail: (why) => void this.end(why),
    });
    this.session.on('cut', () => this.asking.cut());
    this.session.on('connected', () => {
      this.asking.connected();
      this.fresh = false;
      this.pause.reset();
    });
  }

  /**
   * Waits for a client there, and returns the address: a path, or HOST:PORT. The stub is connected to when the client comes.
   * @throws port-taken, cannot-listen
   */
  async listen(endpoint: Endpoint): Promise<string> {
    const { server, address } = await listenForClient(endpoint, (socket) => this.accept(socket));
    this.server = server;
    if (this.ending) server.close();
    return address;
  }

  /** Reaches for the stub before any client comes, so that a refusal is known early. @throws what ends the line */
  async open(): Promise<void> {
    if (this.ending) throw lineClosed();
    if (this.session.connected) return;
    const connected = new Promise<void>((resolve, reject) => {
      this.session.once('connected', resolve);
      this.once('closed', (why) => reject(why ?? lineClosed()));
    });
    this.reach();
    await connected;
  }

  /** Ends the session with the stub, and the client's connection; done when all is closed. */
  close(): Promise<void> {
    return this.end();
  }

  private accept(socket: Socket): void {
    if (this.client || this.ending) {
      this.options.log('another client was turned away: a line serves one');
      socket.on('error', () => {});
      socket.destroy();
      return;
    }
    this.client = new LineClient(socket, {
      packet: (payload) => {
        this.asking.take(payload);
        this.quiet.refresh();
      },
      interrupt: () => this.asking.interrupt(),
      gone: (why) => void this.end(why),
    });
    this.emit('client');
    this.reach();
  }

  private take(message: Message): void {
    if (message.kind === 'packet') this.answered(message.payload);
    else if (message.kind === 'event') this.tell(message.event);
    else if (message.kind === 'bye') {
      this.stubHasLeft();
      void this.end(undefined, { reason: message.reason });
    }
  }

  private answered(payload: string): void {
    try {
      this.asking.answered(payload);
    } catch (error) {
      void this.end(asGodwitError(error));
    }
  }

  private tell(event: Record<string, unknown>): void {
    if (typeof event.breakpoint === 'string') this.asking.breakpointLost(event.breakpoint);
    this.options.onEvent(event);
  }

  /** Keeps the session on a stream for as long as the line is there: without one, the client waits. */
  private reach(): void {
    if (this.ending) return;
    this.reaching ??= this.keepReaching().catch((error) => {
      this.stubHasLeft();
      if (!this.over.signal.aborted) void this.end(asGodwitError(error));
    });
  }

  private async keepReaching(): Promise<void> {
    const { signal } = this.over;
    while (!signal.aborted) {
      const why = await this.untilCut(signal);
      if (FINAL_REFUSALS.has(why.code)) throw why;
      this.options.log(`${why.message}; trying again`);
      await this.pause.wait(signal);
    }
  }

  /** One stream, from the attempt to its end; the reason of it. */
  private async untilCut(signal: AbortSignal): Promise<GodwitError> {
    let stream: Duplex;
    try {
      stream = await this.options.connect({ session: this.session.id, fresh: this.fresh, signal });
    } catch (error) {
      return asGodwitError(error);
    }
    if (signal.aborted) {
      stream.on('error', () => {});
      stream.destroy();
      return lineClosed();
    }
    const cut = once(this.session, 'cut', { signal });
    this.session.attach(stream);
    const [why] = (await cut) as [GodwitError];
    return why;
  }

  private end(why?: GodwitError, bye?: { reason: string | undefined }): Promise<void> {
    // Not in the caller's own turn: what it does to the session comes first, and may ask for the end once more.
    this.ending ??= Promise.resolve().then(() => this.finish(why, bye));
    return this.ending;
  }

  private async finish(
    why: GodwitError | undefined,
    bye: { reason: string | undefined } | undefined,
  ): Promise<void> {
    this.server?.close();
    clearTimeout(this.quiet);
    const stubListens = this.reaching && !bye && !(why && FINAL_REFUSALS.has(why.code));
    if (stubListens) await this.sayBye(why);
    this.over.abort();
    this.session.detach();
    await this.client?.leave();
    this.emit('closed', why, bye?.reason);
  }

  /** Done when the stub has left the process, which its bye says: then the process has no tracer. */
  private async sayBye(why: GodwitError | undefined): Promise<void> {
    const acknowledged = new Promise<void>((resolve) => this.session.once('acknowledged', resolve));
    this.session.send(bye(why?.message ?? 'the client has gone'));
    const { farewell, log } = this.options;
    if (!(await within(farewell, Promise.race([acknowledged, this.stubLeft]))))
      log('the stub did not learn in time that the client has gone');
    else if (!(await within(LEAVING, this.stubLeft)))
      log('the stub has not left the process in time: it will as soon as that can be stopped');
  }
}

/** Whether the promise settles within the limit, in milliseconds. */
async function within(limit: number, what: Promise<void>): Promise<boolean> {
  const late = new AbortController();
  const timer = sleep(limit, false, { signal: late.signal }).catch(() => false);
  const came = await Promise.race([what.then(() => true), timer]);
  late.abort();
  return came;
}
