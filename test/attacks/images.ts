/** CRIU's images, changed by hand: messages of protocol buffers (protobuf.dev/programming-guides/encoding). */
import { readFileSync, writeFileSync } from 'node:fs';

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
/** Two magic numbers. */
const MAGIC_BYTES = 8;

type Value = bigint | Buffer | Message;

export class Message {
  readonly #fields: { number: number; kind: number; value: Value }[] = [];

  constructor(bytes: Buffer) {
    const reader = new Reader(bytes);
    while (!reader.atEnd) {
      const tag = Number(reader.varint());
      const [number, kind] = [tag >> 3, tag & 7];
      this.#fields.push({ number, kind, value: reader.value(kind) });
    }
  }

  has(number: number): boolean {
    return this.#fields.some((field) => field.number === number);
  }

  text(number: number): string {
    return this.#of(number).value.toString();
  }

  /** The message in it; what is changed there is changed here. */
  message(number: number): Message {
    const field = this.#of(number);
    if (Buffer.isBuffer(field.value)) field.value = new Message(field.value);
    return field.value as Message;
  }

  /** A number or a text, in place of the first that is there; a repeated one keeps the others. */
  set(number: number, value: number | string): void {
    const to = typeof value === 'string' ? Buffer.from(value) : BigInt(value);
    const field = this.#fields.find((one) => one.number === number);
    if (field) field.value = to;
    else this.#fields.push({ number, kind: typeof value === 'string' ? BYTES : VARINT, value: to });
  }

  bytes(): Buffer {
    return Buffer.concat(
      this.#fields.flatMap(({ number, kind, value }) => {
        const tag = varint(BigInt(number * 8 + kind));
        if (typeof value === 'bigint') return [tag, varint(value)];
        const content = Buffer.isBuffer(value) ? value : value.bytes();
        return kind === BYTES ? [tag, varint(BigInt(content.length)), content] : [tag, content];
      }),
    );
  }

  #of(number: number) {
    const field = this.#fields.find((one) => one.number === number);
    if (!field) throw new Error(`the message has no field ${number}`);
    return field;
  }
}

class Reader {
  #at = 0;

  constructor(private readonly bytes: Buffer) {}

  get atEnd(): boolean {
    return this.#at >= this.bytes.length;
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.bytes[this.#at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  value(kind: number): bigint | Buffer {
    if (kind === VARINT) return this.varint();
    if (kind === FIXED64) return this.#take(8);
    if (kind === FIXED32) return this.#take(4);
    if (kind === BYTES) return this.#take(Number(this.varint()));
    throw new Error(`a field of kind ${kind}`);
  }

  #take(size: number): Buffer {
    this.#at += size;
    return this.bytes.subarray(this.#at - size, this.#at);
  }
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  for (; value > 0x7fn; value >>= 7n) bytes.push(Number(value & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(value)]);
}

/** Each of an image's messages, which `change` changes. */
export function edit(path: string, change: (message: Message) => void): void {
  const image = readFileSync(path);
  const parts: Buffer[] = [image.subarray(0, MAGIC_BYTES)];
  for (let at = MAGIC_BYTES; at < image.length; ) {
    const size = image.readUInt32LE(at);
    const message = new Message(image.subarray(at + 4, at + 4 + size));
    change(message);
    const bytes = message.bytes();
    const head = Buffer.alloc(4);
    head.writeUInt32LE(bytes.length);
    parts.push(head, bytes);
    at += 4 + size;
  }
  writeFileSync(path, Buffer.concat(parts));
}
