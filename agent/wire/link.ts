import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Caller, CallOptions, Contract, Method, Result, SentParams } from '../api/contract';
import { type Client, connect } from './client';
import type { Endpoint } from './endpoint';
import { connectionLost } from './errors';

const closedHere = () => connectionLost('it was closed on this side');

/** A daemon that is started again takes some tenths of a second. */
const RETRY_MS = 50;

/** A connection that is made when it is needed, and again after it was lost. A call is never made twice. */
export class Link<C extends Contract> {
  #client: Promise<Client<C>> | null = null;
  /** The streams that are open. */
  readonly #streams = new Set<Duplex>();
  #closed = false;

  constructor(
    private readonly endpoint: Endpoint,
    private readonly options: {
      name: string;
      kind: Caller['kind'];
      contract: C;
      timeoutMs?: number;
      /** How long one that is about to be there again is waited for. */
      patienceMs?: number;
    },
  ) {}

  async call<M extends Method<C>>(
    method: M,
    params: SentParams<C, M>,
    options?: CallOptions,
  ): Promise<Result<C, M>> {
    const client = await this.#connected();
    return client.call(method, params, options);
  }

  async openStream(ticket: string): Promise<Duplex> {
    const client = await this.#connected();
    const stream = await client.openStream(ticket);
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
    if (this.#closed) stream.destroy(closedHere());
    return stream;
  }

  /** For good: the connection and all streams are cut, and no others are made. */
  close() {
    this.#closed = true;
    this.#client?.then((client) => client.close()).catch(() => {});
    for (const stream of this.#streams) stream.destroy(closedHere());
  }

  async #connect(): Promise<Client<C>> {
    const until = performance.now() + (this.options.patienceMs ?? 0);
    for (;;) {
      if (this.#closed) throw closedHere();
      try {
        return await connect<C>(this.endpoint, this.options);
      } catch (error) {
        if (performance.now() > until) throw error;
        await sleep(RETRY_MS);
      }
    }
  }

  #connected(): Promise<Client<C>> {
    if (!this.#client) {
      const client = this.#connect();
      const forget = () => {
        if (this.#client === client) this.#client = null;
      };
      client.then((made) => made.closed).then(forget, forget);
      this.#client = client;
    }
    return this.#client;
  }
}
