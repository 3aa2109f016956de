/** One-time tickets: a call's answer names the stream that its caller may open. */
import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { asGodwitError } from '../api/errors';
import { tooManyTickets } from './errors';

/** A ticket is used at once or not at all. */
export const TICKET_LIFE_MS = 10_000;
/** Bounds what callers who ask and never open can leave behind: all of them, and by default each user. */
const MAX_TICKETS = 4096;
const MAX_TICKETS_OF_ONE = 128;
const TICKET_BYTES = 16;

/** Who opened the stream: the certificate's name; over a Unix socket that of the node itself. */
export interface StreamCaller {
  readonly name: string;
}

/**
 * Takes the stream over. Its own half is this function's to end(); one that throws or rejects cuts the stream, which
 * gives the other side the reason.
 */
export type StreamHandler = (stream: Duplex, caller: StreamCaller) => void | Promise<void>;

/** Whose a ticket is: a user's number; absent for root's and for other agents'. */
export type Owner = number | undefined;

interface Ticket {
  /** Who alone may open it; anybody if absent. */
  by: string | undefined;
  handler: StreamHandler;
  owner: Owner;
  expiry: NodeJS.Timeout;
}

export interface TicketOptions {
  /** The node that alone may open the stream; anybody if absent. */
  by?: string | undefined;
  owner?: Owner;
  /** Called if the stream was never opened. */
  onUnused?: () => void;
}

export class Tickets {
  readonly #waiting = new Map<string, Ticket>();
  readonly #owned = new Map<number, number>();

  /** @param mostOfOne how many of one user's may wait */
  constructor(private readonly mostOfOne = MAX_TICKETS_OF_ONE) {}

  /** Is there room for one more? Asked before anything is done for it. @throws GodwitError `too-many-tickets` */
  assertRoom(owner: Owner): void {
    if (this.#waiting.size >= MAX_TICKETS) throw tooManyTickets(MAX_TICKETS);
    if (owner !== undefined && (this.#owned.get(owner) ?? 0) >= this.mostOfOne)
      throw tooManyTickets(this.mostOfOne);
  }

  /**
   * A ticket for one stream, good for TICKET_LIFE_MS.
   * @throws GodwitError `too-many-tickets`
   */
  issue(handler: StreamHandler, { by, owner, onUnused = () => {} }: TicketOptions = {}): string {
    this.assertRoom(owner);
    const ticket = randomBytes(TICKET_BYTES).toString('hex');
    const expire = () => {
      this.#take(ticket);
      onUnused();
    };
    this.#waiting.set(ticket, { by, handler, owner, expiry: setTimeout(expire, TICKET_LIFE_MS).unref() });
    if (owner !== undefined) this.#owned.set(owner, (this.#owned.get(owner) ?? 0) + 1);
    return ticket;
  }

  #take(ticket: string): Ticket | undefined {
    const found = this.#waiting.get(ticket);
    this.#waiting.delete(ticket);
    if (found?.owner === undefined) return found;
    const left = (this.#owned.get(found.owner) ?? 0) - 1;
    if (left > 0) this.#owned.set(found.owner, left);
    else this.#owned.delete(found.owner);
    return found;
  }

  isGood(ticket: string, { name }: StreamCaller): boolean {
    const found = this.#waiting.get(ticket);
    return found !== undefined && (found.by === undefined || found.by === name);
  }

  /** The handler of a ticket that is good, which it is no longer from now on. Another's stays as it is. */
  redeem(ticket: string, caller: StreamCaller): StreamHandler | undefined {
    if (!this.isGood(ticket, caller)) return undefined;
    const found = this.#take(ticket);
    clearTimeout(found?.expiry);
    return found?.handler;
  }
}

/** Hands a stream over; a handler that fails cuts it. */
export async function handOver(stream: Duplex, handler: StreamHandler, caller: StreamCaller): Promise<void> {
  try {
    await handler(stream, caller);
  } catch (error) {
    stream.destroy(asGodwitError(error));
  }
}
