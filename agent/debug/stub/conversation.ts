/** A stub's conversation with its client: requests, answered one by one and in order, events, and whether it is connected. */
import { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { asGodwitError, type GodwitError } from '../../api/errors';
import type { SerialQueue } from '../../machine/serial-queue';
import { bye } from '../link/frames';
import { type Message, Session } from '../link/session';
import { isResume } from '../rsp/packets';
import { tellsSymbols } from '../rsp/symbols';
import {
  type Ahead,
  decodeTogether,
  encodeAnswers,
  isTogether,
  type Together,
  type Wish,
} from '../rsp/together';
import { MAX_WAITING, type ParkedStub } from '../state/parked';
import { readAhead } from './ahead';
import { type Answer, answerTo } from './answers';
import type { Inferior } from './inferior';

/** Among the packets that wait: the client's interrupt. */
const INTERRUPT = '\x03';

interface ConversationOptions {
  inferior: Inferior;
  queue: SerialQueue;
  /** Milliseconds within which a client whose connection was cut may come back. */
  grace: number;
  /** Can a packet be answered now? */
  ready: () => boolean;
}

interface ConversationEvents {
  connected: [connected: boolean];
  /** A packet has been answered, or will be by a stop. */
  served: [];
  /** What the client has asked for was the end of its debugging. */
  ended: [how: NonNullable<Answer['ended']>];
  /** The client has sent its bye, or can't come back. */
  bye: [];
}

/** Selections, breakpoints, lists of signals and symbols: what may stand before another request. */
const isPreparation = (packet: string): boolean =>
  /^(?:Hg|[zZ][0-4],|QPassSignals:)/.test(packet) || tellsSymbols(packet);

/** An error in the protocol's form that shows its user a sentence. */
export const sentence = (why: GodwitError): string =>
  `E.${why.toLine().replaceAll(/[#$}*]|[^\x20-\x7e]/g, ' ')}`;

export class Conversation extends EventEmitter<ConversationEvents> {
  /** What the client was waiting for when gdbserver ended. */
  unanswered: string | null = null;
  readonly #session: Session;
  readonly #inferior: Inferior;
  readonly #queue: SerialQueue;
  readonly #grace: number;
  readonly #ready: () => boolean;
  readonly #waiting: string[];
  /** A packet of the client is being answered. */
  #serving = false;
  /** What was asked together with the resume that is under way: what came of it, and what is to be told with the stop. */
  #begun: { replies: string[]; wish: Wish | null } | null = null;
  /** A stop is about to be told. */
  #telling = false;
  #graceTimer: NodeJS.Timeout | undefined;

  constructor(parked: ParkedStub, { inferior, queue, grace, ready }: ConversationOptions) {
    super();
    this.#inferior = inferior;
    this.#queue = queue;
    this.#grace = grace;
    this.#ready = ready;
    this.#waiting = [...parked.waiting];
    this.#session = new Session(parked.session, parked.link ?? undefined);
    this.#session.on('message', (message) => this.#take(message));
    this.#session.on('connected', () => this.#connected(true));
    this.#session.on('cut', () => this.#connected(false));
    this.#session.on('failed', () => this.emit('bye'));
  }

  get connected(): boolean {
    return this.#session.connected;
  }

  /** Joins the client's stream, in place of any before. */
  join(stream: Duplex): void {
    this.#session.attach(stream);
  }

  /** A client that is not connected must come back within the grace, which begins now. */
  expect(): void {
    if (!this.#session.connected) this.#connected(false);
  }

  reply(payload: string): void {
    this.#session.send({ kind: 'packet', payload });
  }

  /** The process has stopped: the client is told, with what it wished for. */
  stopped(stop: string): void {
    const begun = this.#begun;
    this.#begun = null;
    if (begun === null) {
      this.reply(stop);
      return;
    }
    this.#telling = true;
    void this.#queue.take(async () => {
      const replies = [...begun.replies, stop];
      this.reply(encodeAnswers({ replies, ahead: await this.#readAhead(begun.wish) }));
      this.#telling = false;
      this.pump();
    });
  }

  sendEvent(event: Record<string, string>): void {
    this.#session.send({ kind: 'event', event });
  }

  /** The last message of the session. */
  end(reason: string): void {
    clearTimeout(this.#graceTimer);
    this.#session.send(bye(reason));
    // The session lets its stream deliver that; a client that is not connected does not need it.
    this.#session.detach();
  }

  /** Ends here, to be continued elsewhere. */
  park(): Pick<ParkedStub, 'link' | 'waiting'> {
    clearTimeout(this.#graceTimer);
    this.#session.detach();
    return { link: this.#session.state(), waiting: this.#waiting };
  }

  /** Answers what waits, as far as it can be now. */
  pump(): void {
    void this.#queue.take(async () => {
      for (let [next] = this.#waiting; next !== undefined; [next] = this.#waiting) {
        if (next !== INTERRUPT && (this.#telling || !this.#ready())) return;
        this.#waiting.shift();
        if (next === INTERRUPT) this.#inferior.interrupt();
        else await this.#serve(next);
      }
    });
  }

  #take(message: Message): void {
    if (message.kind === 'packet') {
      if (message.payload === 'vCtrlC' && this.#inferior.memory.running) this.#takeInterrupt();
      else if (this.#waiting.length >= MAX_WAITING) this.emit('bye');
      else this.#waiting.push(message.payload);
      this.pump();
    } else if (message.kind === 'interrupt') this.#takeInterrupt();
    else if (message.kind === 'bye') this.emit('bye');
  }

  /** It is for the request before it, which may have to wait; a second interrupt right behind it adds nothing. */
  #takeInterrupt(): void {
    if (this.#waiting.length === 0 && !this.#serving) this.#inferior.interrupt();
    else if (this.#waiting.at(-1) !== INTERRUPT) this.#waiting.push(INTERRUPT);
    this.pump();
  }

  async #serve(packet: string): Promise<void> {
    this.#serving = true;
    const together = isTogether(packet) ? decodeTogether(packet) : null;
    if (together) await this.#serveTogether(together);
    else {
      const reply = await this.#answer(packet);
      if (reply !== null) this.reply(reply);
    }
    this.#serving = false;
    this.emit('served');
  }

  /** One after the other, up to the first that is refused. */
  async #serveTogether({ packets, wish }: Together): Promise<void> {
    const replies: string[] = [];
    for (const [nth, packet] of packets.entries()) {
      const isLast = nth === packets.length - 1;
      // The stop may come before this returns.
      if (isLast && isResume(packet)) this.#begun = { replies, wish };
      const reply = isLast || isPreparation(packet) ? await this.#answer(packet) : '';
      if (reply === null) return;
      replies.push(reply);
      if (reply !== 'OK') break;
    }
    this.#begun = null;
    const ahead = replies.length === packets.length ? await this.#readAhead(wish) : null;
    this.reply(encodeAnswers({ replies, ahead }));
  }

  /** null where nothing can be told: the client asks for itself then. */
  async #readAhead(wish: Wish | null): Promise<Ahead | null> {
    if (wish === null || !this.#ready()) return null;
    try {
      return await readAhead(this.#inferior, wish);
    } catch {
      return null;
    }
  }

  /** null where the answer comes later, or never. */
  async #answer(packet: string): Promise<string | null> {
    try {
      const { reply, ended } = await answerTo(packet, this.#inferior);
      if (ended && reply !== null) this.reply(reply);
      if (ended) this.emit('ended', ended);
      return ended ? null : reply;
    } catch (error) {
      const why = asGodwitError(error);
      if (why.code !== 'gdbserver-gone') return sentence(why);
      this.unanswered = packet;
      return null;
    }
  }

  #connected(connected: boolean): void {
    clearTimeout(this.#graceTimer);
    // The time in which a client may come back counts only while the stub is attached.
    if (!connected) this.#graceTimer = setTimeout(() => this.emit('bye'), this.#grace).unref();
    this.emit('connected', connected);
  }
}
