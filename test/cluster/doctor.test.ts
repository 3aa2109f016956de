import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checks } from '../../agent/command/doctor';

let path: string | undefined;
beforeEach(() => {
  path = process.env.PATH;
});
afterEach(() => {
  process.env.PATH = path;
});

const NAMES = [
  'root',
  'node',
  'node for the agent',
  'kernel',
  'criu',
  'cgroup v2 freezer',
  'packet hold',
  'fuse',
  'gdb',
  'gdbserver',
  'ip',
  'nsenter',
  'openssl',
  'tar',
  'gzip',
  'helper',
];

describe('doctor', () => {
  it('finds nothing amiss where set-up and build have been run', async () => {
    const found = await checks();
    expect(found.map(({ check }) => check)).toEqual(NAMES);
    expect(found.filter(({ ok, fix }) => !ok || fix !== null)).toEqual([]);
    expect(found.every(({ found: what }) => what.length > 0)).toBe(true);
  });

  it('says what to do about each thing that is missing', async () => {
    process.env.PATH = '/no/such/folder';
    const missing = (await checks()).filter(({ ok }) => !ok);
    expect(missing.map(({ check }) => check)).toEqual(
      expect.arrayContaining(['gdb', 'gdbserver', 'openssl']),
    );
    for (const { found, fix } of missing) {
      expect(found).toBe('not installed');
      expect(fix).toContain('npm run setup');
    }
  });
});
