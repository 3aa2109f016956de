/** The fields of a message as CRIU's images have it (protobuf.dev/programming-guides/encoding), read by hand. */
import { badMessage } from '../../api/errors';

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

export interface Field {
  number: number;
  value: number | Buffer;
  /** The value's bytes in the message, whose memory it shares. */
  bytes: Buffer;
}

/**
 * The numbers and the messages (or strings) of a message, in their order; fixed numbers are passed over. `what` names
 * the image where it is refused.
 * @throws GodwitError `bad-message`
 */
export function fieldsOf(message: Buffer, what: string): Field[] {
  const found: Field[] = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = message[at++];
      if (byte === undefined) throw cutShort(what);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    const kind = tag % 8;
    const from = at;
    if (kind === VARINT) found.push({ number, value: varint(), bytes: message.subarray(from, at) });
    else if (kind === BYTES) {
      const size = varint();
      if (at + size > message.length) throw cutShort(what);
      const value = message.subarray(at, at + size);
      found.push({ number, value, bytes: value });
      at += size;
    } else if (kind === FIXED64) at += 8;
    else if (kind === FIXED32) at += 4;
    else throw badMessage(what, `it has a field of kind ${kind}`);
  }
  return found;
}

/** A message of numbers from 0 on, strings and messages, in this order. */
export function messageOf(fields: [number: number, value: number | string | Buffer][]): Buffer {
  return Buffer.concat(
    fields.map(([number, value]) => {
      if (typeof value === 'number') return Buffer.concat([varintOf(number * 8 + VARINT), varintOf(value)]);
      const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
      return Buffer.concat([varintOf(number * 8 + BYTES), varintOf(bytes.length), bytes]);
    }),
  );
}

/**
 * The message with each of its messages `number` (below 16) as `change` makes it, all else as it is.
 * @throws GodwitError `bad-message`
 */
export function changed(
  message: Buffer,
  number: number,
  change: (value: Buffer) => Buffer,
  what: string,
): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (const field of fieldsOf(message, what)) {
    if (field.number !== number || !Buffer.isBuffer(field.value)) continue;
    const from = field.bytes.byteOffset - message.byteOffset;
    const value = change(field.value);
    const head = 1 + varintOf(field.bytes.length).length;
    const tag = Buffer.from([number * 8 + BYTES]);
    parts.push(message.subarray(at, from - head), tag, varintOf(value.length), value);
    at = from + field.bytes.length;
  }
  return Buffer.concat([...parts, message.subarray(at)]);
}

function varintOf(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes.push((left % 0x80) + 0x80);
  return Buffer.from([...bytes, left]);
}

export const cutShort = (what: string) => badMessage(what, 'it is cut short');
