import { describe, expect, it } from 'vitest';
import { dumpArguments, pageServerArguments, restoreArguments } from '../../agent/machine/criu/arguments';
import { leastVersion, parseVersion } from '../../agent/machine/criu/criu';
import { explain, tellingLine } from '../../agent/machine/criu/log';
import { parseDumpStats, parseRestoreStats } from '../../agent/machine/criu/stats';
import { isAtLeast } from '../../agent/machine/versions';

const HARMLESS = `(00.027054) Error (criu/util.c:1533): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted
`;
const GAVE_UP = `Error (criu/cr-dump.c:1681): Dump files (pid: 12162) failed with -1
Error (criu/cr-dump.c:2111): Dumping FAILED.
`;

describe('a CRIU log', () => {
  it.each([
    [
      'tcp-connection',
      'criu/sk-inet.c:191',
      'inet: Connected TCP socket, consider using --tcp-established option.',
    ],
    ['network-socket', 'criu/sockets.c:628', "sockets: Can't get 1:16 opt: Operation not supported"],
    [
      'external-socket',
      'criu/sk-unix.c:835',
      'unix: External socket is used. Consider using --ext-unix-sk option.',
    ],
    ['io-uring', 'criu/files-ext.c:94', "Can't dump file 3 of that type [600] (anon anon_inode:[io_uring])"],
    ['io-uring', 'criu/pie/parasite.c:588', 'send_fds failed (-22)'],
    ['device-open', 'criu/tun.c:306', 'tun: Net namespace is required to dump tun link'],
    [
      'device-open',
      'criu/files-ext.c:94',
      "Can't dump file 3 of that type [600] (anon anon_inode:[perf_event])",
    ],
    [
      'deleted-file',
      'criu/files-reg.c:1031',
      "Can't dump ghost file /tmp/del of 3002368 size, increase limit",
    ],
    ['deleted-file', 'criu/files-reg.c:1122', "Can't create link remap for /tmp/a. Use link-remap option."],
    ['outside-file', 'criu/files-reg.c:1790', "Can't lookup mount=15 for fd=3 path=/secretmem (deleted)"],
    [
      'file-lock',
      'criu/file-lock.c:110',
      'Some file locks are hold by dumping tasks! You can try --file-locks.',
    ],
    ['nested-namespace', 'criu/namespaces.c:460', "Can't dump nested pid namespace for 12774"],
    ['traced', 'criu/seize.c:335', 'zombie 13109 (comm ) found while seizing'],
    ['file-changed', 'criu/files-reg.c:2161', 'File opt/program has bad size 27 (expect 16736)'],
    ['cpu', 'criu/cpu.c:511', "cpu: FPU xsave area present, but host cpu doesn't support it"],
    ['disk-full', 'criu/image.c:430', "Can't write image: No space left on device"],
  ])('is explained: %s', (code, place, text) => {
    const log = `${HARMLESS}(00.031) Error (${place}): ${text}\n${GAVE_UP}`;
    const error = explain('dump', log);
    expect(error.code).toBe(code);
    expect(error.fix).toBeTruthy();
    expect(error.message).not.toMatch(/\n|\$\d/);
  });

  it('names the file and the descriptor', () => {
    const line =
      "Error (criu/files-ext.c:94): Can't dump file 3 of that type [600] (anon anon_inode:[perf_event])";
    expect(explain('dump', line).message).toContain('descriptor 3');
    expect(explain('dump', line).message).toContain('anon_inode:[perf_event]');
    const ghost =
      "Error (criu/files-reg.c:1031): Can't dump ghost file /tmp/del of 3002368 size, increase limit";
    expect(explain('dump', ghost).message).toContain('/tmp/del');
  });

  it('that says something unknown is quoted, with the last reason and not what follows from it', () => {
    const log = `${HARMLESS}Error (a.c:1): first\npie: 2: Error (b.c:2): second\n${GAVE_UP}`;
    expect(tellingLine(log)).toBe('second');
    expect(explain('restore', log)).toMatchObject({
      code: 'restore-failed',
      message: 'the restore failed: CRIU says "second"',
    });
  });

  it('without a reason is said to have none', () => {
    expect(tellingLine(HARMLESS)).toBeNull();
    expect(tellingLine(GAVE_UP)).toBe('Dumping FAILED.');
    expect(explain('dump', '').message).toBe('the dump failed: CRIU ended without saying why');
  });
});

