/**
 * What passes between the two ends of a debug session, as bytes. A frame, its numbers big-endian:
 *
 *     length (4)   of what follows
 *     kind (1)     and then, for a
 *       hello      number of the last message received (8), name of the session in UTF-8
 *       data       number of the message (8), number acknowledged (8), kind of message (1), message
 *       ack        number acknowledged (8)
 *       refusal    JSON
 *
 * A packet is its payload, byte for byte, and an interrupt has no bytes; bye and event, which are rare, are JSON.
 */
import assert from 'node:assert';
import { z } from 'zod';
import { badMessage, type Failure } from '../../api/errors';
import { parseJson, parseWith } from '../../api/schema';
import { isPayload, MAX_PACKET } from '../rsp/codec';

/** Characters of the reason in a bye, and of the texts in a refusal. */
const MAX_REASON = 1000;
const MAX_TEXT = 4000;

export const Message = z.discriminatedUnion('kind', [
  /** An RSP packet's payload, latin1. */
  z.strictObject({
    kind: z.literal('packet'),
    payload: z.string().max(MAX_PACKET).refine(isPayload, 'not a packet payload'),
  }),
  /** The client's 0x03: stop what runs. */
  z.strictObject({ kind: z.literal('interrupt') }),
  /** The last message of this end. */
  z.strictObject({ kind: z.literal('bye'), reason: z.string().max(MAX_REASON).optional() }),
  /** From stub to line: what its user may want to know, e.g. that it moved. */
  z.strictObject({ kind: z.literal('event'), event: z.record(z.string(), z.json()) }),
]);
export type Message = z.infer<typeof Message>;

export const bye = (reason: string): Message => ({ kind: 'bye', reason: reason.slice(0, MAX_REASON) });

export const Count = z.int().min(0);

const Hello = z.strictObject({ session: z.string().min(1).max(200), received: Count });
export type Hello = z.infer<typeof Hello>;

export interface Data {
  n: number;
  ack: number;
  message: Message;
}

const Refusal = z.strictObject({
  code: z.string().min(1).max(200),
  message: z.string().max(MAX_TEXT),
  fix: z.string().max(MAX_TEXT).optional(),
});
type Refusal = z.infer<typeof Refusal>;

export const refusal = ({ code, message, fix }: Failure): Frame => {
  const text = message.slice(0, MAX_TEXT);
  return {
    refused:
      fix === undefined ? { code, message: text } : { code, message: text, fix: fix.slice(0, MAX_TEXT) },
  };
};

export type Frame = { hello: Hello } | { data: Data } | { ack: number } | { refused: Refusal };

const LENGTH_BYTES = 4;
const NUMBER_BYTES = 8;
/** Before a message: the frame's kind, two numbers, the message's kind. */
const DATA_HEADER_BYTES = 1 + 2 * NUMBER_BYTES + 1;

const KINDS = { hello: 1, data: 2, ack: 3, refused: 4 } as const;
const MESSAGE_KINDS = { packet: 1, interrupt: 2, bye: 3, event: 4 } as const;

/** A message's own bytes. */
export const MAX_MESSAGE = MAX_PACKET;
/** A frame's bytes after its length: a message and what is before it, or a refusal, which is shorter. */
export const MAX_FRAME = DATA_HEADER_BYTES + MAX_MESSAGE;

/** Bytes that the message takes in a frame, without the header. */
export const messageBytes = (message: Message): number =>
  message.kind === 'packet' ? message.payload.length : messageBody(message).length;

function messageBody(message: Message): Buffer {
  if (message.kind === 'packet') return Buffer.from(message.payload, 'latin1');
  return message.kind === 'interrupt' ? Buffer.alloc(0) : Buffer.from(JSON.stringify(message));
}

export function encodeFrame(frame: Frame): Buffer {
  if ('hello' in frame)
    return framed(KINDS.hello, numbers(frame.hello.received), Buffer.from(frame.hello.session));
  if ('ack' in frame) return framed(KINDS.ack, numbers(frame.ack));
  if ('refused' in frame) return framed(KINDS.refused, Buffer.from(JSON.stringify(frame.refused)));
  const { n, ack, message } = frame.data;
  const kind = Buffer.of(MESSAGE_KINDS[message.kind]);
  return framed(KINDS.data, numbers(n, ack), kind, messageBody(message));
}

