import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { duplexPair } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { receiveFolder, sendFolder } from '../../agent/migration/carriage';

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

test('a carriage that is given up while it waits to be acknowledged fails at once', async () => {
  const [near, far] = duplexPair();
  const sent = sendFolder(folder, near);
  const taken = new Promise((resolve) => far.once('end', resolve).resume());
  await taken;
  // Everything is there, and nobody says so.
  near.destroy();
  await expect(sent).rejects.toThrow('Premature close');
}, 30_000);
