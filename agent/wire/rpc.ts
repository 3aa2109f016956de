/**
 * One connection: hello, then JSON-RPC 2.0 over a WebSocket, one message a text frame. Both sides use this class;
 * the one that was given handlers answers calls.
 */
import type { Duplex } from 'node:stream';
import {
  AbstractMessageReader,
  AbstractMessageWriter,
  type CancellationToken,
  CancellationTokenSource,
  createMessageConnection,
  type DataCallback,
  type Message,
  type MessageConnection,
  ParameterStructures,
  ResponseError,
} from 'vscode-jsonrpc/node';
import type { RawData, WebSocket } from 'ws';
import type { ZodType } from 'zod';
import type { CallOptions, Contract, Events, Handlers } from '../api/contract';
import { asGodwitError, badMessage, type GodwitError } from '../api/errors';
import type { User } from '../api/model';
import { parseWith } from '../api/schema';
import { Account, AMPLE, MAX_MESSAGE_BYTES, Serving } from './allowance';
import { answerPings, closeWith } from './closing';
import { firstOf, lateAfter } from './deadline';
import { CANCEL, type Envelope, fromWireError, readEnvelope, toWireError } from './envelope';
import * as errors from './errors';
import { type Heartbeat, keepAlive } from './heartbeat';
import { HELLO_TIMEOUT_MS, type Hello, type Kind, readHello, writeHello } from './hello';

/** Every call that is not known to take longer. */
export const CALL_TIMEOUT_MS = 30_000;

/** WebSocket close codes (RFC 6455, 7.4); those from 4000 on are an application's own. */
const CLOSE_NORMAL = 1000;
const CLOSE_TOO_LARGE = 1009;
const CLOSE_FAULT = 4000;

/** Of a ping or a pong, its mask included (RFC 6455, 5.2). */
const CONTROL_HEADER_BYTES = 6;

export interface ConnectionOptions {
  self: { kind: Kind; name: string };
  /** The name proven by the other side's certificate. */
  expectName?: string | undefined;
  service?: { contract: Contract; handlers: Handlers<Contract> } | undefined;
  /** The user who alone can be at the other side; absent for root and for agents. */
  user?: User | undefined;
  /** What the WebSocket goes over, on the side that answers. */
  transport?: Duplex | undefined;
  /** Events that this side listens to. */
  events?: Events | undefined;
  heartbeat?: Heartbeat | undefined;
  /** That of all connections of the other side's; one of its own if absent. */
  account?: Account | undefined;
}

export class Connection {
  /** The other side's hello; rejects if it gives none, or a wrong one. */
  readonly ready: Promise<Hello>;
  /** Resolves with why the connection ended. */
  readonly closed: Promise<GodwitError>;

  readonly #socket: WebSocket;
  readonly #options: ConnectionOptions;
  readonly #rpc: MessageConnection;
  readonly #lost = new AbortController();
  readonly #listeners = new Map<string, Set<(payload: unknown) => void>>();
  readonly #account: Account;
  readonly #serving: Serving;
  /** Calls of this side that the other has not answered yet, given up or not. */
  readonly #asked = new Set<number>();
  /** Bytes of a message that has come in part. */
  #partial = 0;
  #hello: Hello | undefined;
  #fault: GodwitError | undefined;
  /** Why the library's last write did not reach the socket; it keeps the sentence only. */
  #unwritten: GodwitError | undefined;
  #deliver: DataCallback = () => {};

