/** The one client of a line: framing, acknowledgement and patience; payloads in, payloads out. */
import type { Socket } from 'node:net';
import { GodwitError } from '../../api/errors';
import { encodePacket, PacketReader, type WireItem } from '../rsp/codec';

/** Times in a row that a packet is asked for, or a reply sent, again because it was damaged. gdb gives up after three. */
const MAX_DAMAGED = 8;
/** Bytes outside of any packet after which the client is no debugger. */
const MAX_SKIPPED = 4096;
/** Bytes, and replies, that a client may leave unread or unacknowledged: many times what any request asks for. */
const MAX_UNREAD_BYTES = 16 << 20;
const MAX_UNREAD_REPLIES = 1024;
/** Milliseconds that a client has to read the last replies once the line ends. */
const LEAVE_TIMEOUT = 2_000;

const START_NO_ACK = 'QStartNoAckMode';

export const notADebugger = (why: string) =>
  new GodwitError({
    code: 'not-a-debugger',
    message: `the line's client was turned away: ${why}`,
    fix: "connect a client of gdb's remote protocol, e.g. `target remote` in gdb",
  });

export interface ClientListener {
  packet(payload: string): void;
  interrupt(): void;
  /** The client closed its connection, or (`why`) was no debugger. May come more than once. */
  gone(why: GodwitError | undefined): void;
}

export class LineClient {
  private readonly reader = new PacketReader();
  private acking = true;
  /** The reply that the client has not acknowledged, and those that wait for it. */
  private awaiting: Buffer | undefined;
  private waiting: Buffer[] = [];
  private damaged = 0;
  private leaving = false;

  constructor(
    private readonly socket: Socket,
    private readonly listener: ClientListener,
  ) {
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.read(chunk));
    // A close follows each error, and says all that matters.
    socket.on('error', () => {});
    socket.on('close', () => listener.gone(undefined));
  }

  /** Sends a reply, once the client has acknowledged the one before. */
  reply(payload: string): void {
    if (this.leaving || this.socket.destroyed) return;
    this.waiting.push(encodePacket(payload));
    this.flush();
    if (this.waiting.length > MAX_UNREAD_REPLIES || this.socket.writableLength > MAX_UNREAD_BYTES) {
      this.turnAway('it does not read its replies');
    }
  }

  /** Delivers what waits, then closes the connection. */
  async leave(): Promise<void> {
    this.leaving = true;
    if (this.socket.destroyed) return;
    const timer = setTimeout(() => this.socket.destroy(), LEAVE_TIMEOUT);
    const closed = new Promise<void>((resolve) => this.socket.once('close', () => resolve()));
    this.flush();
    await closed;
    clearTimeout(timer);
  }

  private read(chunk: Buffer): void {
    try {
      for (const item of this.reader.push(chunk)) {
        if (!this.leaving) this.take(item);
        else if (item.kind === 'ack') this.acknowledged();
      }
    } catch (error) {
      if (!(error instanceof GodwitError)) throw error;
      this.turnAway(error.message);
    }
    if (this.reader.skipped > MAX_SKIPPED) this.turnAway('what it sends are no packets');
  }

  private take(item: WireItem): void {
    switch (item.kind) {
      case 'packet':
        this.takePacket(item.payload);
        break;
      case 'interrupt':
        this.listener.interrupt();
        break;
      case 'ack':
        this.acknowledged();
        break;
      case 'nak':
        this.retransmit();
        break;
      case 'bad-checksum':
        this.askAgain();
        break;
      // No client sends notifications: those are the stub's.
      case 'notification':
        break;
    }
  }

  private takePacket(payload: string): void {
    this.damaged = 0;
    if (this.acking) this.socket.write('+');
    if (payload !== START_NO_ACK) {
      this.listener.packet(payload);
      return;
    }
    this.reply('OK');
    this.acking = false;
  }

  private askAgain(): void {
    if (!this.acking) this.turnAway('a packet arrived damaged, and it wants no acknowledgements');
    else if (++this.damaged > MAX_DAMAGED) this.turnAway('its packets keep arriving damaged');
    else this.socket.write('-');
  }

  private retransmit(): void {
    if (!this.awaiting) return;
    if (++this.damaged > MAX_DAMAGED) this.turnAway('it keeps finding replies damaged');
    else this.socket.write(this.awaiting);
  }

  private acknowledged(): void {
    this.damaged = 0;
    this.awaiting = undefined;
    this.flush();
  }

  private flush(): void {
    while (this.waiting.length > 0 && !(this.acking && this.awaiting)) {
      this.awaiting = this.waiting.shift()!;
      this.socket.write(this.awaiting);
    }
    if (this.leaving && this.waiting.length === 0) this.socket.end();
  }

  private turnAway(why: string): void {
    if (this.leaving) return;
    this.leaving = true;
    this.socket.destroy();
    this.listener.gone(notADebugger(why));
  }
}
