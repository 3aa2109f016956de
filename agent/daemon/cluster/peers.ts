import assert from 'node:assert';
import { type Duplex, duplexPair } from 'node:stream';
import { isDeepStrictEqual } from 'node:util';
import type { Member } from '../../api/config';
import type { CallOptions, Handlers, Method, Params, Result, SentParams } from '../../api/contract';
import { noSuchNode } from '../../api/errors';
import { type PeerContract, peerContract } from '../../api/peer-contract';
import { parseWith } from '../../api/schema';
import { ticketRefused } from '../../wire/errors';
import { Link } from '../../wire/link';
import { pipeStreams } from '../../wire/streams';
import { handOver, type Owner, type Tickets } from '../../wire/tickets';
import type { TlsIdentity } from '../../wire/tls';
import type { Settings } from './settings';

/** The nodes of the cluster as this one reaches them. Its own requests to itself take the same way, without a wire. */
export class Peers {
  readonly #links = new Map<string, { member: Member; link: Link<PeerContract> }>();
  #own: Handlers<PeerContract> | null = null;

  constructor(
    private readonly node: string,
    private readonly settings: Settings,
    private readonly tls: TlsIdentity,
  ) {}

  /**
   * How this node answers itself. Said once, before the first call: who answers asks other nodes too, so neither the
   * answers nor this can be made with the other at hand.
   */
  serve(own: Handlers<PeerContract>): void {
    assert(this.#own === null, 'this node has its answers already');
    this.#own = own;
  }

  get names(): string[] {
    return this.settings.now.members.map(({ name }) => name);
  }

  /** Cuts off, at once, those that are no members any more, or are to be found elsewhere or under another key. */
  review(): void {
    const { members } = this.settings.now;
    for (const [name, { member, link }] of this.#links) {
      if (members.some((now) => isDeepStrictEqual(now, member))) continue;
      this.#links.delete(name);
      link.close();
    }
  }

  async call<M extends Method<PeerContract>>(
    node: string,
    method: M,
    params: SentParams<PeerContract, M>,
    options: CallOptions = {},
  ): Promise<Result<PeerContract, M>> {
    if (node !== this.node) return this.#link(node).call(method, params, options);
    assert(this.#own, `${method} was asked before this node could answer`);
    const caller = {
      name: node,
      kind: 'agent' as const,
      signal: options.signal ?? new AbortController().signal,
    };
    const parsed = parseWith(peerContract[method].params, params, method) as Params<PeerContract, M>;
    return (await this.#own[method](parsed, caller)) as Result<PeerContract, M>;
  }

  /** A ticket of this node's for a stream that another node has issued one for. */
  relay(node: string, ticket: string, tickets: Tickets, owner: Owner): string {
    // One of its own is its to open, and to pass on.
    if (node === this.node) return ticket;
    const join = async (near: Duplex) => pipeStreams(near, await this.openStream(node, ticket, tickets));
    return tickets.issue(join, { by: this.node, owner });
  }

  /** Takes the stream for which `node` issued the ticket. */
  async openStream(node: string, ticket: string, own: Tickets): Promise<Duplex> {
    return node === this.node ? take(own, ticket, node) : this.#link(node).openStream(ticket);
  }

  close() {
    for (const { link } of this.#links.values()) link.close();
  }

  #link(node: string): Link<PeerContract> {
    const known = this.#links.get(node);
    if (known) return known.link;
    const member = this.settings.now.members.find(({ name }) => name === node);
    if (!member) throw noSuchNode(node, this.names);
    const { name, address, port, key } = member;
    const endpoint = { address, port, tls: this.tls, expectName: name, expectKey: key };
    const link = new Link(endpoint, { name: this.node, kind: 'agent', contract: peerContract });
    this.#links.set(name, { member, link });
    return link;
  }
}

/** A stream to oneself. */
function take(own: Tickets, ticket: string, node: string): Duplex {
  const handler = own.redeem(ticket, { name: node });
  if (!handler) throw ticketRefused();
  const [near, far] = duplexPair();
  for (const [one, other] of [
    [near, far],
    [far, near],
  ] as const) {
    one.on('error', () => {});
    one.once('close', () => other.destroy());
  }
  void handOver(far, handler, { name: node });
  return near;
}