describe("CRIU's figures", () => {
  const recorded = {
    dump: '4059105506330957210000000a1f089e0310ba77188508207d2827300038174000480050065806600068007000',
    restore: '40591055063309570e000000120c0800100018a00220d17f2817',
  };

  it('are read from its images', () => {
    expect(parseDumpStats(Buffer.from(recorded.dump, 'hex'))).toEqual({
      freezingMs: 0.414,
      frozenMs: 15.29,
      memdumpMs: 1.029,
      memwriteMs: 0.125,
      pagesScanned: 39,
      pagesWritten: 23,
    });
    expect(parseRestoreStats(Buffer.from(recorded.restore, 'hex'))).toEqual({
      forkingMs: 0.288,
      restoreMs: 16.337,
      pagesRestored: 23,
    });
  });

  it('are refused when they are cut short or of the other kind', () => {
    const dump = Buffer.from(recorded.dump, 'hex');
    for (const size of [0, 8, 12, 14])
      expect(() => parseDumpStats(dump.subarray(0, size))).toThrow(/CRIU statistics/);
    expect(() => parseRestoreStats(dump)).toThrow(/no such figures/);
    const endless = Buffer.concat([dump.subarray(0, 8), Buffer.from([1, 0, 0, 0, 0x88])]);
    expect(() => parseDumpStats(endless)).toThrow(/cut short/);
  });
});

describe('CRIU', () => {
  it('is new enough from 4.1 on', () => {
    expect(parseVersion('Version: 4.1.1\nGitID: v4.1.1\n')).toBe('4.1.1');
    expect(parseVersion('criu: command not found')).toBeNull();
    expect(
      ['3.17.1', '4.0', '4.1', '4.1.1', '4.10', '5'].map((version) => isAtLeast(version, '4.1')),
    ).toEqual([false, false, true, true, true, true]);
  });

  it('has to be newer on a kernel whose TCP sockets older ones can not save', () => {
    const kernels = ['5.10.0-33-amd64', '6.12.3', '6.15', '6.16.0-rc2', '6.18.44+deb14', '7.0', 'odd'];
    expect(kernels.map(leastVersion)).toEqual(['4.1', '4.1', '4.1', '4.2', '4.2', '4.2', '4.1']);
  });

  it('leaves a dumped job frozen, in its cgroup, and sends pages only where they are asked for', () => {
    const orders = { init: 7, images: '/images', run: '/job/run', mounts: ['/home'], network: null };
    const stream = dumpArguments({ ...orders, stream: true });
    expect(stream.join(' ')).toContain(
      '--freeze-cgroup /job/run --leave-running --page-server --ps-socket 3',
    );
    expect(dumpArguments({ ...orders, stream: false })).not.toContain('--page-server');
    expect(pageServerArguments({ images: '/images' })).toContain('--ps-socket');
    const restored = {
      images: '/images',
      root: '/root-of-it',
      mounts: ['/home', '/common'],
      direct: ['/common'],
    };
    const atHome = restoreArguments({ ...restored, files: '/' });
    const elsewhere = restoreArguments({ ...restored, files: '/files' });
    expect([...stream, ...atHome, ...elsewhere]).not.toContain('--shell-job');
    const externals = (args: string[]) => args.filter((argument) => argument.startsWith('mnt['));
    expect(externals(stream)).toEqual(['mnt[/dev]:/dev', 'mnt[/sys]:/sys', 'mnt[/home]:/home']);
    const own = ['mnt[/dev]:/dev', 'mnt[/sys]:/sys'];
    expect(externals(atHome)).toEqual([...own, 'mnt[/home]:/home', 'mnt[/common]:/common']);
    expect(externals(elsewhere)).toEqual([...own, 'mnt[/home]:/files/home', 'mnt[/common]:/common']);
  });
});
