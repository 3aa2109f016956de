import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { duplexPair } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { receiveFolder, sendFolder } from '../../agent/migration/carriage';
import { whileItMoves } from '../../agent/migration/stall';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-carriage-'));
  writeFileSync(join(folder, 'image'), 'twelve bytes');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a folder arrives, and both sides know it', async () => {
  const there = mkdtempSync(join(tmpdir(), 'godwit-carriage-'));
  try {
    const [near, far] = duplexPair();
    const [bytes] = await Promise.all([sendFolder(folder, near), receiveFolder(there, far)]);
    expect(bytes).toBe(12);
    expect(readFileSync(join(there, 'image'), 'utf8')).toBe('twelve bytes');
  } finally {
    rmSync(there, { recursive: true });
  }
});

test('half a folder is said to be one, and what packs or unpacks it has ended', async () => {
  writeFileSync(join(folder, 'large'), Buffer.alloc(1 << 20, 'x'));
  const archive = execFileSync('tar', ['-C', folder, '-cf', '-', '.'], { maxBuffer: 1 << 22 });
  const [near, far] = duplexPair();
  const received = receiveFolder(folder, far);
  near.end(archive.subarray(0, archive.length / 2));
  await expect(received).rejects.toMatchObject({
    code: 'carriage-failed',
    message: expect.stringContaining('Unexpected EOF'),
  });
  // Nobody is told that it arrived.
  expect(far.writableEnded).toBe(false);
});

test('a folder that can not be packed never ends as a whole one does', async () => {
  const [near, far] = duplexPair();
  let ended = false;
  far.once('end', () => {
    ended = true;
  });
  far.resume();
  near.on('error', () => {});
  await expect(sendFolder(join(folder, 'none'), near)).rejects.toMatchObject({ code: 'carriage-failed' });
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

test('a carriage that is given up while it waits to be acknowledged fails at once', async () => {
  const [near, far] = duplexPair();
  const sent = sendFolder(folder, near);
  const taken = new Promise((resolve) => far.once('end', resolve).resume());
  await taken;
  // Everything is there, and nobody says so.
  near.destroy();
  await expect(sent).rejects.toThrow('Premature close');
}, 30_000);
