/** What members say to each other, as one datagram of JSON: its schema, and what fits into it. */
import { z } from 'zod';
import { type LoadRecord, type Statement, Telling } from '../../api/membership';
import { NodeName } from '../../api/model';

/** What can't be foreseen: of 48 bits, which JSON and JavaScript have exactly. */
export const NONCE_BITS = 48;
const Nonce = z
  .int()
  .min(0)
  .max(2 ** NONCE_BITS);

const Word = z.discriminatedUnion('type', [
  /** Are you there? */
  z.object({ type: z.literal('ping'), nonce: Nonce }),
  /** I am. */
  z.object({ type: z.literal('ack'), nonce: Nonce }),
  /** Please try whether `node` is there. */
  z.object({ type: z.literal('try'), nonce: Nonce, node: NodeName }),
  /** It has answered me; or not in time, which shows that at least I am here. */
  z.object({ type: z.literal('tried'), nonce: Nonce, answered: z.boolean() }),
  z.object({ type: z.literal('tell') }),
]);
export type Word = z.infer<typeof Word>;

export const Message = Telling.extend({
  /** The one for which it is: another one may have recorded it. */
  to: NodeName,
  /** See `Freshness`. */
  life: Nonce,
  count: z.int().min(0),
  word: Word,
});
export type Message = z.infer<typeof Message>;

/** What a message takes without statements and records: two names, numbers as long as they can be. */
const FRAME_BYTES = 330;

/** Room of a message's, of which parts are taken one after the other. */
export class Room {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes - FRAME_BYTES;
  }

  /** Names are ASCII. */
  readonly fits = (part: Statement | LoadRecord): boolean => {
    let bytes = part.length + 2;
    for (const value of part) bytes += typeof value === 'string' ? value.length + 2 : String(value).length;
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    return true;
  };
}
