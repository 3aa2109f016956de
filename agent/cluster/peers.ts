import { type Duplex, duplexPair } from 'node:stream';
import type { CallOptions, Handlers, Method, Params, Result, SentParams } from '../api/contract';
import { noSuchNode } from '../api/errors';
import { Link } from '../api/link';
import { type PeerContract, peerContract } from '../api/peer-contract';
import { parseWith } from '../api/schema';
import { pipeStreams } from '../api/streams';
import { handOver, type Owner, type Tickets } from '../api/tickets';
import type { TlsIdentity } from '../api/tls';
import { ticketRefused } from '../api/wire-errors';
import type { AgentConfig } from './config';

/** The nodes of the cluster as this one reaches them. Its own requests to itself take the same way, without a wire. */
export class Peers {
  readonly #links = new Map<string, Link<PeerContract>>();
  #own: Handlers<PeerContract> | null = null;

  constructor(
    private readonly config: AgentConfig,
    tls: TlsIdentity,
  ) {
    for (const { name, address, port } of config.members) {
      if (name === config.name) continue;
      const endpoint = { address, port, tls, expectName: name };
      this.#links.set(name, new Link(endpoint, { name: config.name, kind: 'agent', contract: peerContract }));
    }
  }

  get names(): string[] {
    return this.config.members.map(({ name }) => name);
  }

  /** How this node answers; set once, before the first call. */
  serve(own: Handlers<PeerContract>) {
    this.#own = own;
  }

  async call<M extends Method<PeerContract>>(
    node: string,
    method: M,
    params: SentParams<PeerContract, M>,
    options: CallOptions = {},
  ): Promise<Result<PeerContract, M>> {
    if (node !== this.config.name) return this.#link(node).call(method, params, options);
    const caller = {
      name: node,
      kind: 'agent' as const,
      signal: options.signal ?? new AbortController().signal,
    };
    const parsed = parseWith(peerContract[method].params, params, method) as Params<PeerContract, M>;
    return (await this.#own![method](parsed, caller)) as Result<PeerContract, M>;
  }

  /** A ticket of this node's for a stream that another node has issued one for. */
  relay(node: string, ticket: string, tickets: Tickets, owner: Owner): string {
    // One's own tickets are good for whoever brings them.
    if (node === this.config.name) return ticket;
    const join = async (near: Duplex) => pipeStreams(near, await this.openStream(node, ticket, tickets));
    return tickets.issue(join, undefined, owner);
  }

  /** Takes the stream for which `node` issued the ticket. */
  async openStream(node: string, ticket: string, own: Tickets): Promise<Duplex> {
    return node === this.config.name ? take(own, ticket) : this.#link(node).openStream(ticket);
  }

  close() {
    for (const link of this.#links.values()) link.close();
  }

  #link(node: string): Link<PeerContract> {
    const link = this.#links.get(node);
    if (!link) throw noSuchNode(node, this.names);
    return link;
  }
}

/** A stream to oneself. */
function take(own: Tickets, ticket: string): Duplex {
  const handler = own.redeem(ticket);
  if (!handler) throw ticketRefused();
  const [near, far] = duplexPair();
  for (const [one, other] of [
    [near, far],
    [far, near],
  ] as const) {
    one.on('error', () => {});
    one.once('close', () => other.destroy());
  }
  void handOver(far, handler, { name: 'local' });
  return near;
}