  constructor(socket: WebSocket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#account = options.account ?? new Account();
    this.#serving = new Serving(this.#account);
    this.#account.join(this);
    answerPings(socket);
    for (const control of ['ping', 'pong'] as const)
      socket.on(control, (data) => this.#received(data.length + CONTROL_HEADER_BYTES));
    this.#rpc = createMessageConnection(this.#reader(), this.#writer());
    this.#rpc.onRequest((method, params, token) => this.#answer(method, params, token));
    this.#rpc.onNotification((event, payload) => this.#handleEvent(event, payload));
    this.#rpc.listen();
    this.closed = new Promise((resolve) =>
      socket.once('close', (code, reason) => {
        const error = this.#fault ?? explainClose(code, reason.toString());
        this.#lost.abort(error);
        this.#rpc.dispose();
        this.#leave();
        resolve(error);
      }),
    );
    socket.on('error', (error) => {
      this.#fault ??= explainSocketError(error);
    });
    this.ready = this.#greet();
    // A caller that does not await the hello gets its failure from `closed`.
    this.ready.catch(() => {});
    if (options.heartbeat) keepAlive(socket, options.heartbeat, (ms) => this.#fail(errors.silent(ms)));
  }

  /** Calls a method of the other side; see Remote.call for the errors. */
  async call(
    method: string,
    params: object,
    result: ZodType,
    { signal, timeoutMs = CALL_TIMEOUT_MS }: CallOptions = {},
  ): Promise<unknown> {
    if (this.#lost.signal.aborted) throw this.#lostError();
    if (signal?.aborted) throw errors.callCancelled(method);
    if (this.#asked.size >= AMPLE.calls) throw errors.tooManyCalls(AMPLE.calls);
    const cancellation = new CancellationTokenSource();
    try {
      const answer = this.#request(method, params, cancellation.token);
      const settled = await firstOf(answer, {
        lost: { signal: this.#lost.signal, error: () => this.#lostError() },
        cancelled: { signal, error: () => errors.callCancelled(method) },
        late: { afterMs: timeoutMs, error: () => errors.callTimedOut(method, timeoutMs) },
      });
      return parseWith(result, settled, `the answer to ${method}`);
    } finally {
      // Of an answered call there is nothing left to cancel.
      if (!this.#lost.signal.aborted) cancellation.cancel();
      cancellation.dispose();
    }
  }

  /** Sends an event. The connection ends if the other side leaves too many unread. */
  emit(event: string, payload: object): void {
    if (this.#socket.readyState === this.#socket.OPEN)
      this.#send(JSON.stringify({ jsonrpc: '2.0', method: event, params: payload }), event);
  }

  get transport(): Duplex | undefined {
    return this.#options.transport;
  }

  /** Bytes have come; called before they are looked at. */
  receive(bytes: number): void {
    this.#partial += bytes;
    if (!this.#account.receive(bytes)) this.#fail(errors.tooManyCallBytes(this.#account.allowance.bytes));
  }

  /** They were a whole message, or that many of them were none: pings may come amid a message. */
  #received(bytes = this.#partial): void {
    const gone = Math.min(bytes, this.#partial);
    this.#account.receive(-gone);
    this.#partial -= gone;
  }

  #leave(): void {
    this.#received();
    this.#serving.endAll();
    this.#account.leave(this);
  }

  get unsent(): number {
    return this.#socket.bufferedAmount;
  }

  /** Returns a function that stops listening. */
  on(event: string, listener: (payload: unknown) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  close(): void {
    this.#fault ??= errors.connectionLost('it was closed on this side');
    closeWith(this.#socket, CLOSE_NORMAL, '');
  }

  /** Closes the connection because of what the other side did, with that as the reason. */
  #fail(error: GodwitError): void {
    this.#fault ??= error;
    closeWith(this.#socket, CLOSE_FAULT, `${error.code}: ${error.message}`);
  }

  #lostError(): GodwitError {
    const reason = asGodwitError(this.#lost.signal.reason);
    return reason.code === 'connection-lost' ? reason : errors.connectionLost(reason.message);
  }

  /** Sends a hello, and takes the other side's; from then on each frame is a message. */
  #greet(): Promise<Hello> {
    return new Promise((resolve, reject) => {
      const inTime = lateAfter(HELLO_TIMEOUT_MS, () => this.#fail(errors.noHello(HELLO_TIMEOUT_MS)));
      void this.closed.then((error) => {
        inTime();
        reject(error);
      });
      this.#socket.on('message', (data, isBinary) => {
        this.#received();
        if (this.#socket.readyState !== this.#socket.OPEN) return;
        try {
          const text = readText(data, isBinary);
          if (this.#hello) {
            this.#receive(text);
            return;
          }
          this.#hello = readHello(text, this.#options.expectName);
          inTime();
          resolve(this.#hello);
        } catch (error) {
          this.#fail(asGodwitError(error));
        }
      });
      this.#send(writeHello(this.#options.self), 'the hello');
    });
  }

  #receive(text: string): void {
    const message = readEnvelope(text);
    if (this.#isWanted(message, text.length)) this.#deliver(message as Message);
  }

  /** The library keeps what it is given until its turn comes: it gets nothing that was not asked for. */
  #isWanted(message: Envelope, bytes: number): boolean {
    if (!('method' in message)) return this.#asked.delete(message.id);
    if (!('id' in message)) return this.#isExpected(message);
    const refusal = this.#serving.begin(message.id, bytes);
    if (refusal) this.#send(JSON.stringify(refuse(message.id, refusal)), 'the refusal');
    return !refusal;
  }

  /** @throws `bad-message` */
  #isExpected({ method, params }: Extract<Envelope, { method: string }>): boolean {
    if (method === CANCEL) return this.#serving.cancel(Number(params.id));
    if (!Object.hasOwn(this.#options.events ?? {}, method))
      throw badMessage('the message', `no event "${method}" is expected`);
    return true;
  }

  #send(text: string, what: string): void {
    const bytes = Buffer.byteLength(text);
    if (bytes > MAX_MESSAGE_BYTES) throw errors.messageTooLarge(what, bytes, MAX_MESSAGE_BYTES);
    if (this.#socket.readyState !== this.#socket.OPEN) throw errors.connectionLost('it is closing');
    // A send that fails is followed by the socket's 'close', which ends all calls.
    this.#socket.send(text, () => {});
    if (this.#socket.bufferedAmount === 0) return;
    const overdue = this.#account.overdue;
    if (overdue !== undefined) this.#fail(errors.slowReader(overdue));
  }

  #request(method: string, params: object, token: CancellationToken): Promise<unknown> {
    this.#unwritten = undefined;
    const answer = this.#rpc.sendRequest(method, ParameterStructures.byName, params, token);
    // The library rejects as well, later and with another error.
    answer.catch(() => {});
    if (this.#unwritten) throw this.#unwritten;
    return answer.catch((error) => {
      throw fromWireError(error);
    });
  }

  async #answer(method: string, params: unknown, token: CancellationToken): Promise<unknown> {
    const given = new AbortController();
    const giveUp = () => given.abort(errors.callCancelled(method));
    const lost = this.#lost.signal;
    lost.addEventListener('abort', giveUp);
    token.onCancellationRequested(giveUp);
    if (token.isCancellationRequested) giveUp();
    try {
      const { contract, handlers } = this.#options.service ?? NO_SERVICE;
      const entry = Object.hasOwn(contract, method) ? contract[method] : undefined;
      if (!entry) throw errors.noSuchMethod(method);
      const parsed = parseWith(entry.params, params, `the params of ${method}`);
      const { name, kind, protocol } = this.#hello!;
      const { user } = this.#options;
      return await handlers[method]!(parsed, {
        ...{ name, kind, protocol, user, signal: given.signal, connection: this },
      });
    } catch (error) {
      const { code, message, data } = toWireError(error);
      throw new ResponseError(code, message, data);
    } finally {
      lost.removeEventListener('abort', giveUp);
    }
  }

  #handleEvent(event: string, payload: unknown): void {
    try {
      const parsed = parseWith(this.#options.events![event]!, payload, `the event ${event}`);
      for (const listener of this.#listeners.get(event) ?? []) listener(parsed);
    } catch (error) {
      this.#fail(asGodwitError(error));
    }
  }

  #reader(): AbstractMessageReader {
    const connection = this;
    return new (class extends AbstractMessageReader {
      listen(deliver: DataCallback) {
        connection.#deliver = deliver;
        return { dispose: () => {} };
      }
    })();
  }

  #writer() {
    const connection = this;
    return new (class extends AbstractMessageWriter {
      async write(message: Message) {
        try {
          connection.#write(message);
        } catch (error) {
          connection.#unwritten = asGodwitError(error);
          throw error;
        }
      }
      end() {}
    })();
  }

  #write(message: Message & { id?: unknown; method?: string }): void {
    const { id, method } = message;
    if (method === undefined && typeof id === 'number') this.#reply(id, message);
    else {
      this.#send(JSON.stringify(message), method ?? 'the message');
      if (typeof id === 'number') this.#asked.add(id);
    }
  }

  #reply(id: number, message: Message): void {
    this.#serving.end(id);
    try {
      this.#send(JSON.stringify(message), 'the answer');
    } catch (error) {
      // An answer that can't be sent must not leave the caller waiting.
      if (this.#socket.readyState === this.#socket.OPEN)
        this.#send(JSON.stringify(refuse(id, error)), 'the refusal');
    }
  }
}

const NO_SERVICE = { contract: {}, handlers: {} } as { contract: Contract; handlers: Handlers<Contract> };

const refuse = (id: number, error: unknown) => ({ jsonrpc: '2.0', id, error: toWireError(error) });

function readText(data: RawData, isBinary: boolean): string {
  if (isBinary) throw badMessage('the message', 'it is binary, and must be text');
  return data.toString();
}

function explainSocketError(error: Error & { code?: unknown }): GodwitError {
  if (error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH')
    return badMessage('the message', `it is larger than ${MAX_MESSAGE_BYTES} bytes`);
  return errors.connectionLost(error.message);
}

function explainClose(code: number, reason: string): GodwitError {
  if (code === CLOSE_TOO_LARGE) return errors.connectionLost('a message was too large for the other side');
  if (reason) return errors.connectionLost(`the other side closed it: ${reason}`);
  if (code === CLOSE_NORMAL) return errors.connectionLost('the other side closed it');
  return errors.connectionLost('the other side is gone');
}