function framed(kind: number, ...parts: Buffer[]): Buffer {
  const head = Buffer.alloc(LENGTH_BYTES + 1);
  const length = parts.reduce((sum, part) => sum + part.length, 1);
  assert(length <= MAX_FRAME, `a debug frame of ${length} bytes`);
  head.writeUInt32BE(length);
  head.writeUInt8(kind, LENGTH_BYTES);
  return Buffer.concat([head, ...parts]);
}

function numbers(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * NUMBER_BYTES);
  for (const [at, value] of values.entries()) bytes.writeBigUInt64BE(BigInt(value), at * NUMBER_BYTES);
  return bytes;
}

/** A frame's bytes after its length. @throws bad-message */
function decode(bytes: Buffer): Frame {
  const kind = bytes[0];
  const body = bytes.subarray(1);
  if (kind === KINDS.hello)
    return {
      hello: valid(Hello, { received: numberAt(body, 0), session: `${body.subarray(NUMBER_BYTES)}` }),
    };
  if (kind === KINDS.data) return { data: decodeData(body) };
  if (kind === KINDS.refused) return { refused: valid(Refusal, json(body)) };
  if (kind !== KINDS.ack) throw bad(`its kind is ${kind}`);
  if (body.length > NUMBER_BYTES) throw bad('it is too long');
  return { ack: numberAt(body, 0) };
}

function decodeData(body: Buffer): Data {
  const [n, ack] = [numberAt(body, 0), numberAt(body, NUMBER_BYTES)];
  if (n === 0) throw bad('messages are counted from 1');
  const kind = body[2 * NUMBER_BYTES];
  return { n, ack, message: decodeMessage(kind, body.subarray(2 * NUMBER_BYTES + 1)) };
}

function decodeMessage(kind: number | undefined, body: Buffer): Message {
  switch (kind) {
    case MESSAGE_KINDS.packet:
      return valid(Message, { kind: 'packet', payload: body.toString('latin1') });
    case MESSAGE_KINDS.interrupt:
      if (body.length > 0) throw bad('an interrupt has no bytes');
      return { kind: 'interrupt' };
    case MESSAGE_KINDS.bye:
    case MESSAGE_KINDS.event: {
      const message = valid(Message, json(body));
      if (MESSAGE_KINDS[message.kind] !== kind) throw bad('its message is of another kind');
      return message;
    }
    default:
      throw bad(`the kind of its message is ${kind}`);
  }
}

/** Numbers beyond those that JavaScript can count with are refused. */
function numberAt(body: Buffer, at: number): number {
  if (body.length < at + NUMBER_BYTES) throw bad('it is too short');
  const value = body.readBigUInt64BE(at);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw bad(`it has the number ${value}`);
  return Number(value);
}

const json = (body: Buffer): unknown => parseJson(WHAT, body.toString());

const valid = <T extends z.ZodType>(schema: T, value: unknown): z.output<T> => parseWith(schema, value, WHAT);

const WHAT = 'a debug frame';

const bad = (why: string) => badMessage(WHAT, why);

/** Cuts a byte stream into its frames, whatever pieces it arrives in. */
export class FrameReader {
  /** What has arrived of the length that is read next, and then of the frame. */
  private parts: Buffer[] = [];
  private missing = LENGTH_BYTES;
  private part: 'length' | 'frame' = 'length';

  /** The frames completed by `chunk`, in order. @throws bad-message, after which the stream can't be used */
  push(chunk: Buffer): Frame[] {
    const frames: Frame[] = [];
    for (let at = 0; at < chunk.length; ) {
      const end = Math.min(at + this.missing, chunk.length);
      const piece = chunk.subarray(at, end);
      this.missing -= end - at;
      at = end;
      // What is kept is a copy: the chunk may be a slice of a pool that its stream writes again.
      this.parts.push(this.missing > 0 ? Buffer.from(piece) : piece);
      if (this.missing === 0) frames.push(...this.finishPart());
    }
    return frames;
  }

  private finishPart(): Frame[] {
    const bytes = this.parts.length === 1 ? this.parts[0]! : Buffer.concat(this.parts);
    this.parts = [];
    if (this.part === 'length') {
      this.missing = lengthOf(bytes);
      this.part = 'frame';
      return [];
    }
    this.missing = LENGTH_BYTES;
    this.part = 'length';
    return [decode(bytes)];
  }
}

function lengthOf(bytes: Buffer): number {
  const length = bytes.readUInt32BE();
  if (length === 0) throw bad('it is empty');
  if (length > MAX_FRAME) throw bad(`it is longer than ${MAX_FRAME} bytes`);
  return length;
}
