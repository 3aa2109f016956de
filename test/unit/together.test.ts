/** Requests in one message, as they are written and read: whatever comes from the other end is bounded. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isPayload, MAX_PACKET } from '../../agent/debug/rsp/codec';
import {
  decodeAnswers,
  decodeTogether,
  encodeAnswers,
  encodeTogether,
  isAnswers,
  isTogether,
  MAX_PIECE_BYTES,
  MAX_TOGETHER,
} from '../../agent/debug/rsp/together';

const payload = fc
  .string({ unit: fc.integer({ min: 0, max: 0xff }).map((code) => String.fromCharCode(code)), maxLength: 60 })
  .filter(isPayload);

describe('what is sent together', () => {
  it('is a payload, and read as it was written', () => {
    fc.assert(
      fc.property(fc.array(payload, { minLength: 1, maxLength: 20 }), (packets) => {
        const written = encodeTogether({ packets, wish: null });
        expect(isPayload(written) && isTogether(written)).toBe(true);
        expect(decodeTogether(written)).toEqual({ packets, wish: null });
        const answers = encodeAnswers({ replies: packets, ahead: null });
        expect(isPayload(answers) && isAnswers(answers)).toBe(true);
        expect(decodeAnswers(answers)).toEqual({ replies: packets, ahead: null });
      }),
    );
  });

  it.each<[string, unknown]>([
    ['nothing', ''],
    ['no packets', { packets: [], wish: null }],
    ['too many', { packets: Array(MAX_TOGETHER + 1).fill('g'), wish: null }],
    ['one that is no payload', { packets: ['a#'], wish: null }],
    ['no list', { packets: 'g', wish: null }],
    [
      'a wish for too much memory',
      {
        packets: ['g'],
        wish: {
          selected: true,
          threads: true,
          registers: [],
          memory: [{ at: '0', size: MAX_PIECE_BYTES + 1 }],
        },
      },
    ],
    [
      'a wish for no thread',
      { packets: ['g'], wish: { selected: true, threads: true, registers: ['-1'], memory: [] } },
    ],
  ])('is not taken with %s', (_, value) => {
    const json = JSON.stringify(value).replaceAll('#', '\\u0023');
    expect(decodeTogether(`Qgodwit.together:${json}`)).toBeNull();
  });

  it('loses what was to be told ahead rather than its answers', () => {
    const ahead = { list: 'x'.repeat(MAX_PACKET), registers: [], lasting: [], wished: [] };
    expect(decodeAnswers(encodeAnswers({ replies: ['OK'], ahead }))).toEqual({
      replies: ['OK'],
      ahead: null,
    });
  });
});
