/**
 * One end of an ordered, reliable channel of messages over byte streams that may be cut and replaced at any time: an
 * agent between line and stub restarts, the stub moves to another node. Each message arrives once and in order.
 *
 * Messages are numbered from 1. On every new stream both ends say hello with the number of the last message that
 * they received; each then sends what the other lacks. A message is kept until the other end acknowledges it.
 *
 * Two others do the same for other data, and can't share this. homefs/wire.c runs in the two file servers and counts
 * bytes, not messages, in a ring: a mount's throughput depends on it, and neither end ever moves. client/terminal.ts has
 * one piece under way, repeated until it is answered; PID 1 of the job counts what it took (helper/terminal.c). Here an
 * end is a value that travels with the stub, together with its unacknowledged messages.
 */
import { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { z } from 'zod';
import { asGodwitError, badMessage, type Failure, GodwitError } from '../../api/errors';
import { parseWith } from '../../api/schema';
import {
  Count,
  type Data,
  encodeFrame,
  type Frame,
  FrameReader,
  type Hello,
  MAX_MESSAGE,
  Message,
  messageBytes,
  refusal,
} from './frames';

export { MAX_FRAME, Message } from './frames';

/** Messages kept unacknowledged. RSP is question and answer: even a few dozen mean that something is wrong. */
export const MAX_UNACKED = 1024;
/** Bytes of them. In a move they travel as JSON, where some take six times as many. */
export const MAX_UNACKED_BYTES = 2 << 20;
/** Milliseconds in which the other end must say hello; a stream without one is as good as cut. */
export const HELLO_TIMEOUT = 30_000;
/** Milliseconds in which an acknowledgement may go with a message; and bytes that are acknowledged at once. */
export const ACK_WITHIN = 20;
const ACK_AT_ONCE = 256 << 10;
/** Milliseconds that a stream which is let go has to deliver what was written to it. */
const LINGER = 2_000;

/** All that an end is, between two messages: JSON that can travel and become the same end elsewhere. */
export const SessionState = z.strictObject({
  /** The number that the next message sent will bear. */
  next: z.int().min(1),
  /** The number of the last message received. */
  received: Count,
  /** Messages next - length … next - 1. */
  unacked: z.array(Message).max(MAX_UNACKED),
});
export type SessionState = z.infer<typeof SessionState>;

export const wrongSession = () =>
  new GodwitError({
    code: 'wrong-session',
    message: 'another debugger is attached here',
    fix: 'one debugger at a time can follow a process; end the other one first',
  });

export const sessionLost = () =>
  new GodwitError({
    code: 'debug-session-lost',
    message: "the debug connection's two ends no longer know the same messages",
    fix: 'attach the debugger anew',
  });

export const sessionOverflow = () =>
  new GodwitError({
    code: 'debug-session-overflow',
    message: `the debug connection was cut, and more than ${MAX_UNACKED} messages or ${MAX_UNACKED_BYTES} bytes wait for it`,
    fix: 'attach the debugger anew',
  });

const streamEnded = (why: string) =>
  new GodwitError({ code: 'debug-stream-cut', message: `the debug connection was cut: ${why}` });

/** Tells the session at the other end of `stream`, instead of a hello, why it is not served; then ends the stream. */
export function refuse(stream: Duplex, why: Failure): void {
  stream.on('error', () => {});
  if (stream.writable) stream.write(encodeFrame(refusal(why)));
  letGo(stream);
}

interface SessionEvents {
  message: [message: Message];
  /** A stream is joined and both ends know what the other has. */
  connected: [];
  /** The stream is gone; the session is whole and waits for another. Not after `detach`. */
  cut: [why: GodwitError];
  /** All that was sent has been acknowledged. */
  acknowledged: [];
  /** The other end refuses this one; a cut follows. */
  refused: [why: GodwitError];
  /** The session has ended: it sends and receives nothing any more. */
  failed: [why: GodwitError];
}

interface Kept {
  message: Message;
  bytes: number;
}

/** What belongs to one stream, and goes with it. */
interface Connection {
  stream: Duplex;
  greeted: boolean;
  ackDue: boolean;
  /** Bytes that were received and are not acknowledged. */
  owed: number;
  ackTimer: NodeJS.Timeout | undefined;
  helloTimer: NodeJS.Timeout;
}

export class Session extends EventEmitter<SessionEvents> {
  private next: number;
  private received: number;
  private unacked: Kept[] = [];
  private unackedBytes = 0;
  private connection: Connection | undefined;
  private ended: GodwitError | undefined;

  constructor(
    readonly id: string,
    state: SessionState = { next: 1, received: 0, unacked: [] },
  ) {
    super();
    this.next = state.next;
    this.received = state.received;
    for (const message of state.unacked) this.keep(message);
  }

  get connected(): boolean {
    return this.connection?.greeted ?? false;
  }

  /** Has the other end acknowledged everything? */
  get settled(): boolean {
    return this.unacked.length === 0;
  }

  /** Why the session has ended, if it has. */
  get failure(): GodwitError | undefined {
    return this.ended;
  }

  /**
   * This end as it is now. Detach first: an end goes on in one place only. A message counts as received from the
   * moment its event is emitted.
   */
  state(): SessionState {
    return { next: this.next, received: this.received, unacked: this.unacked.map(({ message }) => message) };
  }

  /** Sends now or as soon as there is a stream. @throws bad-message; too many waiting ones end the session (`failed`). */
  send(message: Message): void {
    if (this.ended) return;
    parseWith(Message, message, 'a debug message');
    this.keep(message);
    if (this.unacked.length > MAX_UNACKED || this.unackedBytes > MAX_UNACKED_BYTES) {
      this.fail(sessionOverflow());
      return;
    }
    const n = this.next++;
    if (this.connection?.greeted) this.writeData(this.connection, n, message);
  }

  /** Joins the session to a stream, in place of any that it had. */
  attach(stream: Duplex): void {
    if (this.ended) {
      refuse(stream, this.ended);
      return;
    }
    this.detach();
    const helloTimer = setTimeout(
      () => this.cut(connection, streamEnded('no hello came')),
      HELLO_TIMEOUT,
    ).unref();
    const connection: Connection = {
      ...{ stream, greeted: false, ackDue: false, owed: 0, ackTimer: undefined, helloTimer },
    };
    this.connection = connection;
    const reader = new FrameReader();
    stream.on('data', (chunk: Buffer) => this.take(connection, reader, chunk));
    stream.on('drain', () => this.flushAck(connection));
    stream.on('error', (error) => this.cut(connection, streamEnded(error.message)));
    stream.on('end', () => this.cut(connection, streamEnded('it ended')));
    stream.on('close', () => this.cut(connection, streamEnded('it was closed')));
    if (stream.destroyed) queueMicrotask(() => this.cut(connection, streamEnded('it was closed')));
    this.write(connection, { hello: { session: this.id, received: this.received } });
  }

  /** Leaves the stream, delivering what is written already. The session is whole and can be attached again. */
  detach(): void {
    const { connection } = this;
    if (!connection) return;
    this.flushAck(connection);
    this.drop(connection);
    letGo(connection.stream);
  }

  private take(connection: Connection, reader: FrameReader, chunk: Buffer): void {
    if (this.connection !== connection) return;
    let frames: Frame[];
    try {
      frames = reader.push(chunk);
    } catch (error) {
      this.cut(connection, asGodwitError(error));
      return;
    }
    for (const frame of frames) {
      // A listener may have detached or replaced the stream: what it still brings is sent again on the next one.
      if (this.connection === connection) this.handle(connection, frame);
    }
  }

  private handle(connection: Connection, frame: Frame): void {
    const flaw = this.flawOf(connection, frame);
    if (flaw) this.cut(connection, badMessage('a debug frame', flaw));
    else if ('hello' in frame) this.greet(connection, frame.hello);
    else if ('data' in frame) this.receive(connection, frame.data);
    else if ('ack' in frame) this.acknowledge(frame.ack);
    else {
      const why = new GodwitError(frame.refused);
      this.emit('refused', why);
      this.cut(connection, why);
    }
  }

  /** What makes a frame impossible here and now, though its shape is right. */
  private flawOf({ greeted }: Connection, frame: Frame): string | undefined {
    if ('refused' in frame) return undefined;
    if ('hello' in frame) return greeted ? 'a second hello' : undefined;
    if (!greeted) return 'the first must be a hello';
    const ack = 'data' in frame ? frame.data.ack : frame.ack;
    if (ack >= this.next) return `message ${ack} is acknowledged, ${this.next - 1} were sent`;
    if ('data' in frame && frame.data.n > this.received + 1)
      return `message ${frame.data.n} follows ${this.received}`;
    return undefined;
  }

  private greet(connection: Connection, { session, received }: Hello): void {
    if (session !== this.id) {
      this.turnAway(connection, wrongSession());
      return;
    }
    if (received >= this.next || received < this.next - 1 - this.unacked.length) {
      this.turnAway(connection, sessionLost());
      return;
    }
    clearTimeout(connection.helloTimer);
    connection.greeted = true;
    let n = received + 1;
    // The acknowledgement is counted afterwards: its listeners may let go of the stream.
    for (const { message } of this.unacked.slice(this.unacked.length - (this.next - n)))
      this.writeData(connection, n++, message);
    this.emit('connected');
    this.acknowledge(received);
  }

  private receive(connection: Connection, { n, ack, message }: Data): void {
    this.owe(connection, messageBytes(message));
    this.acknowledge(ack);
    if (n <= this.received || this.connection !== connection) return;
    this.received = n;
    this.emit('message', message);
  }

  private acknowledge(ack: number): void {
    const known = ack - (this.next - 1 - this.unacked.length);
    if (known <= 0) return;
    for (const { bytes } of this.unacked.splice(0, known)) this.unackedBytes -= bytes;
    if (this.settled) this.emit('acknowledged');
  }

  private keep(message: Message): void {
    const bytes = messageBytes(message);
    if (bytes > MAX_MESSAGE) throw badMessage('a debug message', `it is longer than ${MAX_MESSAGE} bytes`);
    this.unacked.push({ message, bytes });
    this.unackedBytes += bytes;
  }

  private writeData(connection: Connection, n: number, message: Message): void {
    this.acked(connection);
    this.write(connection, { data: { n, ack: this.received, message } });
  }

  /** Acknowledges before long: with the next message, or alone, but never on top of a stream that is not read. */
  private owe(connection: Connection, bytes: number): void {
    connection.ackDue = true;
    connection.owed += bytes;
    if (connection.owed >= ACK_AT_ONCE) setImmediate(() => this.flushAck(connection));
    connection.ackTimer ??= setTimeout(() => this.flushAck(connection), ACK_WITHIN);
  }

  private flushAck(connection: Connection): void {
    if (this.connection !== connection || !connection.ackDue || connection.stream.writableNeedDrain) return;
    this.acked(connection);
    this.write(connection, { ack: this.received });
  }

  private acked(connection: Connection): void {
    clearTimeout(connection.ackTimer);
    connection.ackTimer = undefined;
    connection.ackDue = false;
    connection.owed = 0;
  }

  private write(connection: Connection, frame: Frame): void {
    if (connection.stream.writable) connection.stream.write(encodeFrame(frame));
  }

  private turnAway(connection: Connection, why: GodwitError): void {
    this.drop(connection);
    refuse(connection.stream, why);
    this.emit('cut', why);
  }

  private cut(connection: Connection, why: GodwitError): void {
    if (this.connection !== connection) return;
    this.drop(connection);
    connection.stream.destroy();
    this.emit('cut', why);
  }

  private drop(connection: Connection): void {
    clearTimeout(connection.helloTimer);
    clearTimeout(connection.ackTimer);
    this.connection = undefined;
  }

  private fail(why: GodwitError): void {
    this.ended = why;
    const { connection } = this;
    if (connection) {
      this.drop(connection);
      refuse(connection.stream, why);
    }
    this.unacked = [];
    this.unackedBytes = 0;
    this.emit('failed', why);
  }
}

/**
 * Ends a stream once its bytes are delivered. It is not destroyed before the other end has ended too, or LINGER has
 * passed: bytes that arrive at a closed socket reset it, and what was written last would be lost.
 */
function letGo(stream: Duplex): void {
  if (stream.destroyed) return;
  const timer = setTimeout(() => stream.destroy(), LINGER).unref();
  stream.once('close', () => clearTimeout(timer));
  stream.resume();
  stream.end();
}
