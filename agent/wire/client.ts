/** The asking side. */
import { connect as connectSocket, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, connect as connectSecurely } from 'node:tls';
import { type ClientOptions, WebSocket } from 'ws';
import type { z } from 'zod';
import type {
  CallOptions,
  Contract,
  EventName,
  Events,
  Method,
  NoEvents,
  Remote,
  Result,
  SentParams,
} from '../api/contract';
import { GodwitError, noAgent, nodeUnreachable, notAdmitted } from '../api/errors';
import { MAX_MESSAGE_BYTES } from './allowance';
import { lateAfter } from './deadline';
import {
  type Endpoint,
  KEEPALIVE_MS,
  NO_MEMBER,
  NO_TICKET,
  RPC_PATH,
  STREAM_CLOSE_TIMEOUT_MS,
  STREAM_PATH,
  type StrangeEndpoint,
  type TlsEndpoint,
} from './endpoint';
import * as errors from './errors';
import { type Heartbeat, PEER_HEARTBEAT } from './heartbeat';
import type { Hello, Kind } from './hello';
import { Connection } from './rpc';
import { MAX_CHUNK_BYTES, SocketStream } from './streams';
import { expectNode, mutualTls, readCertificate, type TlsIdentity } from './tls';

/** From the first packet to the answered upgrade. */
export const CONNECT_TIMEOUT_MS = 5_000;

export interface ConnectOptions<C extends Contract, E extends Events> {
  /** This side's name and kind, as its hello gives them; over TLS the name must be the certificate's. */
  name: string;
  kind: Kind;
  contract: C;
  /** Events to listen to: all that the other side may send. */
  events?: E;
  timeoutMs?: number;
  heartbeat?: Heartbeat | undefined;
}

/** A Remote that also opens the streams it has been given tickets for. */
export class Client<C extends Contract, E extends Events = NoEvents> implements Remote<C, E> {
  readonly name: string;
  readonly kind: Kind;
  readonly version: string;
  readonly protocol: number;
  readonly closed: Promise<GodwitError>;

  constructor(
    readonly endpoint: Endpoint,
    private readonly contract: C,
    private readonly connection: Connection,
    hello: Hello,
  ) {
    this.name = hello.name;
    this.kind = hello.kind;
    this.version = hello.version;
    this.protocol = hello.protocol;
    this.closed = connection.closed;
  }

  call<M extends Method<C>>(
    method: M,
    params: SentParams<C, M>,
    options?: CallOptions,
  ): Promise<Result<C, M>> {
    const { result } = this.contract[method]!;
    return this.connection.call(method, params as object, result, options) as Promise<Result<C, M>>;
  }

  on<N extends EventName<E>>(event: N, listener: (payload: z.output<E[N]>) => void): () => void {
    return this.connection.on(event, listener as (payload: unknown) => void);
  }

  openStream(ticket: string): Promise<Duplex> {
    return openStream(this.endpoint, ticket);
  }

  close(): void {
    this.connection.close();
  }
}

/** @throws GodwitError `no-agent`, `wrong-version`, `connection-lost` */
export const connectUnix = <C extends Contract, E extends Events = NoEvents>(
  path: string,
  options: ConnectOptions<C, E>,
): Promise<Client<C, E>> => connect({ path }, options);

/**
 * @throws GodwitError `node-unreachable`, `certificate-refused`, `wrong-name`, `wrong-key`, `not-a-member`,
 *   `wrong-version`, `connection-lost`
 */
export const connectTls = <C extends Contract, E extends Events = NoEvents>(
  endpoint: TlsEndpoint,
  options: ConnectOptions<C, E>,
): Promise<Client<C, E>> => connect(endpoint, { heartbeat: PEER_HEARTBEAT, ...options });

/** @throws GodwitError what `trust` gives, `node-unreachable`, `wrong-version`, `connection-lost` */
export const connectStrange = <C extends Contract, E extends Events = NoEvents>(
  endpoint: StrangeEndpoint,
  options: ConnectOptions<C, E>,
): Promise<Client<C, E>> => connect(endpoint, { heartbeat: PEER_HEARTBEAT, ...options });

export async function connect<C extends Contract, E extends Events = NoEvents>(
  endpoint: Endpoint,
  options: ConnectOptions<C, E>,
): Promise<Client<C, E>> {
  const { name, kind, contract, events, heartbeat, timeoutMs } = options;
  const expectName = 'tls' in endpoint ? endpoint.expectName : undefined;
  const connection = await open(
    endpoint,
    RPC_PATH,
    { maxPayload: MAX_MESSAGE_BYTES },
    timeoutMs,
    (socket) => {
      return new Connection(socket, { self: { name, kind }, expectName, events, heartbeat });
    },
  );
  return new Client<C, E>(endpoint, contract, connection, await connection.ready);
}

