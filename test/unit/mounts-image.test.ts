import { expect, test } from 'vitest';
import { addMounts } from '../../agent/machine/criu/mounts-image';
import { fieldsOf, messageOf } from '../../agent/machine/criu/protobuf';

const MAGIC = Buffer.from('1943565428395655', 'hex');
const entry = (id: number, parent: number, at: string) => {
  const message = messageOf([
    [1, 15],
    [2, id],
    [4, parent],
    [7, at],
  ]);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(message.length);
  return Buffer.concat([size, message]);
};

/** Id, parent, place and key of each mount. */
function read(image: Buffer): unknown[][] {
  const found: unknown[][] = [];
  for (let at = MAGIC.length; at < image.length; ) {
    const size = image.readUInt32LE(at);
    const fields = fieldsOf(image.subarray(at + 4, at + 4 + size), 'the test');
    const of = (number: number) => fields.find((field) => field.number === number)?.value;
    found.push([of(2), of(4), `${of(7)}`, of(18) === undefined ? null : `${of(18)}`]);
    at += 4 + size;
  }
  return found;
}

test('mounts are added below the nearest that is there, and below each other', () => {
  const image = Buffer.concat([MAGIC, entry(300, 200, '/srv'), entry(200, 1, '/'), entry(201, 200, '/home')]);
  expect(read(addMounts(image, ['/data', '/home/ann', '/home/ann/x', '/homely']))).toEqual([
    [300, 200, '/srv', null],
    [200, 1, '/', null],
    [201, 200, '/home', null],
    [301, 200, '/data', '/data'],
    [302, 201, '/home/ann', '/home/ann'],
    [303, 302, '/home/ann/x', '/home/ann/x'],
    [304, 200, '/homely', '/homely'],
  ]);
});

test('an image that is cut short, or has no root, is refused', () => {
  const image = Buffer.concat([MAGIC, entry(200, 1, '/')]);
  expect(() => addMounts(image.subarray(0, -1), ['/data'])).toThrow(/cut short/);
  expect(() => addMounts(Buffer.concat([MAGIC, entry(7, 1, '/srv')]), ['/data'])).toThrow(/no root/);
});
