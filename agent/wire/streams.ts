/**
 * A byte stream on a WebSocket of its own. Binary frames are the bytes; the text frame `end` means that no more come
 * from that side, so each direction ends by itself, as with TCP. A socket that closes before both directions have
 * ended was cut: then the stream is destroyed with `stream-cut`, and 'end' is never emitted.
 */
import { Duplex } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { RawData, WebSocket } from 'ws';
import { badMessage } from '../api/errors';
import { answerPings, closeWith } from './closing';
import { streamCut } from './errors';

/** Bytes in one frame: large enough for full speed, small enough that a paused reader holds little. */
export const MAX_CHUNK_BYTES = 256 * 1024;
/** What a side buffers before it asks its source to wait. */
const BUFFER_BYTES = MAX_CHUNK_BYTES;

const END = 'end';
const CLOSE_DONE = 1000;
const CLOSE_CUT = 4001;

export class SocketStream extends Duplex {
  readonly #socket: WebSocket;
  #sentEnd = false;
  #receivedEnd = false;

  constructor(socket: WebSocket) {
    super({ readableHighWaterMark: BUFFER_BYTES, writableHighWaterMark: BUFFER_BYTES });
    this.#socket = socket;
    answerPings(socket);
    socket.on('message', (data, isBinary) => this.#receive(data, isBinary));
    socket.on('error', (error) => this.destroy(streamCut(error.message)));
    socket.once('close', (_code, reason) => {
      if (!this.#sentEnd || !this.#receivedEnd)
        this.destroy(streamCut(reason.toString() || 'the other side is gone'));
    });
    // A cut without a listener must not end the process; the stream's users get the error all the same.
    this.on('error', () => {});
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (this.destroyed) return;
    if (this.#receivedEnd) this.destroy(badMessage('the stream', 'there are bytes after its end'));
    else if (isBinary) {
      if (!this.push(data as Buffer)) this.#socket.pause();
    } else if (data.toString() === END) {
      this.#receivedEnd = true;
      this.push(null);
      this.#closeWhenDone();
    } else this.destroy(badMessage('the stream', 'it has a text frame that is not its end'));
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const frame = chunk.subarray(0, MAX_CHUNK_BYTES);
    const rest = chunk.subarray(MAX_CHUNK_BYTES);
    // The callback comes when the kernel has taken the frame: that is the back pressure.
    this.#send(frame, () => {
      if (rest.length > 0) this._write(rest, 'binary', done);
      else done();
    });
  }

  override _final(done: () => void): void {
    this.#send(END, () => {
      this.#sentEnd = true;
      this.#closeWhenDone();
      done();
    });
  }

  /** A frame that can't be sent is followed by the socket's 'close', which knows why and destroys the stream. */
  #send(frame: Buffer | string, sent: () => void): void {
    this.#socket.send(frame, { binary: typeof frame !== 'string' }, (error) => {
      if (!error) sent();
    });
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#sentEnd || !this.#receivedEnd) {
      closeWith(this.#socket, CLOSE_CUT, error?.message ?? 'the other side gave it up');
      // A reader that had paused would never see the closing handshake.
      this.#socket.resume();
    }
    done(error);
  }

  #closeWhenDone(): void {
    if (this.#sentEnd && this.#receivedEnd) this.#socket.close(CLOSE_DONE);
  }
}

/**
 * Joins two streams, both directions, each to its own end. Resolves when both have ended cleanly; when either is
 * cut, cuts the other and rejects. A net.Socket must come from a server with `allowHalfOpen`, else it closes both its
 * directions with the first, which is a cut. `explain`: the error that the streams' other sides get, where more is known
 * about the cut.
 */
export async function pipeStreams(
  a: Duplex,
  b: Duplex,
  explain: (error: Error) => Promise<Error> | Error = (error) => error,
): Promise<void> {
  try {
    a.pipe(b).pipe(a);
    // Nothing is piped into a side that has finished; the other is read on all the same, or its end is never seen.
    a.once('finish', () => b.resume());
    b.once('finish', () => a.resume());
    await Promise.all([finished(a), finished(b)]);
  } catch (error) {
    const why = await explain(error as Error);
    a.destroy(why);
    b.destroy(why);
    throw why;
  }
}
