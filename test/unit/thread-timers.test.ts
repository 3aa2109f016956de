import { describe, expect, it } from 'vitest';
import { mendThreads, timersOfFirst } from '../../agent/machine/criu/thread-timers';

const message = (number: number, body: number[]) => [number * 8 + 2, ...varint(body.length), ...body];
const varint = (value: number): number[] =>
  value < 128 ? [value] : [128 + (value % 128), ...varint(Math.floor(value / 128))];

/** A core_entry with timers: the id of each, how it notifies, and more of its fields. */
function imageOf(timers: [id: number, notify: number, ...more: number[]][]): Buffer {
  const posix = timers.flatMap(([id, notify, ...more]) =>
    message(4, [8, ...varint(id), 16, 1, 24, 42, 32, notify, 80, ...varint(300), ...more]),
  );
  const task = [8, 1, ...message(7, [...message(1, [8, 0]), ...posix]), ...message(9, [8, 1])];
  const core = [8, 1, ...message(3, task), ...message(4, [8, 5])];
  const size = Buffer.alloc(4);
  size.writeUInt32LE(core.length);
  return Buffer.concat([Buffer.alloc(8, 7), size, Buffer.from(core)]);
}
const THREAD = 11 * 8;

describe('timers for the first thread, in the image of a process', () => {
  it('get its number; all else stays', () => {
    const other: [number, number, ...number[]] = [200, 4, THREAD, 9];
    const image = imageOf([[0, 0], other, [1, 0], [300, 1]]);
    const mended = mendThreads(image, 300, new Set([0, 300]));
    expect(mended).toEqual(
      imageOf([[0, 4, THREAD, ...varint(300)], other, [1, 0], [300, 4, THREAD, ...varint(300)]]),
    );
    expect(mendThreads(image, 300, new Set())).toEqual(image);
  });

  it('are refused where the image is cut short', () => {
    const image = imageOf([[0, 0]]);
    expect(() => mendThreads(image.subarray(0, -3), 5, new Set([0]))).toThrow(/cut short/);
    expect(() => mendThreads(image.subarray(0, 5), 5, new Set([0]))).toThrow(/cut short/);
  });
});

it('the kernel tells which timers those are', () => {
  const timer = (id: number, notify: string) =>
    `ID: ${id}\nsignal: 42/0000000000000000\nnotify: ${notify}\nClockID: 1\n`;
  const text = [timer(0, 'signal/tid.77'), timer(1, 'signal/tid.770'), timer(2, 'signal/pid.77')].join('');
  expect(timersOfFirst(text, 77)).toEqual(new Set([0]));
  expect(timersOfFirst('', 77)).toEqual(new Set());
});
