/** The answering side: the same protocol over TLS, for other nodes, and over a Unix socket, for this machine. */
import { chown, stat, unlink } from 'node:fs/promises';
import { createServer as createHttpServer, type Server as HttpServer, type IncomingMessage } from 'node:http';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket, TlsOptions as TlsServerOptions } from 'node:tls';
import { type WebSocket, WebSocketServer } from 'ws';
import type { z } from 'zod';
import type { CallerConnection, Contract, EventName, Events, Handlers, NoEvents } from '../api/contract';
import { GodwitError } from '../api/errors';
import type { User } from '../api/model';
import { Account, type Allowance, MAX_MESSAGE_BYTES } from './allowance';
import { CLOSE_GRACE_MS } from './closing';
import {
  checkSocketPath,
  KEEPALIVE_MS,
  NO_MEMBER,
  NO_TICKET,
  RPC_PATH,
  STREAM_CLOSE_TIMEOUT_MS,
  STREAM_PATH,
} from './endpoint';
import * as errors from './errors';
import { type Heartbeat, PEER_HEARTBEAT } from './heartbeat';
import type { Kind } from './hello';
import { Connection } from './rpc';
import { MAX_CHUNK_BYTES, SocketStream } from './streams';
import { handOver, type StreamCaller, type Tickets } from './tickets';
import { type Certified, certifiedAt, mutualTls, oneSidedTls, type TlsIdentity } from './tls';

/** One connection for each client and peer and one for each stream: far above what a node's jobs need. */
const MAX_CONNECTIONS = 4096;
/** Enough for an upgrade request; there are no cookies here. */
const MAX_HEADER_BYTES = 8 * 1024;
/** From the connection to a complete upgrade request, the TLS handshake apart. */
const REQUEST_TIMEOUT_MS = 5_000;
const HANDSHAKE_TIMEOUT_MS = 5_000;
/** How often half-open requests are looked for. */
const CHECK_INTERVAL_MS = 1_000;
/** Connections beyond those that may be: they are accepted for as long as it takes to refuse them. */
const CONNECTIONS_REFUSED = 64;

export interface ServeOptions<C extends Contract, E extends Events> {
  /** This side's name and kind, as its hello gives them. */
  name: string;
  kind: Kind;
  contract: C;
  handlers: Handlers<C>;
  /** Events that this side may send. */
  events?: E;
  tickets?: Tickets;
  /** Called for each connection whose hello was good. */
  onConnection?: (peer: Peer<E>) => void;
  maxConnections?: number;
  /** Where there are as many already, the oldest connection of which this holds is closed for a new one. */
  givesWay?: (socket: Socket) => boolean;
  /** Of all connections together; each has one of its own if absent. */
  allowance?: Allowance | undefined;
  heartbeat?: Heartbeat | undefined;
}

export interface TlsOptions {
  host: string;
  /** 0 for any free one. */
  port: number;
  tls: TlsIdentity;
  /** Whether a node with a certificate of the authority is spoken with; the answer may change, see `Server.review`. */
  admits: (who: Certified) => boolean;
}

export interface UnixOptions {
  path: string;
  /** Permissions of the socket's file; 0600 if not given. */
  mode?: number;
  /** The user whose the file is, and as whom its clients count; root if not given. */
  user?: User;
}

/** A connected other side. */
export interface Peer<E extends Events = NoEvents> {
  readonly name: string;
  readonly kind: Kind;
  readonly version: string;
  emit<N extends EventName<E>>(event: N, payload: z.input<E[N]>): void;
  readonly closed: Promise<Error>;
  /** As the handlers of its calls have it. */
  readonly connection: CallerConnection;
  close(): void;
}

export interface Server<E extends Events = NoEvents> {
  /** 0 for a Unix socket. */
  readonly port: number;
  readonly peers: ReadonlySet<Peer<E>>;
  /** Sends an event to all that are connected. */
  emit<N extends EventName<E>>(event: N, payload: z.input<E[N]>): void;
  /** Cuts off, at once, all calls and streams of nodes that are no longer admitted. */
  review(): void;
  /** New connections are shown this certificate; those that are there go on. */
  renew(tls: TlsIdentity): void;
  /** Stops listening, closes all connections and cuts all streams. */
  close(): Promise<void>;
}

/**
 * A peer without a certificate of the cluster's authority does not get past the TLS handshake, and one that `admits`
 * does not name not past the upgrade; the caller's name is the common name of its certificate.
 * @throws GodwitError `address-taken`, `cannot-listen`, `unreadable-certificate`
 */
export async function serveTls<C extends Contract, E extends Events = NoEvents>(
  options: ServeOptions<C, E> & TlsOptions,
): Promise<Server<E>> {
  const { host, port, tls, heartbeat = PEER_HEARTBEAT } = options;
  const http = createTlsServer(mutualTls(tls));
  const service = new Service(http, { ...options, heartbeat }, { admits: options.admits });
  await listen(http, { host, port }, `${host}:${port}`);
  return service.server();
}

