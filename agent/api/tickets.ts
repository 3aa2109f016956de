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

/** Who opened the stream: the certificate's name; over a Unix socket that of the node itself. */
export interface StreamCaller {
  readonly name: string;
}

/**
 * Takes the stream over. Its own half is this function's to end(); one that throws or rejects cuts the stream, which
 * tells the other side why.
 */
export type StreamHandler = (stream: Duplex, caller: StreamCaller) => void | Promise<void>;

interface Ticket {
  /** Who alone may open it; anybody if absent. */
  by: string | undefined;
  handler: StreamHandler;
  expiry: NodeJS.Timeout;
}

export class Tickets {
  readonly #waiting = new Map<string, Ticket>();

  /**
   * A ticket for one stream, good for TICKET_LIFE_MS, for the node `by` alone where that is given. `onUnused` is called
   * if nobody came.
   * @throws GodwitError `too-many-tickets`
   */
  issue(handler: StreamHandler, by?: string, onUnused: () => void = () => {}): string {
    if (this.#waiting.size >= MAX_TICKETS) throw tooManyTickets(MAX_TICKETS);
    const ticket = randomBytes(TICKET_BYTES).toString('hex');
    const expire = () => {
      this.#waiting.delete(ticket);
      onUnused();
    };
    this.#waiting.set(ticket, { by, handler, expiry: setTimeout(expire, TICKET_LIFE_MS).unref() });
    return ticket;
  }

  isGood(ticket: string, { name }: StreamCaller): boolean {
    const found = this.#waiting.get(ticket);
    return found !== undefined && (found.by === undefined || found.by === name);
  }

  /** The handler of a ticket that is good, which it is no longer from now on. Another's stays as it is. */
  redeem(ticket: string, caller: StreamCaller): StreamHandler | undefined {
    const found = this.#waiting.get(ticket);
    if (!found || !this.isGood(ticket, caller)) return undefined;
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
