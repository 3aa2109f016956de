/** What a destination must have for a job, as the preflight says it. */
import { freemem, tmpdir } from 'node:os';
import { describe, expect, it, test } from 'vitest';
import { size } from '../../agent/api/figures';
import type { Machine } from '../../agent/api/peer-contract';
import { differences } from '../../agent/daemon/preflight/compatibility';
import { nodeObstacles } from '../../agent/daemon/preflight/destination';
import { thisMachine } from '../../agent/daemon/preflight/machine';
import { isAtLeast, series } from '../../agent/machine/versions';

async function obstacles(bytes: number, room: number | null = null) {
  const from = await thisMachine();
  const wanted = { bytes, from, comesHome: false, ports: [], images: tmpdir() };
  return await nodeObstacles('node3', wanted, { room });
}

test('the image and the restored job must fit into memory together', async () => {
  // It would fit once.
  const bytes = Math.round(0.75 * freemem());
  const found = (await obstacles(bytes)).find(({ code }) => code === 'no-memory');
  expect(found?.what).toMatch(/^node3 has \d.* of memory free, and the move takes \d/);
  expect(found?.what).toContain(`the move takes ${size(2 * bytes)}`);
  expect(found?.fix).toContain('another node');
});

test('the restored job must fit into what jobs may use there together', async () => {
  const noMemory = async (bytes: number, room: number) =>
    (await obstacles(bytes, room)).find(({ code }) => code === 'no-memory')?.what;
  const MIB = 1024 * 1024;
  expect(await noMemory(90 * MIB, 100 * MIB)).toMatch(
    /^node3 has 10\d.* of memory free, and the move takes 11\d/,
  );
  expect(await noMemory(80 * MIB, 100 * MIB)).toBeUndefined();
});

test('what fits twice is no obstacle', async () => {
  expect((await obstacles(1024)).map(({ code }) => code)).not.toContain('no-memory');
});

test('versions are compared by their numbers', () => {
  expect(isAtLeast('6.12', '6.9')).toBe(true);
  expect(isAtLeast('6.9', '6.12')).toBe(false);
  expect(isAtLeast('4.2', '4.2.0')).toBe(true);
  expect(['6.18.44-fc', '6.1.0-32-amd64', '4.2', ''].map(series)).toEqual(['6.18', '6.1', '4.2', '0']);
});

describe('a node that differs from where the job runs', () => {
  const here: Machine = {
    arch: 'x64',
    cpuFlags: ['fpu', 'sse2', 'avx2', 'tsc'],
    kernel: '6.12.9-amd64',
    criu: '4.2',
  };
  const from = (other: Partial<Machine>, comesHome = false) =>
    differences('node3', { ...here, ...other }, here, comesHome);

  it.each<[string, Partial<Machine>]>([
    ['nothing', {}],
    ['a feature more than there', { cpuFlags: ['fpu', 'sse2', 'tsc'] }],
    ['a flag that no program asks for', { cpuFlags: [...here.cpuFlags, 'constant_tsc', 'svm'] }],
    ['another build of that kernel', { kernel: '6.12.80-cloud' }],
    ['an older kernel', { kernel: '6.1.0-32-amd64' }],
  ])('in %s is none to it', (_, other) => {
    expect(from(other)).toEqual([]);
  });

  it('in what programs may have chosen by is named', () => {
    expect(from({ cpuFlags: [...here.cpuFlags, 'avx512f', 'amx_tile'] })).toEqual([
      {
        code: 'cpu-features',
        what: "node3's CPU lacks avx512f, amx_tile",
        fix: expect.stringContaining('launch the job on the oldest one'),
      },
    ]);
    expect(from({ kernel: '6.18.44' })).toEqual([
      {
        code: 'kernel-version',
        what: 'node3 has the kernel 6.12.9-amd64, and the job runs on the newer 6.18.44',
        fix: 'choose a node with 6.18 or newer, or launch the job on the oldest one',
      },
    ]);
    // Nothing else of it is worth saying.
    expect(from({ arch: 'arm64', cpuFlags: ['asimd'], kernel: '7.0' }).map(({ code }) => code)).toEqual([
      'architecture',
    ]);
  });

  it('in its kernel keeps no job from coming home', () => {
    expect(from({ kernel: '6.18.44' }, true)).toEqual([]);
    expect(from({ cpuFlags: ['avx512f'] }, true).map(({ code }) => code)).toEqual(['cpu-features']);
  });
});
