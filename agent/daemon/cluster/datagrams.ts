/**
 * Messages of members over UDP, at the number of the agent's TCP port. What comes goes on when its signature is a
 * member's; what can't be sent is lost, as any datagram may be.
 */
import { createSocket, type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { isIP, isIPv6 } from 'node:net';
import type { Log } from '../../log';
import { type Opened, Opener, type Pins, type Seal } from '../membership/datagram';
import type { Message } from '../membership/message';

/** A name's address is looked up again after this time: each datagram by itself would keep the resolver busy. */
const LOOKED_UP_MS = 60_000;
const IPV4_IN_IPV6 = '::ffff:';

interface Place {
  address: Promise<string | null>;
  since: number;
}

export class Datagrams {
  readonly #opener = new Opener();
  readonly #places = new Map<string, Place>();
  #socket: Socket | null = null;
  #isWide = false;

  constructor(
    private readonly options: {
      listen: { host: string; port: number };
      seal: Seal;
      receive: (opened: Opened) => void;
      log: Log;
    },
  ) {}

  /** Resolves when it listens; without, nothing is sent or heard, which is logged. */
  async open(): Promise<void> {
    const { listen, receive, log } = this.options;
    const host = await addressOf(listen.host);
    this.#isWide = isIPv6(host ?? listen.host);
    const socket = createSocket(this.#isWide ? 'udp6' : 'udp4');
    const unheard = ({ message }: Error) =>
      log.warn(`no datagrams from other nodes, which are asked over TLS instead: ${message}`);
    await new Promise<void>((resolve) => {
      socket.once('error', (error) => {
        unheard(error);
        socket.close();
        resolve();
      });
      socket.bind({ port: listen.port, address: host ?? listen.host, exclusive: true }, () => {
        socket.removeAllListeners('error');
        // Of what is sent: as if it were lost.
        socket.on('error', () => {});
        this.#socket = socket;
        resolve();
      });
    });
    socket.on('message', (datagram) => {
      const opened = this.#opener.open(datagram, performance.now());
      if (opened) receive(opened);
    });
  }

  /** The members are these now, by their keys. */
  review(pins: Pins): void {
    this.#opener.review(pins);
    this.#places.clear();
  }

  async send(address: string, port: number, message: Message): Promise<void> {
    if (!this.#socket) return;
    const datagram = this.options.seal.seal(message);
    const to = isIP(address) ? address : await this.#placeOf(address);
    if (datagram && to) this.#socket?.send(datagram, port, this.#written(to), () => {});
  }

  close(): void {
    this.#socket?.close();
    this.#socket = null;
  }

  #placeOf(name: string): Promise<string | null> {
    const now = performance.now();
    const known = this.#places.get(name);
    if (known && now - known.since < LOOKED_UP_MS) return known.address;
    const place = { address: addressOf(name), since: now };
    this.#places.set(name, place);
    return place.address;
  }

  /** As this socket takes it. */
  #written(address: string): string {
    return this.#isWide && !isIPv6(address) ? IPV4_IN_IPV6 + address : address;
  }
}

const addressOf = (name: string): Promise<string | null> =>
  lookup(name).then(
    ({ address }) => address,
    () => null,
  );
