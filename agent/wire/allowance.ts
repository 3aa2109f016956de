/** What those at the other side of a socket may have in progress at once, and the account that is kept of it. */
import type { GodwitError } from '../api/errors';
import type { PerUser } from '../api/per-user';
import * as errors from './errors';

/** A few thousand jobs in one list; what is larger travels as a stream. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
/** What may wait for a side that does not read: some of the largest messages, or an hour's events. */
export const MAX_UNSENT_BYTES = 4 * MAX_MESSAGE_BYTES;

/** Of all connections that share an account. */
export interface Allowance {
  /** Calls that are not answered yet. */
  calls: number;
  /** Bytes of these calls; as many again may be of messages that have come in part. */
  bytes: number;
  /** Bytes of what they have not read. */
  unsent: number;
}

/** Of all connections of one user. */
export const allowanceOf = ({ calls, callBytes, unreadBytes }: PerUser): Allowance => ({
  calls,
  bytes: callBytes,
  unsent: unreadBytes,
});

/** Of one connection of root's, or of another agent's, which passes on what its users ask. */
export const AMPLE: Allowance = {
  // An agent waits for each process that a keeper holds (4096 at most), and asks other things beside.
  calls: 8192,
  // Many small calls or a few of the largest.
  bytes: 16 * MAX_MESSAGE_BYTES,
  unsent: MAX_UNSENT_BYTES,
};

/** One connection, as the account knows it. */
export interface Accounted {
  /** Bytes that its other side has not read. */
  readonly unsent: number;
}

export class Account {
  #calls = 0;
  #bytes = 0;
  #partial = 0;
  readonly #connections = new Set<Accounted>();

  constructor(readonly allowance: Allowance = AMPLE) {}

  join(connection: Accounted): void {
    this.#connections.add(connection);
  }

  leave(connection: Accounted): void {
    this.#connections.delete(connection);
  }

  /** A call begins; the error to answer it with where there are too many already. */
  beginCall(bytes: number): GodwitError | undefined {
    const { allowance } = this;
    if (this.#calls >= allowance.calls) return errors.tooManyCalls(allowance.calls);
    if (this.#bytes + bytes > allowance.bytes) return errors.tooManyCallBytes(allowance.bytes);
    this.#calls++;
    this.#bytes += bytes;
    return undefined;
  }

  endCall(bytes: number): void {
    this.#calls--;
    this.#bytes -= bytes;
  }

  /** More, or less, of messages that have come in part. @returns whether that may be */
  receive(bytes: number): boolean {
    this.#partial += bytes;
    return this.#partial <= this.allowance.bytes;
  }

  /** @returns what is unread, where that is too much */
  get overdue(): number | undefined {
    let unsent = 0;
    for (const connection of this.#connections) unsent += connection.unsent;
    return unsent > this.allowance.unsent ? unsent : undefined;
  }
}

/** The requests of one connection that it waits for. */
export class Serving {
  readonly #bytes = new Map<number, number>();
  readonly #cancelled = new Set<number>();

  constructor(private readonly account: Account) {}

  /** Returns the error to answer with where there are too many already. @throws `bad-message` */
  begin(id: number, bytes: number): GodwitError | undefined {
    if (this.#bytes.has(id)) throw errors.idInUse(id);
    const refusal = this.account.beginCall(bytes);
    if (!refusal) this.#bytes.set(id, bytes);
    return refusal;
  }

  /** Is there something to cancel, for the first time? */
  cancel(id: number): boolean {
    if (!this.#bytes.has(id) || this.#cancelled.has(id)) return false;
    this.#cancelled.add(id);
    return true;
  }

  end(id: number): void {
    const bytes = this.#bytes.get(id);
    if (bytes === undefined) return;
    this.account.endCall(bytes);
    this.#bytes.delete(id);
    this.#cancelled.delete(id);
  }

  /** The connection has ended, and with it all its requests. */
  endAll(): void {
    for (const id of [...this.#bytes.keys()]) this.end(id);
  }
}
