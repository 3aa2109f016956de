/** A stub's conversation with its client: what that asks, one by one and in order, what it hears, and whether it is there. */
import { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { asGodwitError, type GodwitError } from '../../api/errors';
import type { SerialQueue } from '../../machine/serial-queue';
import { type Message, Session } from '../link/session';
import { MAX_WAITING, type ParkedStub } from '../state/parked';
import { type Answer, answerTo } from './answers';
import type { Inferior } from './inferior';

/** Among the packets that wait, the client's request to stop what they have let run. */
const INTERRUPT = '\x03';

interface ConversationOptions {
  inferior: Inferior;
  turns: SerialQueue;
  /** Milliseconds for which a client that vanished without good-bye may come back. */
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
  /** The client has said good-bye, or is as good as gone. */
  bye: [];
}

/** An error in the protocol's form that shows its user a sentence. */
export const sentence = (why: GodwitError): string =>
  `E.${why.toLine().replaceAll(/[#$}*]|[^\x20-\x7e]/g, ' ')}`;

export class Conversation extends EventEmitter<ConversationEvents> {
  /** What the client was waiting for when gdbserver ended. */
  unanswered: string | null = null;
  readonly #session: Session;
  readonly #inferior: Inferior;
  readonly #turns: SerialQueue;
  readonly #grace: number;
  readonly #ready: () => boolean;
  readonly #waiting: string[];
  /** A packet of the client is being answered. */
  #serving = false;
  #graceTimer: NodeJS.Timeout | undefined;

  constructor(parked: ParkedStub, { inferior, turns, grace, ready }: ConversationOptions) {
    super();
    this.#inferior = inferior;
    this.#turns = turns;
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

  /** The time within which a client that is not there must come back begins. */
  expect(): void {
    if (!this.#session.connected) this.#connected(false);
  }

  reply(payload: string): void {
    this.#session.send({ kind: 'packet', payload });
  }

  tell(event: Record<string, string>): void {
    this.#session.send({ kind: 'event', event });
  }

  /** The last words. */
  end(reason: string): void {
    clearTimeout(this.#graceTimer);
    this.#session.send({ kind: 'bye', reason });
    // The session lets its stream deliver that; a client that is not there has nothing to hear.
    this.#session.detach();
  }

  /** Breaks off here, to be taken up elsewhere. */
  park(): Pick<ParkedStub, 'link' | 'waiting'> {
    clearTimeout(this.#graceTimer);
    this.#session.detach();
    return { link: this.#session.state(), waiting: this.#waiting };
  }

  /** Answers what waits, as far as it can be now. */
  pump(): void {
    void this.#turns.take(async () => {
      for (let [next] = this.#waiting; next !== undefined; [next] = this.#waiting) {
        if (next !== INTERRUPT && !this.#ready()) return;
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

  /** It is for what was asked before it, which may have to wait; a second one right behind it says nothing new. */
  #takeInterrupt(): void {
    if (this.#waiting.length === 0 && !this.#serving) this.#inferior.interrupt();
    else if (this.#waiting.at(-1) !== INTERRUPT) this.#waiting.push(INTERRUPT);
    this.pump();
  }

  async #serve(packet: string): Promise<void> {
    this.#serving = true;
    try {
      const { reply, ended } = await answerTo(packet, this.#inferior);
      if (reply !== null) this.reply(reply);
      if (ended) this.emit('ended', ended);
    } catch (error) {
      const why = asGodwitError(error);
      if (why.code === 'gdbserver-gone') this.unanswered = packet;
      else this.reply(sentence(why));
    }
    this.#serving = false;
    this.emit('served');
  }

  #connected(connected: boolean): void {
    clearTimeout(this.#graceTimer);
    // Until the process runs again for its client nobody waits for it: the time counts while the stub is attached.
    if (!connected) this.#graceTimer = setTimeout(() => this.emit('bye'), this.#grace).unref();
    this.emit('connected', connected);
  }
}
