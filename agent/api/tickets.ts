/** One-time tickets: a call's answer names the stream that its caller may open. */
import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { asGodwitError } from './errors';
import { tooManyTickets } from './wire-errors';

/** A ticket is used at once or not at all. */
export const TICKET_LIFE_MS = 10_000;
/** Bounds what callers who ask and never open can leave behind. */
const MAX_TICKETS = 4096;
const TICKET_BYTES = 16;

/** Who opened the stream: the certificate's name, or `local` over a Unix socket. */
export interface StreamCaller {
  readonly name: string;
}

/**
 * Takes the stream over. Its own half is this function's to end(); one that throws or rejects cuts the stream, which
 * tells the other side why.
 */
export type StreamHandler = (stream: Duplex, caller: StreamCaller) => void | Promise<void>;

interface Ticket {
  handler: StreamHandler;
  expiry: NodeJS.Timeout;
}

export class Tickets {
  readonly #waiting = new Map<string, Ticket>();

  /**
   * A ticket for one stream, good for TICKET_LIFE_MS. `onUnused` is called if nobody came.
   * @throws GodwitError `too-many-tickets`
   */
  issue(handler: StreamHandler, onUnused: () => void = () => {}): string {
    if (this.#waiting.size >= MAX_TICKETS) throw tooManyTickets(MAX_TICKETS);
    const ticket = randomBytes(TICKET_BYTES).toString('hex');
    const expire = () => {
      this.#waiting.delete(ticket);
      onUnused();
    };
    this.#waiting.set(ticket, { handler, expiry: setTimeout(expire, TICKET_LIFE_MS).unref() });
    return ticket;
  }

  isGood(ticket: string): boolean {
    return this.#waiting.has(ticket);
  }

  /** The handler of a ticket that is good, which it is no longer from now on. */
  redeem(ticket: string): StreamHandler | undefined {
    const found = this.#waiting.get(ticket);
    if (!found) return undefined;
    this.#waiting.delete(ticket);
    clearTimeout(found.expiry);
    return found.handler;
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
