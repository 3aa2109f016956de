import { describe, expect, it } from 'vitest';
import { cgroup2Mounts, pathIn } from '../../agent/machine/cgroup/hierarchy';
import { controllersV1, limitObstacles } from '../../agent/machine/cgroup/limits';
import { parseStat, statusField, statusMask, statusNumbers } from '../../agent/machine/proc/parse';
import { jobProcesses, nodePid, readProcess, threadsOf } from '../../agent/machine/proc/processes';

describe('the cgroup v2 hierarchy', () => {
  it('is found beside v1, wherever it is mounted', () => {
    const mountinfo = `31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
41 31 0:38 / /sys/fs/cgroup/unified ro,nosuid shared:9 - cgroup2 cgroup2 rw
42 31 0:38 / /run/a\\040b rw,nosuid shared:9 master:1 - cgroup2 cgroup2 rw
`;
    expect(cgroup2Mounts(mountinfo)).toEqual([
      { at: '/sys/fs/cgroup/unified', root: '/', writable: false },
      { at: '/run/a b', root: '/', writable: true },
    ]);
    expect(cgroup2Mounts('')).toEqual([]);
  });

  it('says what the kernel calls a folder of it, also where a part of it is mounted', () => {
    const mountinfo = `41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
42 31 0:38 /system.slice /run/part rw - cgroup2 cgroup2 rw
`;
    expect(pathIn(mountinfo, '/sys/fs/cgroup/godwit/node/job.0')).toBe('/godwit/node/job.0');
    expect(pathIn(mountinfo, '/run/part/job.0')).toBe('/system.slice/job.0');
    expect(() => pathIn(mountinfo, '/run/other/job.0')).toThrow('/run/other/job.0 is in none');
  });
});

describe('limits', () => {
  const mountinfo = `34 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct
35 31 0:31 / /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory
36 31 0:32 / /sys/fs/cgroup/freezer rw,nosuid - cgroup cgroup rw,freezer
41 31 0:38 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw
`;
  const found = controllersV1(mountinfo);

  it('are enforced by the controllers that can be written', () => {
    expect(found).toEqual([{ name: 'cpu', version: 1, at: '/sys/fs/cgroup/cpu,cpuacct' }]);
  });

  it('that no controller enforces are named', () => {
    expect(limitObstacles('node2', {}, [])).toEqual([]);
    expect(limitObstacles('node2', { cpus: 1 }, found)).toEqual([]);
    expect(limitObstacles('node2', { cpus: 1, memory: 1e9, processes: 5 }, found)).toEqual([
      {
        code: 'limit-unavailable',
        what: expect.stringContaining("node2 can't limit memory"),
        fix: expect.any(String),
      },
      {
        code: 'limit-unavailable',
        what: expect.stringContaining('controller pids'),
        fix: expect.any(String),
      },
    ]);
  });
});

describe('a process', () => {
  it('is read whatever its name', () => {
    const stat = '12 (a) R (b) T 5 12 12 0 -1 4194304 1 2 3 4 30 12 0 0 20 0 1 0 100 200 300';
    expect(parseStat(stat)).toEqual({ comm: 'a) R (b', state: 'T', parent: 5, ticks: 42, started: '100' });
  });

  it('has fields in its status that may be empty or missing', () => {
    const status = 'Name:\ta\nGroups:\t\nNSpid:\t4000\t7\nSigPnd:\t0000000000040000\nVmRSS:\t  12 kB\n';
    expect(statusField(status, 'Groups')).toBe('');
    expect(statusField(status, 'Uid')).toBeUndefined();
    expect(statusNumbers(status, 'Groups')).toEqual([]);
    expect(statusNumbers(status, 'NSpid')).toEqual([4000, 7]);
    expect(statusMask(status, 'SigPnd')).toBe(0x40000n);
    expect(statusMask(status, 'ShdPnd')).toBe(0n);
  });

  it('is told with its memory and its time', async () => {
    const self = await readProcess(process.pid);
    expect(self).toMatchObject({ pid: process.pid, parent: process.ppid });
    expect(self!.rss).toBeGreaterThan(1_000_000);
    expect(self!.cpuUsec).toBeGreaterThan(0);
    expect((await threadsOf(process.pid)).length).toBeGreaterThan(1);
  });

  it('that has gone is left out', async () => {
    const gone = 2 ** 22 + 1;
    expect(await readProcess(gone)).toBeNull();
    expect(await threadsOf(gone)).toEqual([]);
    expect(await jobProcesses({ pids: async () => [gone] })).toEqual([]);
    await expect(nodePid({ pids: async () => [gone] }, 1)).rejects.toMatchObject({ code: 'no-such-process' });
  });
});
