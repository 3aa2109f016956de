import { describe, expect, test } from 'vitest';
import { parseCpuFlags, pidsAmong, statusBytes, statusField } from '../../agent/machine/proc/parse';

describe('of the texts of /proc', () => {
  test('the processor’s flags are those of its first, on either architecture', () => {
    expect(
      parseCpuFlags('processor\t: 0\nflags\t\t: fpu avx512f\nvmx flags\t: vnmi\nflags\t\t: fpu\n'),
    ).toEqual(['fpu', 'avx512f']);
    expect(parseCpuFlags('processor\t: 0\nFeatures\t: fp asimd\nCPU part\t: 0xd0c\n')).toEqual([
      'fp',
      'asimd',
    ]);
    expect(parseCpuFlags('flags\t\t:\nbugs\t\t: swapgs\n')).toEqual([]);
    expect(parseCpuFlags('')).toEqual([]);
  });

  test('the names that are numbers are processes', () => {
    expect(pidsAmong(['1', 'self', '23', '4a', 'sys', ''])).toEqual(['1', '23']);
  });

  test('a size is in bytes, and none where the line is missing', () => {
    const status = 'VmRSS:\t   12 kB\nRssAnon:\t       3 kB\n';
    expect([
      statusBytes(status, 'RssAnon'),
      statusBytes(status, 'RssShmem'),
      statusBytes('', 'VmRSS'),
    ]).toEqual([3072, 0, 0]);
  });

  test('a lock is found among the fields of a descriptor', () => {
    const info = 'pos:\t5\nflags:\t0100002\nlock:\t1: FLOCK  ADVISORY  WRITE 9 00:3d:5 0 EOF\n';
    expect(statusField(info, 'lock')).toMatch(/^1: FLOCK/);
    expect(statusField(info, 'pos')).toBe('5');
    expect(statusField('pos:\t0\n', 'lock')).toBeUndefined();
  });
});
