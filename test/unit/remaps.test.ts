import { describe, expect, it } from 'vitest';
import { withoutLinks } from '../../agent/machine/criu/remaps';

/** criu/images/remap-file-path.proto: the file, the file that stands in for it, and which kind of that it is. */
const entry = (...fields: number[]) =>
  Buffer.from([fields.length * 2, 0, 0, 0, ...fields.flatMap((value, at) => [(at + 1) * 8, value])]);
const head = Buffer.from('56430912aabbccdd', 'hex');
const LINKED = 0;
const GHOST = 1;

describe('files that CRIU has made a link of its own for', () => {
  it('are opened by their names; deleted ones stay as they are', () => {
    const image = Buffer.concat([head, entry(15, 1, GHOST), entry(16, 17, LINKED), entry(18, 2, GHOST)]);
    expect(withoutLinks(image)).toEqual(Buffer.concat([head, entry(15, 1, GHOST), entry(18, 2, GHOST)]));
  });

  it('are known without a kind, which is then the first', () => {
    expect(withoutLinks(Buffer.concat([head, entry(16, 17)]))).toEqual(head);
  });

  it.each([
    ['head', head.subarray(0, 4)],
    ['size', Buffer.concat([head, Buffer.from([6, 0])])],
    ['entry', Buffer.concat([head, entry(16, 17, LINKED).subarray(0, -1)])],
  ])('are not looked for in an image whose %s is cut short', (_, image) => {
    expect(() => withoutLinks(image)).toThrow(/cut short/);
  });
});
