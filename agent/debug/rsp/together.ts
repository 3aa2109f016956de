/**
 * Several requests in one message, and what comes back: the answers, and what the client is about to ask of a process
 * that stands (`ahead`). Between line and stub alone. It is a packet as the GDB manual leaves it to a vendor ("General
 * Query Packets"), so a stub that does not know it answers with nothing, and the line asks one by one.
 */
import { z } from 'zod';
import { list } from '../../api/bounded';
import { parseJson, parseWith } from '../../api/schema';
import { isPayload, MAX_PACKET } from './codec';

const PREFIX = 'Qgodwit.together:';
/** What no other answer begins with. */
const ANSWER = '{';

/** Requests in one message: breakpoints that gdb puts in and takes out for each step. */
export const MAX_TOGETHER = 1024;
/** Bytes of them, so that they find room beside a packet of any size that gdbserver takes. */
export const MAX_TOGETHER_BYTES = 48 << 10;
/** Pieces of memory that are wished for, and bytes of one. */
export const MAX_PIECES = 64;
export const MAX_PIECE_BYTES = 1024;
/** Threads whose registers are wished for, and told. */
export const MAX_REGISTERS = 64;

const Payload = z.string().max(MAX_PACKET).refine(isPayload, 'not a packet payload');
const ThreadName = z.string().regex(/^(?:p[0-9a-f]{1,8}\.)?[0-9a-f]{1,8}$/i);
const Address = z.string().regex(/^[0-9a-f]{1,16}$/i);

/** What of a process that stands is to be told unasked. */
export const Wish = z.strictObject({
  /** The registers of the selected thread, the top of its stack and its code. */
  selected: z.boolean(),
  /** The list of threads. */
  threads: z.boolean(),
  /** Of other threads, each with the top of its stack. */
  registers: list(ThreadName, { most: MAX_REGISTERS }),
  memory: list(z.strictObject({ at: Address, size: z.int().min(1).max(MAX_PIECE_BYTES) }), {
    most: MAX_PIECES,
  }),
});
export type Wish = z.infer<typeof Wish>;

const Request = z.strictObject({
  packets: list(Payload, { least: 1, most: MAX_TOGETHER }),
  /** null: nothing. */
  wish: Wish.nullable(),
});
export type Together = z.infer<typeof Request>;

const Piece = z.strictObject({ at: Address, bytes: z.string().regex(/^(?:[0-9a-f]{2})*$/i) });
export type Piece = z.infer<typeof Piece>;

export const Ahead = z.strictObject({
  /** As `qXfer:threads:read` gives it. */
  list: z.string().max(MAX_PACKET).nullable(),
  registers: list(z.strictObject({ thread: ThreadName, g: z.string().regex(/^[0-9a-fx]{16,32768}$/i) }), {
    most: MAX_REGISTERS + 1,
  }),
  /** What changes only when the process runs: its stack, its code, and what it can not write into. */
  lasting: list(Piece, { most: MAX_PIECES }),
  /** What else was wished for. */
  wished: list(Piece, { most: MAX_PIECES }),
});
export type Ahead = z.infer<typeof Ahead>;

/** An answer for each packet, but none behind the first that was refused: those were not looked at. */
const Answers = z.strictObject({
  replies: list(Payload, { least: 1, most: MAX_TOGETHER }),
  ahead: Ahead.nullable(),
});
export type Answers = z.infer<typeof Answers>;

/** JSON in which `#`, which no payload may hold, is written in another way. */
const payloadOf = (value: unknown): string => JSON.stringify(value).replaceAll('#', '\\u0023');

export const encodeTogether = (together: Together): string => PREFIX + payloadOf(together);

export const isTogether = (packet: string): boolean => packet.startsWith(PREFIX);

/** null where it is none that is understood here. */
export function decodeTogether(packet: string): Together | null {
  try {
    return parseWith(Request, parseJson(WHAT, packet.slice(PREFIX.length)), WHAT);
  } catch {
    return null;
  }
}

export const isAnswers = (payload: string): boolean => payload.startsWith(ANSWER);

/** Without what was to be told ahead where that makes it too long. */
export function encodeAnswers(answers: Answers): string {
  const whole = payloadOf(answers);
  return whole.length <= MAX_PACKET ? whole : payloadOf({ ...answers, ahead: null });
}

/** @throws bad-message */
export const decodeAnswers = (payload: string): Answers => parseWith(Answers, parseJson(WHAT, payload), WHAT);

const WHAT = 'requests that were sent together';