/**
 * For machines without a certificate: any may connect and ask, and it is for the handlers to find out which one it is.
 * @param tls the certificate is this side's own, followed by its authority's
 * @throws GodwitError `address-taken`, `cannot-listen`, `unreadable-certificate`
 */
export async function serveStrangers<C extends Contract>(
  options: ServeOptions<C, NoEvents> & { host: string; port: number; tls: Pick<TlsIdentity, 'cert' | 'key'> },
): Promise<Server> {
  const { host, port, tls, heartbeat = PEER_HEARTBEAT } = options;
  const http = createTlsServer(oneSidedTls(tls));
  const service = new Service<C, NoEvents>(http, { ...options, heartbeat }, {});
  await listen(http, { host, port }, `${host}:${port}`);
  return service.server();
}

/**
 * A client that may write to the socket's file may ask anything. A file that a dead process left is replaced.
 * @throws GodwitError `address-taken`, `cannot-listen`, `socket-path-too-long`
 */
export async function serveUnix<C extends Contract, E extends Events = NoEvents>(
  options: ServeOptions<C, E> & UnixOptions,
): Promise<Server<E>> {
  const { path, mode = 0o600, user } = options;
  checkSocketPath(path);
  const http = createHttpServer(HTTP_LIMITS);
  const service = new Service(http, options, { user });
  await listenUnix(http, path, mode);
  if (user) await chown(path, user.uid, user.gid);
  return service.server();
}

/**
 * The same for connections that another listener has accepted: `take` is given each of them, which all count as `user`.
 * As callers' `transport` handlers have them.
 */
export function serveHanded<C extends Contract, E extends Events = NoEvents>(
  options: ServeOptions<C, E> & Pick<UnixOptions, 'user'>,
): { take(socket: Socket): void } {
  const http = createHttpServer(HTTP_LIMITS);
  new Service(http, options, { user: options.user });
  return { take: (socket) => void http.emit('connection', socket) };
}

const HTTP_LIMITS = {
  maxHeaderSize: MAX_HEADER_BYTES,
  headersTimeout: REQUEST_TIMEOUT_MS,
  requestTimeout: REQUEST_TIMEOUT_MS,
  connectionsCheckingInterval: CHECK_INTERVAL_MS,
  keepAliveTimeout: 1,
} as const;

function createTlsServer(tls: TlsServerOptions): HttpServer {
  try {
    return createHttpsServer({ ...HTTP_LIMITS, ...tls, handshakeTimeout: HANDSHAKE_TIMEOUT_MS });
  } catch (error) {
    throw errors.unreadableCertificate("this node's certificate", (error as Error).message);
  }
}

