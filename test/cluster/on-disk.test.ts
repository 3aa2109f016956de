/** What a program was told to be on the disk is on the home's disk, wherever the program runs. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { compile } from '../support/c-programs';
import { MountedHome } from '../support/mounted-home';
import { end, endAll, launch, run } from '../support/processes';
import { inProject } from '../support/project';

const PATIENCE = { timeout: 60_000, interval: 20 };
const TEXT = 'on the disk';
const SYNCS = 'fsync,fdatasync,sync_file_range,syncfs,sync';

let folder: string;
let program: string;
let home: MountedHome;
let places = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-on-disk-'));
  program = await compile(inProject('test', 'programs', 'on-disk.c'), folder);
  mkdirSync(join(folder, 'root'));
  home = await new MountedHome(join(folder, 'root'), folder).start();
});
afterEach(() => endAllTracers());
afterAll(async () => {
  await home?.stop();
  endAll();
  rmSync(folder, { recursive: true });
});

const tracers: ReturnType<typeof launch>[] = [];
async function endAllTracers() {
  for (const tracer of tracers.splice(0)) {
    const gone = new Promise((resolve) => tracer.once('close', resolve));
    tracer.kill('SIGINT');
    await gone;
    end(tracer);
  }
}

/** Looks at what the home's server asks of its kernel; with an error, the kernel's disk is one that fails. */
async function traced(fault?: string): Promise<() => string> {
  const log = join(folder, `trace-${places}`);
  const inject = fault ? ['-e', `inject=${SYNCS}:error=${fault}`] : [];
  const argv = ['strace', '-f', '-p', `${home.server.pid}`, '-o', log];
  const tracer = launch([...argv, '-e', `trace=${SYNCS},pwritev2`, ...inject]);
  tracers.push(tracer);
  await vi.waitFor(() => {
    const tasks = readFileSync(`/proc/${home.server.pid}/status`, 'utf8');
    expect(/TracerPid:\s+0/.test(tasks)).toBe(false);
  }, PATIENCE);
  return () => readFileSync(log, 'utf8');
}

/** What the program says of a file in a new folder, and where that is at home. */
async function brought(way: string): Promise<{ said: string; at: string }> {
  const name = `place-${places++}`;
  await mkdir(join(home.at, name));
  const { status, stdout, stderr } = await run([program, way, join(home.at, name)]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return { said: stdout.trim(), at: join(folder, 'root', name) };
}

describe('what is brought to the disk abroad', () => {
  const ways = ['fsync', 'fdatasync', 'O_SYNC', 'O_DSYNC', 'RWF_SYNC', 'RWF_DSYNC', 'msync', 'folder'];

  it.each(ways)('by %s is on it at home when the call returns', async (way) => {
    const calls = await traced();
    const { said, at } = await brought(way);
    const written = way === 'folder' ? '' : readFileSync(join(at, 'file'), 'latin1').slice(0, TEXT.length);
    expect({ said, written }).toEqual({ said: 'done', written: way === 'folder' ? '' : TEXT });
    await endAllTracers();
    const [last] = calls()
      .match(/f(data)?sync\(\d+\) += 0/g)
      ?.slice(-1) ?? ['none'];
    expect(last).toMatch(/^f(data)?sync/);
    // First the bytes, then the disk.
    expect(calls().lastIndexOf('sync(')).toBeGreaterThan(calls().lastIndexOf('pwritev2('));
  });

  it.each(ways)('by %s fails where the disk of the home fails', async (way) => {
    await traced('EIO');
    expect((await brought(way)).said).toBe('EIO');
  });
});

it('syncfs and sync abroad bring what is written home, and not on to its disk', async () => {
  const calls = await traced('EIO');
  const { said, at } = await brought('syncfs');
  expect(said).toBe('done');
  expect(readFileSync(join(at, 'file'), 'latin1')).toBe(TEXT);
  await endAllTracers();
  expect(calls()).not.toMatch(/sync/);
});
