/** A contract is written once, as schemas; both sides of the wire take their types and their checks from it. */
import type { ZodType, z } from 'zod';
import type { User } from './model';

/** The requests that one side answers. `params` is always an object. */
export type Contract = Readonly<Record<string, { readonly params: ZodType; readonly result: ZodType }>>;

/** What the answering side says unasked. */
export type Events = Readonly<Record<string, ZodType>>;
// biome-ignore lint/complexity/noBannedTypes: the contract without any event is the empty one
export type NoEvents = {};

export type Method<C extends Contract> = keyof C & string;
export type EventName<E extends Events> = keyof E & string;

/** As they are sent, and as they come out of the schema. */
export type SentParams<C extends Contract, M extends Method<C>> = z.input<C[M]['params']>;
export type Params<C extends Contract, M extends Method<C>> = z.output<C[M]['params']>;
export type SentResult<C extends Contract, M extends Method<C>> = z.input<C[M]['result']>;
export type Result<C extends Contract, M extends Method<C>> = z.output<C[M]['result']>;

/** Who asks: over TLS, the name that the certificate proves; over a Unix socket, the name that was given. */
export interface Caller {
  readonly name: string;
  readonly kind: 'agent' | 'client' | 'keeper';
  /** The number of the protocol that is spoken with it; a node that asks itself speaks all of its own. */
  readonly protocol?: number | undefined;
  /** The user who asks, where that is not root: known from the socket, or told by the agent that passes it on. */
  readonly user?: User | undefined;
  /** The agent that passes on what a user asked it: streams that come of it are its to open. */
  readonly by?: string | undefined;
  /** Aborted when the caller cancels the call or its connection is lost. */
  readonly signal: AbortSignal;
  /** The connection by which it asks; a node that asks itself has none. */
  readonly connection?: CallerConnection | undefined;
}

/** Through it a handler can say events to its caller after it has answered. */
export interface CallerConnection {
  /** The payload must fit the event's schema. Harmless after the end of the connection. */
  emit(event: string, payload: object): void;
  /** Bytes that the caller has left unread. */
  readonly unsent: number;
  readonly closed: Promise<Error>;
  /** What it goes over; by a Unix socket the kernel knows who is at the other end. */
  readonly transport?: unknown;
}

export type Handlers<C extends Contract> = {
  readonly [M in Method<C>]: (
    params: Params<C, M>,
    caller: Caller,
  ) => Promise<SentResult<C, M>> | SentResult<C, M>;
};

export interface CallOptions {
  /** Aborting it rejects the call with `cancelled` and aborts the handler's signal. */
  signal?: AbortSignal | undefined;
  /** Milliseconds until the call rejects with `timeout`; `Infinity` for none. */
  timeoutMs?: number | undefined;
}

/** The other side of a connection, as its contract describes it. */
export interface Remote<C extends Contract, E extends Events = NoEvents> {
  /** The name and kind that the other side gave (proven by its certificate over TLS). */
  readonly name: string;
  readonly kind: Caller['kind'];
  readonly version: string;
  /** The number of the protocol that both sides speak here. */
  readonly protocol: number;
  /** Rejects with the handler's GodwitError, or with `bad-message`, `timeout`, `cancelled`, `connection-lost`. */
  call<M extends Method<C>>(
    method: M,
    params: SentParams<C, M>,
    options?: CallOptions,
  ): Promise<Result<C, M>>;
  /** Returns a function that stops listening. */
  on<N extends EventName<E>>(event: N, listener: (payload: z.output<E[N]>) => void): () => void;
  /** Resolves, never rejects, with why the connection ended. */
  readonly closed: Promise<Error>;
  close(): void;
}
