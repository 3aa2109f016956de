/** CRIU's images (criu.org/Images): two magic numbers, then messages, each with its size before it. */
import { cutShort } from './protobuf';

/** Two magic numbers. */
export const MAGIC_BYTES = 8;
/** In the machine's order, which is little-endian. */
const SIZE_BYTES = 4;

/**
 * The messages of an image, in their order; they share its memory. `what` names it where it is refused.
 * @throws GodwitError `bad-message`
 */
export function* messagesIn(image: Buffer, what: string): Generator<Buffer> {
  for (let at = MAGIC_BYTES; at < image.length; ) {
    if (at + SIZE_BYTES > image.length) throw cutShort(what);
    const from = at + SIZE_BYTES;
    const end = from + image.readUInt32LE(at);
    if (end > image.length) throw cutShort(what);
    yield image.subarray(from, end);
    at = end;
  }
}

/** An image that begins as `image` does, with these messages. */
export function imageWith(image: Buffer, messages: Buffer[]): Buffer {
  const parts = messages.flatMap((message) => {
    const size = Buffer.alloc(SIZE_BYTES);
    size.writeUInt32LE(message.length);
    return [size, message];
  });
  return Buffer.concat([image.subarray(0, MAGIC_BYTES), ...parts]);
}
