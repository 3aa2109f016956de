import { describe, expect, it } from 'vitest';
import { pathsIn, withoutLinks } from '../../agent/machine/criu/remaps';

/** criu/images/remap-file-path.proto: the file, the file that stands in for it, and which kind of that it is. */
const entry = (...fields: number[]) =>
  Buffer.from([fields.length * 2, 0, 0, 0, ...fields.flatMap((value, at) => [(at + 1) * 8, value])]);
const head = Buffer.from('56430912aabbccdd', 'hex');
const LINKED = 0;
const GHOST = 1;
const there = (id: number) => id === 16;

describe('files that CRIU has made a link of its own for', () => {
  it('are opened by their names; deleted ones stay as they are', () => {
    const image = Buffer.concat([head, entry(15, 1, GHOST), entry(16, 17, LINKED), entry(18, 2, GHOST)]);
    expect(withoutLinks(image, there)).toEqual(
      Buffer.concat([head, entry(15, 1, GHOST), entry(18, 2, GHOST)]),
    );
  });

  it('are known without a kind, which is then the first', () => {
    expect(withoutLinks(Buffer.concat([head, entry(16, 17)]), there)).toEqual(head);
  });

  it('that is nowhere under its name keeps its link, which travels', () => {
    const image = Buffer.concat([head, entry(20, 21, LINKED)]);
    expect(withoutLinks(image, there)).toEqual(image);
  });

  it('have paths by the ids of regular files', () => {
    // file_entry: type 1, id 16, reg { id 16, flags 0, pos 0, fown {}, name "/a" }; and one of another kind.
    const regular = [8, 16, 16, 0, 24, 0, 42, 0, 50, 2, 0x2f, 0x61];
    const file = [8, 1, 16, 16, 26, regular.length, ...regular];
    const other = [8, 5, 16, 17];
    const sized = (bytes: number[]) => Buffer.from([bytes.length, 0, 0, 0, ...bytes]);
    expect(pathsIn(Buffer.concat([head, sized(file), sized(other)]))).toEqual(new Map([[16, '/a']]));
  });

  it.each([
    ['head', head.subarray(0, 4)],
    ['size', Buffer.concat([head, Buffer.from([6, 0])])],
    ['entry', Buffer.concat([head, entry(16, 17, LINKED).subarray(0, -1)])],
  ])('are not looked for in an image whose %s is cut short', (_, image) => {
    expect(() => withoutLinks(image, there)).toThrow(/cut short/);
  });
});
