/** What passes between the two ends of a debug session: messages in frames, one frame a line of JSON. */
import { z } from 'zod';
import { badMessage } from '../../api/errors';
import { isPayload, MAX_PACKET } from '../rsp/codec';

export const Message = z.discriminatedUnion('kind', [
  /** An RSP packet's payload, latin1. */
  z.strictObject({
    kind: z.literal('packet'),
    payload: z.string().max(MAX_PACKET).refine(isPayload, 'not a packet payload'),
  }),
  /** The client's 0x03: stop what runs. */
  z.strictObject({ kind: z.literal('interrupt') }),
  /** The last message of this end. */
  z.strictObject({ kind: z.literal('bye'), reason: z.string().max(1000).optional() }),
  /** From stub to line: what its user may want to know, e.g. that it moved. */
  z.strictObject({ kind: z.literal('event'), event: z.record(z.string(), z.json()) }),
]);
export type Message = z.infer<typeof Message>;

/** A message's bytes as JSON, which writes a control character as six: every allowed packet fits. */
export const MAX_MESSAGE = 6 * MAX_PACKET + 1024;
/** A frame's bytes: a message and its numbers. */
export const MAX_FRAME = MAX_MESSAGE + 1024;

export const Count = z.int().min(0);

export const Hello = z.strictObject({ session: z.string().min(1).max(200), received: Count });
export type Hello = z.infer<typeof Hello>;
export const Data = z.strictObject({ n: z.int().min(1), ack: Count, message: Message });
export type Data = z.infer<typeof Data>;

/** Frames, one a line. */
export const Frame = z.union([
  z.strictObject({ hello: Hello }),
  z.strictObject({ data: Data }),
  z.strictObject({ ack: Count }),
  z.strictObject({
    refused: z.strictObject({
      code: z.string().min(1).max(200),
      message: z.string().max(4000),
      fix: z.string().max(4000).optional(),
    }),
  }),
]);
export type Frame = z.infer<typeof Frame>;

const NEWLINE = 0x0a;

export const encodeFrame = (frame: Frame): string => `${JSON.stringify(frame)}\n`;

function decode(line: Buffer): Frame {
  let value: unknown;
  try {
    value = JSON.parse(line.toString('utf8'));
  } catch (error) {
    throw badMessage('a debug frame', (error as Error).message);
  }
  const frame = Frame.safeParse(value);
  if (!frame.success) throw badMessage('a debug frame', complaint(frame.error));
  return frame.data;
}

/** What is wrong, in one line. */
export const complaint = (error: z.ZodError): string => z.prettifyError(error).replaceAll(/\s*\n\s*/g, ' ');

/** Cuts a byte stream into its frames, whatever pieces it arrives in. */
export class FrameReader {
  private parts: Buffer[] = [];
  private bytes = 0;

  /** The frames completed by `chunk`, in order. @throws bad-message, after which the stream is good for nothing */
  push(chunk: Buffer): Frame[] {
    const frames: Frame[] = [];
    for (let at = 0; at < chunk.length; ) {
      const newline = chunk.indexOf(NEWLINE, at);
      const end = newline < 0 ? chunk.length : newline;
      this.bytes += end - at;
      if (this.bytes > MAX_FRAME) throw badMessage('a debug frame', `it is longer than ${MAX_FRAME} bytes`);
      this.parts.push(Buffer.from(chunk.subarray(at, end)));
      if (newline >= 0) frames.push(this.finish());
      at = end + 1;
    }
    return frames;
  }

  private finish(): Frame {
    const line = Buffer.concat(this.parts);
    this.parts = [];
    this.bytes = 0;
    return decode(line);
  }
}