/** What one listening server keeps: its upgraded sockets and its connections. */
class Service<C extends Contract, E extends Events> {
  readonly #http: HttpServer;
  readonly #options: ServeOptions<C, E>;
  readonly #sockets = new Set<Socket>();
  /** Who is at the other end of each upgraded socket, over TLS. */
  readonly #certified = new Map<Duplex, Certified>();
  readonly #peers = new Set<Peer<E>>();
  readonly #shared: Account | undefined;
  readonly #rpc = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    autoPong: false,
    maxPayload: MAX_MESSAGE_BYTES,
  });
  readonly #streams = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    autoPong: false,
    maxPayload: MAX_CHUNK_BYTES,
    closeTimeout: STREAM_CLOSE_TIMEOUT_MS,
  } as ConstructorParameters<typeof WebSocketServer>[0]);

  constructor(
    http: HttpServer,
    options: ServeOptions<C, E>,
    private readonly callers: { user?: User | undefined; admits?: TlsOptions['admits'] },
  ) {
    this.#http = http;
    this.#options = options;
    this.#shared = options.allowance && new Account(options.allowance);
    http.maxConnections = this.#mostConnections + CONNECTIONS_REFUSED;
    http.on('connection', (socket: Socket) => {
      if (this.#sockets.size >= this.#mostConnections) this.#makeRoom();
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      socket.setKeepAlive(true, KEEPALIVE_MS);
    });
    http.on('request', (_request, response) => {
      response.writeHead(404, { connection: 'close' }).end();
    });
    http.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    // One connection that can't be accepted (too many open files) is no reason to end the agent.
    http.on('error', () => {});
  }

  server(): Server<E> {
    const address = this.#http.address();
    return {
      port: typeof address === 'object' ? ((address as AddressInfo | null)?.port ?? 0) : 0,
      peers: this.#peers,
      emit: (event, payload) => {
        for (const peer of this.#peers) peer.emit(event, payload);
      },
      review: () => this.#review(),
      renew: (tls) => (this.#http as HttpsServer).setSecureContext(mutualTls(tls)),
      close: () => this.#close(),
    };
  }

  #makeRoom(): void {
    const { givesWay } = this.#options;
    if (!givesWay) return;
    for (const socket of this.#sockets)
      if (givesWay(socket)) {
        this.#sockets.delete(socket);
        socket.destroy();
        return;
      }
  }

  get #mostConnections(): number {
    return this.#options.maxConnections ?? MAX_CONNECTIONS;
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const path = request.url ?? '';
    const admitted = this.#admit(request, socket);
    const caller = this.#certified.get(socket)?.name;
    if (!admitted) refuse(socket, `${NO_MEMBER} Forbidden`);
    else if (this.#sockets.size > this.#mostConnections) refuse(socket, '429 Too Many Requests');
    else if (path === RPC_PATH)
      this.#rpc.handleUpgrade(request, socket, head, (upgraded) => {
        const connection = this.#connect(upgraded, caller, socket);
        // Before the library's own, which finds the whole messages in it.
        socket.prependListener('data', (chunk: Buffer) => connection.receive(chunk.length));
      });
    else if (!path.startsWith(STREAM_PATH)) refuse(socket, '404 Not Found');
    else this.#upgradeStream(request, socket, head, { name: caller ?? this.#options.name });
  }

  #upgradeStream(request: IncomingMessage, socket: Duplex, head: Buffer, caller: StreamCaller): void {
    const ticket = request.url!.slice(STREAM_PATH.length);
    if (!this.#options.tickets?.isGood(ticket, caller)) refuse(socket, `${NO_TICKET} Gone`);
    else
      this.#streams.handleUpgrade(request, socket, head, (upgraded) =>
        this.#stream(upgraded, ticket, caller),
      );
  }

  /** Only now is the ticket used up: an upgrade that was not completed leaves it to its expiry. */
  #stream(socket: WebSocket, ticket: string, caller: StreamCaller): void {
    const handler = this.#options.tickets!.redeem(ticket, caller)!;
    void handOver(new SocketStream(socket), handler, caller);
  }

  /** Over a Unix socket every client may that could open it. */
  #admit({ socket: from }: IncomingMessage, socket: Duplex): boolean {
    const { admits } = this.callers;
    if (!admits) return true;
    const who = certifiedAt(from as TLSSocket);
    if (!who || !admits(who)) return false;
    this.#certified.set(socket, who);
    socket.once('close', () => this.#certified.delete(socket));
    return true;
  }

  #review(): void {
    for (const [socket, who] of this.#certified) if (!this.callers.admits?.(who)) socket.destroy();
  }

  #connect(socket: WebSocket, expectName: string | undefined, transport: Duplex): Connection {
    const { name, kind, contract, handlers, heartbeat, onConnection } = this.#options;
    const service = { contract, handlers: handlers as unknown as Handlers<Contract> };
    const who = { self: { name, kind }, expectName, user: this.callers.user, transport };
    const connection = new Connection(socket, { ...who, service, heartbeat, account: this.#shared });
    connection.ready.then(
      (hello) => {
        const peer: Peer<E> = {
          name: hello.name,
          kind: hello.kind,
          version: hello.version,
          emit: (event, payload) => connection.emit(event, payload as object),
          closed: connection.closed,
          connection,
          close: () => connection.close(),
        };
        this.#peers.add(peer);
        void connection.closed.then(() => this.#peers.delete(peer));
        onConnection?.(peer);
      },
      // Without a good hello it was never a peer, and has been refused already.
      () => {},
    );
    return connection;
  }

  async #close(): Promise<void> {
    const closed = new Promise((resolve) => this.#http.close(resolve));
    for (const peer of this.#peers) peer.close();
    await Promise.all([...this.#peers].map((peer) => peer.closed));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

function refuse(socket: Duplex, status: string): void {
  // The other side may be gone before it reads this.
  socket.on('error', () => {});
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  // Nor need it ever close its own half.
  const grace = setTimeout(() => socket.destroy(), CLOSE_GRACE_MS);
  socket.once('close', () => clearTimeout(grace));
}

function listen(http: HttpServer, where: { host: string; port: number } | { path: string }, address: string) {
  return new Promise<void>((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') reject(errors.addressTaken(address));
      else reject(errors.cannotListen(address, error.message));
    };
    http.once('error', onError);
    http.listen(where, () => {
      http.removeListener('error', onError);
      resolve();
    });
  });
}

async function listenUnix(http: HttpServer, path: string, mode: number): Promise<void> {
  try {
    await listenPrivately(http, path, mode);
  } catch (error) {
    if (!(error instanceof GodwitError) || error.code !== 'address-taken' || !(await isStale(path)))
      throw error;
    await unlink(path);
    await listenPrivately(http, path, mode);
  }
}

/** The file has its permissions from the moment it is there: bind(2) applies the mask, and happens within listen(). */
function listenPrivately(http: HttpServer, path: string, mode: number): Promise<void> {
  const mask = process.umask(0o777 & ~mode);
  try {
    return listen(http, { path }, path);
  } finally {
    process.umask(mask);
  }
}

/** Is it the socket file of a process that has gone? Such a file refuses connections. */
async function isStale(path: string): Promise<boolean> {
  if (!(await stat(path)).isSocket()) return false;
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
}
