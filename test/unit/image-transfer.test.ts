import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { duplexPair } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { MAX_BYTES, receiveFolder, sendFolder } from '../../agent/daemon/migration/image-transfer';
import { whileItMoves } from '../../agent/daemon/migration/stall';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-images-'));
  writeFileSync(join(folder, 'core-1.img'), 'twelve bytes');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a folder arrives, and both sides know it', async () => {
  const there = mkdtempSync(join(tmpdir(), 'godwit-images-'));
  try {
    const [near, far] = duplexPair();
    const [bytes] = await Promise.all([sendFolder(folder, near), receiveFolder(there, far)]);
    expect(bytes).toBe(12);
    expect(readFileSync(join(there, 'core-1.img'), 'utf8')).toBe('twelve bytes');
  } finally {
    rmSync(there, { recursive: true });
  }
});

/** What `sendFolder` says of the folder. */
async function sent(): Promise<Buffer> {
  const [near, far] = duplexPair();
  const chunks: Buffer[] = [];
  far.on('data', (chunk) => chunks.push(chunk)).on('end', () => far.end());
  await sendFolder(folder, near);
  return Buffer.concat(chunks);
}

/** Its answer to these bytes, and what it has written. */
async function taken(bytes: Buffer): Promise<{ error: Error; written: string[] }> {
  const there = mkdtempSync(join(tmpdir(), 'godwit-images-'));
  const [near, far] = duplexPair();
  near.on('error', () => {});
  far.on('error', () => {});
  try {
    const received = receiveFolder(there, far);
    near.end(bytes);
    const error = await received.then(
      () => {
        throw new Error('it was taken');
      },
      (error: Error) => error,
    );
    // Its arrival is not reported.
    expect(far.writableEnded).toBe(false);
    return { error, written: readdirSync(there) };
  } finally {
    rmSync(there, { recursive: true });
  }
}

function head(name: string, size: number): Buffer {
  const start = Buffer.alloc(8);
  start.writeUInt16BE(Buffer.byteLength(name, 'latin1'));
  start.writeUIntBE(size, 2, 6);
  return Buffer.concat([start, Buffer.from(name, 'latin1')]);
}

test('half a folder is said to be one', async () => {
  writeFileSync(join(folder, 'core-2.img'), Buffer.alloc(1 << 20, 'x'));
  const all = await sent();
  for (const size of [1, all.length / 2, all.length - 1])
    expect((await taken(all.subarray(0, size))).error).toMatchObject({
      code: 'image-transfer-failed',
      message: 'the images did not arrive whole',
    });
  expect((await taken(Buffer.concat([all, Buffer.from('more')]))).error).toMatchObject({
    message: 'the source sent more than its images',
  });
});

test.each([
  '../core-1.img',
  '/etc/passwd',
  'a/b.img',
  'as-user',
  'pidfile',
  'sock',
  'unparking',
  'x'.repeat(300),
])('a file named %s is not taken', async (name) => {
  const { error, written } = await taken(Buffer.concat([head(name, 4), Buffer.from('evil')]));
  expect(error).toMatchObject({
    code: 'image-transfer-failed',
    message: expect.stringContaining('no image'),
  });
  expect(written).toEqual([]);
});

test('more bytes than a destination takes are refused before they come', async () => {
  const { error } = await taken(head('core-1.img', MAX_BYTES + 1));
  expect(error.message).toMatch(/more than 1.1 TB/);
});

test('an image is never written through a link, nor over what is there', async () => {
  const there = mkdtempSync(join(tmpdir(), 'godwit-images-'));
  try {
    writeFileSync(join(there, 'target'), 'kept');
    symlinkSync(join(there, 'target'), join(there, 'core-1.img'));
    const [near, far] = duplexPair();
    near.on('error', () => {});
    const received = receiveFolder(there, far);
    near.end(Buffer.concat([head('core-1.img', 4), Buffer.from('evil')]));
    await expect(received).rejects.toMatchObject({ code: 'image-transfer-failed' });
    expect(readFileSync(join(there, 'target'), 'utf8')).toBe('kept');
  } finally {
    rmSync(there, { recursive: true });
  }
});

test('a folder that can not be packed never ends as a whole one does', async () => {
  const [near, far] = duplexPair();
  let ended = false;
  far.once('end', () => {
    ended = true;
  });
  far.resume();
  near.on('error', () => {});
  await expect(sendFolder(join(folder, 'none'), near)).rejects.toMatchObject({
    code: 'image-transfer-failed',
  });
  expect(near.destroyed).toBe(true);
  expect(ended).toBe(false);
});

test('a receiver that stands still ends the wait for it', async () => {
  const never = new Promise<void>(() => {});
  const stalled = whileItMoves('the transfer', () => 'as before', never, 20);
  await expect(stalled).rejects.toMatchObject({
    code: 'stalled',
    message: 'the transfer stood still for 0.02 s',
  });
});

test('one that is slow is waited for', async () => {
  let looks = 0;
  let done = (_: string) => {};
  const work = new Promise<string>((resolve) => {
    done = resolve;
  });
  const mark = () => {
    looks++;
    if (looks === 100) done('all of it');
    // Something passes at every second look.
    return `${looks >> 1}`;
  };
  expect(await whileItMoves('the transfer', mark, work, 20)).toBe('all of it');
});

test('a transfer that is given up while it waits to be acknowledged fails at once', async () => {
  const [near, far] = duplexPair();
  const sent = sendFolder(folder, near);
  const taken = new Promise((resolve) => far.once('end', resolve).resume());
  await taken;
  // Everything is there, and the end is not reported.
  near.destroy();
  await expect(sent).rejects.toThrow('Premature close');
});
