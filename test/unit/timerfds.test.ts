import { describe, expect, it } from 'vitest';
import { mendTimers } from '../../agent/machine/criu/timerfds';

/** The fields of timerfd_entry from settime_flags on: flags, seconds and nanoseconds left, those of the period. */
type Timer = [flags: number, seconds: number, nanoseconds: number, period: number, periodNanoseconds: number];

const message = (number: number, body: number[]) => [
  ...varint(number * 8 + 2),
  ...varint(body.length),
  ...body,
];
const field = (number: number, value: number) => [number * 8, ...varint(value)];
const varint = (value: number): number[] =>
  value < 128 ? [value] : [128 + (value % 128), ...varint(Math.floor(value / 128))];

function imageOf(timers: Timer[]): Buffer {
  const entries = timers.map((numbers, id) => {
    const entry = [1, 2].flatMap((number) => field(number, id));
    const timer = [...entry, ...message(3, [8, 0]), ...field(4, 1), ...field(5, 300)];
    const rest = numbers.flatMap((value, at) => field(at + 6, value));
    return [...field(1, 17), ...field(2, id), ...message(12, [...timer, ...rest])];
  });
  // One of another kind, whose fields have the same numbers.
  entries.push([
    ...field(1, 6),
    ...field(2, 9),
    ...message(
      8,
      [6, 7, 8, 9].flatMap((at) => field(at, at < 9 ? 0 : 5)),
    ),
  ]);
  const sized = entries.map((entry) => {
    const size = Buffer.alloc(4);
    size.writeUInt32LE(entry.length);
    return Buffer.concat([size, Buffer.from(entry)]);
  });
  return Buffer.concat([Buffer.alloc(8, 7), ...sized]);
}

describe('timerfds in an image of files', () => {
  it.each<[string, Timer, Timer]>([
    ['a periodic one that is due owes its tick', [0, 0, 0, 0, 20_000_000], [0, 0, 1, 0, 20_000_000]],
    ['one set to a moment waits for what is left', [1, 40, 5, 0, 0], [0, 40, 5, 0, 0]],
    ['both', [1, 0, 0, 3, 0], [0, 0, 1, 3, 0]],
  ])('%s', (_what, before, after) => {
    const others: Timer[] = [
      [0, 0, 0, 0, 0],
      [0, 3, 0, 3, 0],
      [0, 0, 900, 0, 900],
      [3, 40, 5, 0, 0],
    ];
    const image = imageOf([others[0]!, before, ...others.slice(1)]);
    expect(mendTimers(image)).toBe(1);
    expect(image).toEqual(imageOf([others[0]!, after, ...others.slice(1)]));
    expect(mendTimers(image)).toBe(0);
  });

  it('refuses an image that is cut short', () => {
    const image = imageOf([[0, 0, 0, 0, 1]]);
    expect(() => mendTimers(image.subarray(0, -3))).toThrow(/cut short/);
  });
});
