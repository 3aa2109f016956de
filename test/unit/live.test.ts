/** The image that boots as a node: what is asked for, which modules it has, how long work is ended. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeToken } from '../../agent/api/token';
import { grubConfig, protect } from '../../agent/live/images';
import { Modules, nameOf, parseNeeds } from '../../agent/live/modules';
import { besideIso, liveRequest, tokenFor } from '../../agent/live/request';
import { lastWords, removeIn, runLong } from '../../agent/live/running';
import { inProject } from '../support/project';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-live-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('what is asked for', () => {
  it('is all of it by default', async () => {
    expect(await liveRequest({})).toEqual({
      ...{ packages: [], suite: 'trixie', append: '', files: null, quick: false },
      iso: join(process.cwd(), 'godwit-live.iso'),
    });
  });

  it('is packages by their names, each once', async () => {
    const { packages } = await liveRequest({ packages: 'r-base,octave,g++,r-base,' });
    expect(packages).toEqual(['r-base', 'octave', 'g++']);
  });

  it.each([
    ['an option in a package’s place', { packages: '--hook-dir=/tmp' }],
    ['a path in its place', { packages: './evil.deb' }],
    ['a pattern', { packages: '~i' }],
    ['a capital letter', { packages: 'R-base' }],
    ['more packages than may be', { packages: Array.from({ length: 501 }, (_, at) => `p${at}x`).join() }],
    ['an option in a release’s place', { suite: '-o' }],
    ['a path in its place', { suite: '../x' }],
    ['the end of a menu entry', { append: 'quiet\n}' }],
    ['a variable of the boot loader’s', { append: 'x=$root' }],
    ['quotes', { append: 'x="y z"' }],
    ['more words than a kernel reads', { append: 'x'.repeat(1001) }],
    ['a folder that is not there', { files: '/no/such/folder' }],
    ['a file in its place', { files: '/etc/passwd' }],
  ])('is refused with %s', async (_, options) => {
    await expect(liveRequest(options)).rejects.toMatchObject({ code: 'live-wrong-request' });
  });

  it('is a whole token, or its last part', () => {
    const secret = { id: '0123abcd', secret: '0123456789abcdef0123456789abcdef' };
    const authority = `sha256:${'ab'.repeat(32)}`;
    const text = writeToken({ places: [{ host: '10.0.0.1', port: 7421 }], authority, ...secret });
    expect(tokenFor(`${text}\n`)).toBe(text);
    expect(tokenFor(text.split('.').at(-1)!)).toBe('0123abcd-0123456789abcdef0123456789abcdef');
    for (const wrong of ['', 'x', text.slice(0, -1), `${text} panic=0`])
      expect(() => tokenFor(wrong)).toThrow(expect.objectContaining({ code: 'bad-token' }));
  });

  it('has kernel and initramfs beside the ISO', () => {
    expect(besideIso('/srv/a.iso')).toEqual({ kernel: '/srv/a.vmlinuz', initramfs: '/srv/a.initramfs' });
    expect(besideIso('/srv/a').kernel).toBe('/srv/a.vmlinuz');
  });
});

describe('the modules', () => {
  const dep = [
    'kernel/drivers/block/loop.ko.xz:',
    'kernel/fs/squashfs/squashfs.ko.xz:',
    'kernel/fs/overlayfs/overlay.ko.xz:',
    'kernel/drivers/net/tun.ko.xz:',
    'kernel/drivers/net/veth.ko.xz:',
    'kernel/net/bridge/bridge.ko.xz: kernel/net/802/stp.ko.xz kernel/net/llc/llc.ko.xz',
    'kernel/net/802/stp.ko.xz: kernel/net/llc/llc.ko.xz',
    'kernel/net/llc/llc.ko.xz:',
    'kernel/drivers/net/ethernet/intel/e1000/e1000.ko.xz:',
    'kernel/drivers/net/ethernet/realtek/r8169.ko.xz: kernel/drivers/net/mdio_devres.ko.xz',
    'kernel/drivers/net/mdio_devres.ko.xz:',
    'kernel/drivers/gpu/drm/i915/i915.ko.xz:',
  ].join('\n');
  const builtIn = [
    ...['fuse', 'inet_diag', 'tcp_diag', 'udp_diag', 'raw_diag', 'unix_diag', 'af_packet_diag'],
    ...['netlink_diag', 'nf_tables', 'nft_chain_nat', 'ip_tables', 'iptable_filter'],
  ];

  it('are named as the kernel names them, however they are packed', () => {
    expect(nameOf('kernel/drivers/char/hw_random/virtio-rng.ko.xz')).toBe('virtio_rng');
    expect(nameOf('a/b.ko')).toBe('b');
    expect(nameOf('b.ko.zst')).toBe('b');
    expect(parseNeeds(dep).get('kernel/fs/squashfs/squashfs.ko.xz')).toEqual([]);
  });

  it('come after what they need', () => {
    const paths = Modules.from(dep, builtIn).named(['bridge']).map(nameOf);
    expect(paths).toEqual(['llc', 'stp', 'bridge']);
  });

  it('of a node are what it wants, and the drivers of networks, and of those what they need', () => {
    const names = Modules.from(dep, builtIn).ofNode().map(nameOf);
    expect(names).toEqual(
      expect.arrayContaining(['loop', 'squashfs', 'overlay', 'e1000', 'r8169', 'mdio_devres']),
    );
    expect(names).not.toContain('i915');
    expect(new Set(names).size).toBe(names.length);
  });

  it('that a node needs and the kernel has not are named', () => {
    expect(() => Modules.from(dep, builtIn.slice(1)).ofNode()).toThrow(/no module fuse/);
  });
});

describe('what boots', () => {
  it('has the words on the kernel’s command line', () => {
    expect(grubConfig('quiet console=ttyS0')).toContain('  linux /boot/vmlinuz quiet console=ttyS0\n');
  });

  it('is readable for its owner alone where a token is in it', async () => {
    const file = join(folder, 'image');
    writeFileSync(file, '');
    for (const [secret, mode] of [
      [true, 0o600],
      [false, 0o644],
    ] as const) {
      await protect([file], secret);
      expect(statSync(file).mode & 0o777).toBe(mode);
    }
  });

  it.each(['init', 'boot', 'lease', 'join', 'leave'])('runs %s, which a shell can read', (name) => {
    const file = inProject('resources/live', name);
    expect(spawnSync('sh', ['-n', file]).stderr.toString()).toBe('');
    expect(statSync(file).mode & 0o111).toBe(0o111);
  });

  it('lets none log in', () => {
    for (const line of readFileSync(inProject('resources/live/passwd'), 'utf8').trim().split('\n'))
      expect(line).toMatch(/^\w+:\*:/);
    const lines = readFileSync(inProject('resources/live/inittab'), 'utf8').split('\n');
    const said = lines.filter((line) => line && !line.startsWith('#'));
    expect(said.length).toBeGreaterThan(0);
    for (const line of said) expect(line).toMatch(/^::\w+:\/(usr\/lib\/godwit\/live\/\w+|sbin\/reboot)$/);
  });
});

describe('work that takes long', () => {
  const running = (signal: AbortSignal) => ({ what: 'the work', signal });
  const never = new AbortController().signal;

  it('answers with what it prints', async () => {
    expect(await runLong(['echo', 'done'], running(never))).toBe('done\n');
  });

  it('that fails is told with its last words', async () => {
    const work = runLong(
      ['sh', '-c', 'echo before >&2; echo "E: no such package" >&2; exit 3'],
      running(never),
    );
    await expect(work).rejects.toMatchObject({
      code: 'live-failed',
      message: 'the work failed: E: no such package',
    });
    expect(lastWords('')).toBe('without a word');
  });

  it('of a program that is not there is told', async () => {
    const work = runLong(['no-such-program'], running(never));
    await expect(work).rejects.toMatchObject({
      message: expect.stringMatching(/^the work failed: .*no-such-program.*No such file/),
    });
  });

  it('leaves out what fits a pattern, and nothing else', async () => {
    const root = join(folder, 'root');
    for (const name of ['usr/bin', 'usr/lib/python3.13/test', 'usr/lib/python3.13/json', 'a b'])
      mkdirSync(join(root, name), { recursive: true });
    writeFileSync(join(root, 'usr/bin/perl5.40'), '');
    writeFileSync(join(root, 'usr/bin/gdb'), '');
    await removeIn(root, ['usr/bin/perl*', 'usr/lib/python3*/{test,idlelib}', 'no/such/*', 'nothing'], never);
    const left = readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();
    expect(left).toEqual([
      'a b',
      'usr',
      'usr/bin',
      'usr/bin/gdb',
      'usr/lib',
      'usr/lib/python3.13',
      'usr/lib/python3.13/json',
    ]);
  });

  it('is cut off with all that it has started', async () => {
    const cut = new AbortController();
    const ready = join(folder, 'ready');
    const script = `sleep 1000 & echo $! >${ready}.new; mv ${ready}.new ${ready}; wait`;
    const work = runLong(['sh', '-c', script], running(cut.signal));
    const ended = expect(work).rejects.toThrow('enough');
    const pid = await untilThere(ready);
    cut.abort(new Error('enough'));
    await ended;
    // Its parent has ended, and so is it about to: it was signalled as its parent was.
    while (isRunning(pid)) await sleep(10);
  });
});

async function untilThere(file: string): Promise<number> {
  for (;;) {
    const text = spawnSync('cat', [file]).stdout.toString().trim();
    if (text) return Number(text);
    await sleep(10);
  }
}

function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
