import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GodwitError } from '../../agent/api/errors';
import {
  bye,
  encodeFrame,
  type Frame,
  FrameReader,
  MAX_FRAME,
  MAX_MESSAGE,
  type Message,
  messageBytes,
  refusal,
} from '../../agent/debug/link/frames';

const HEADER_BYTES = 4 + 1 + 8 + 8 + 1;

const count = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const payload = fc
  .uint8Array({ maxLength: 300 })
  .map((bytes) => Buffer.from(bytes.filter((byte) => byte !== 0x23)).toString('latin1'));
const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({ kind: fc.constant('packet' as const), payload }),
  fc.record({ kind: fc.constant('interrupt' as const) }),
  fc.record({ kind: fc.constant('bye' as const) }),
  fc.string({ unit: 'binary', maxLength: 1500 }).map(bye),
  fc.record({
    kind: fc.constant('event' as const),
    event: fc.dictionary(
      fc.stringMatching(/^[a-z]{0,8}$/),
      fc.oneof(fc.string(), fc.nat(), fc.boolean(), fc.constant(null)),
      { noNullPrototype: true },
    ),
  }),
);
const frame: fc.Arbitrary<Frame> = fc.oneof(
  fc.record({ hello: fc.record({ session: fc.string({ minLength: 1, maxLength: 200 }), received: count }) }),
  fc.record({ data: fc.record({ n: count.filter((n) => n > 0), ack: count, message }) }),
  fc.record({ ack: count }),
  fc
    .tuple(
      fc.string({ minLength: 1, maxLength: 200 }),
      fc.string(),
      fc.option(fc.string(), { nil: undefined }),
    )
    .map(([code, text, fix]) => refusal({ code, message: text, fix })),
);

/** Any bytes in pieces of any size. */
const inPieces = (bytes: Buffer, sizes: number[]): Buffer[] => {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const size of sizes) {
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return [...pieces, bytes.subarray(at)];
};

const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 60 });

/** The reader's pieces may be written again as soon as it has returned. */
function readAll(pieces: Buffer[]): Frame[] {
  const reader = new FrameReader();
  return pieces.flatMap((piece) => {
    const lent = Buffer.from(piece);
    const frames = reader.push(lent);
    lent.fill(0xff);
    return frames;
  });
}

describe('frames of a debug session', () => {
  it('arrive as they were sent, whatever pieces they arrive in', () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 6 }), sizes, (frames, cuts) => {
        expect(readAll(inPieces(Buffer.concat(frames.map(encodeFrame)), cuts))).toEqual(frames);
      }),
    );
  });

  it('carry every byte of a payload as one byte', () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => byte !== 0x23));
    const packet: Message = { kind: 'packet', payload: bytes.toString('latin1') };
    const encoded = encodeFrame({ data: { n: 1, ack: 0, message: packet } });
    expect(encoded.length).toBe(HEADER_BYTES + bytes.length);
    expect(encoded.subarray(HEADER_BYTES)).toEqual(bytes);
    expect(messageBytes(packet)).toBe(bytes.length);
  });

  it('hold the largest packet, and nothing longer', () => {
    const largest: Frame = {
      data: { n: 1, ack: 0, message: { kind: 'packet', payload: 'a'.repeat(MAX_MESSAGE) } },
    };
    const encoded = encodeFrame(largest);
    expect(encoded.length).toBe(4 + MAX_FRAME);
    expect(new FrameReader().push(encoded)).toEqual([largest]);
    const longer: Frame = {
      data: { n: 1, ack: 0, message: { kind: 'packet', payload: 'a'.repeat(MAX_MESSAGE + 1) } },
    };
    expect(() => encodeFrame(longer)).toThrow('a debug frame of');
  });

  it('are refused by their length before they are read', () => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(MAX_FRAME + 1);
    expect(() => new FrameReader().push(length)).toThrow(expect.objectContaining({ code: 'bad-message' }));
  });

  it('are none where any bytes come, or are whole: nothing else than bad-message is thrown', () => {
    const garbage = fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes));
    const mutated = fc
      .tuple(frame, fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }))
      .map(([one, changes]) => {
        const bytes = encodeFrame(one);
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        return bytes;
      });
    fc.assert(
      fc.property(fc.oneof(garbage, mutated), sizes, (bytes, cuts) => {
        let frames: Frame[];
        try {
          frames = readAll(inPieces(bytes, cuts));
        } catch (error) {
          expect(error).toBeInstanceOf(GodwitError);
          expect((error as GodwitError).code).toBe('bad-message');
          expect((error as GodwitError).message).not.toContain('\n');
          return;
        }
        // What is read can be written again, and is the same then.
        const again = readAll([Buffer.concat(frames.map(encodeFrame))]);
        // As JSON, which has no `-0`.
        expect(JSON.stringify(again)).toBe(JSON.stringify(frames));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('what has no bound where it comes from', () => {
  it('is cut where a frame has one', () => {
    const long = 'x'.repeat(MAX_FRAME);
    const frames: Frame[] = [
      refusal({ code: 'internal', message: long, fix: long }),
      { data: { n: 1, ack: 0, message: bye(long) } },
    ];
    expect(readAll(frames.map(encodeFrame))).toEqual(frames);
  });
});
