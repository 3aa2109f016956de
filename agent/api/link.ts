import type { Duplex } from 'node:stream';
import { type Client, connect } from './client';
import type { Caller, CallOptions, Contract, Method, Result, SentParams } from './contract';
import type { Endpoint } from './endpoint';

/** A connection that is made when it is needed, and again after it was lost. A call is never made twice. */
export class Link<C extends Contract> {
  #client: Promise<Client<C>> | null = null;

  constructor(
    private readonly endpoint: Endpoint,
    private readonly options: { name: string; kind: Caller['kind']; contract: C; timeoutMs?: number },
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
    return client.openStream(ticket);
  }

  close() {
    this.#client?.then((client) => client.close()).catch(() => {});
  }

  #connected(): Promise<Client<C>> {
    if (!this.#client) {
      const client = connect<C>(this.endpoint, this.options);
      const forget = () => {
        if (this.#client === client) this.#client = null;
      };
      client.then((made) => made.closed).then(forget, forget);
      this.#client = client;
    }
    return this.#client;
  }
}