/**
 * Opens the stream of a ticket. Each side end()s its own half; a stream that is cut fails with
 * `stream-cut` and never emits 'end'.
 * @throws GodwitError `ticket-refused`, and those of connectUnix and connectTls
 */
export function openStream(endpoint: Endpoint, ticket: string): Promise<Duplex> {
  const limits = { maxPayload: MAX_CHUNK_BYTES, closeTimeout: STREAM_CLOSE_TIMEOUT_MS };
  return open(
    endpoint,
    STREAM_PATH + ticket,
    limits,
    CONNECT_TIMEOUT_MS,
    (socket) => new SocketStream(socket),
  );
}

/** `take` gets the socket in the moment it opens, before its first message can be missed. */
function open<T>(
  endpoint: Endpoint,
  path: string,
  limits: ClientOptions,
  timeoutMs = CONNECT_TIMEOUT_MS,
  take: (socket: WebSocket) => T,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const transport = openSocket(endpoint);
    let trusted = false;
    transport.once('secureConnect', () => {
      trusted = true;
    });
    // Only the socket decides where it leads; the URL only carries the path behind its second colon. It is one of a
    // local socket, since VS Code has the requests of its extensions look for a proxy unless they go to such a one.
    const socket = new WebSocket(`ws+unix:/godwit:${path}`, {
      ...limits,
      generateMask,
      perMessageDeflate: false,
      autoPong: false,
      createConnection: () => transport,
    });
    const fail = (error: Error) => {
      inTime();
      reject(explain(endpoint, error, trusted));
      socket.terminate();
    };
    const inTime = lateAfter(timeoutMs, () => fail(new Error(`no answer within ${timeoutMs} ms`)));
    socket.on('error', fail);
    socket.once('unexpected-response', (_request, { statusCode }) => {
      if (statusCode === NO_TICKET) fail(errors.ticketRefused());
      else if (statusCode === NO_MEMBER && 'tls' in endpoint)
        fail(errors.notAdmitted(endpoint.expectName, readCertificate(endpoint.tls.cert)));
      else if (statusCode === 429) fail(errors.tooManyConnections());
      else fail(new Error(`it answers with HTTP status ${statusCode}`));
    });
    socket.once('open', () => {
      inTime();
      socket.removeListener('error', fail);
      resolve(take(socket));
    });
  });
}

/**
 * No masking: it keeps scripts in a browser from forging what proxies would cache (RFC 6455, 10.3), and here are
 * neither browsers nor proxies. It would cost a stream most of its speed.
 */
const generateMask = (mask: Buffer) => void mask.fill(0);

function openSocket(endpoint: Endpoint): Socket {
  if ('path' in endpoint) return connectSocket(endpoint.path);
  if ('trust' in endpoint) return openStrange(endpoint);
  const { address, port, tls, expectName, expectKey } = endpoint;
  return openTls(tls, {
    host: address,
    port,
    servername: expectName,
    checkServerIdentity: expectNode(expectName, expectKey),
  }).setKeepAlive(true, KEEPALIVE_MS);
}

/** Nothing is sent before the other side has shown who it is: until then the socket is corked. */
function openStrange({ address, port, trust }: StrangeEndpoint): Socket {
  const socket = connectSecurely({ host: address, port, minVersion: 'TLSv1.3', rejectUnauthorized: false });
  socket.cork();
  socket.once('secureConnect', () => {
    const why = trust(socket);
    if (why) socket.destroy(why);
    else socket.uncork();
  });
  return socket.setKeepAlive(true, KEEPALIVE_MS);
}

function openTls(tls: TlsIdentity, options: ConnectionOptions): Socket {
  try {
    return connectSecurely({ ...options, ...mutualTls(tls) });
  } catch (error) {
    throw errors.unreadableCertificate("this node's certificate", (error as Error).message);
  }
}

/** Codes that OpenSSL gives for a certificate it does not trust, and for alerts by which the other side refuses ours. */
const MISTRUST = /^(ERR_SSL_|ERR_TLS_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/;

function explain(endpoint: Endpoint, error: Error & { code?: unknown }, trusted: boolean): GodwitError {
  if (error instanceof GodwitError) return error;
  if ('path' in endpoint)
    return error.code === 'EACCES' ? notAdmitted(endpoint.path) : noAgent(endpoint.path, error.message);
  if ('trust' in endpoint) return nodeUnreachable(`${endpoint.address}:${endpoint.port}`, error.message);
  const { expectName } = endpoint;
  if (MISTRUST.test(String(error.code))) return errors.certificateRefused(expectName, error.message);
  // A server of Node's looks at the certificate after the handshake, and closes the connection without an alert.
  if (trusted && error.code === 'ECONNRESET')
    return errors.certificateRefused(expectName, "it hung up on this node's certificate");
  return nodeUnreachable(expectName, error.message);
}
