import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { mkdir, open, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { delayedMs, syncHome, unmountHome } from '../../agent/machine/homefs/control';
import { connectWire, joinWires } from '../../agent/machine/homefs/join';
import { compile } from '../support/c-programs';
import { MountedHome } from '../support/mounted-home';
import { end, endAll, launch, run } from '../support/processes';
import { inProject } from '../support/project';

/** For what comes at once on a machine that has nothing else to do. */
const PATIENCE = { timeout: 60_000, interval: 20 };
/** The user and the group of test/programs/file-semantics.c. */
const USER = { uid: 12345, gid: 12345, groups: [23456] };
const AS_USER = ['setpriv', '--reuid', '12345', '--regid', '12345', '--groups', '23456'];

let folder: string;
let semantics: string;
let random: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-homefs-'));
  chmodSync(folder, 0o755);
  semantics = await compile(inProject('test', 'programs', 'file-semantics.c'), folder);
  random = await compile(inProject('test', 'programs', 'file-random.c'), folder);
});
const mounted: MountedHome[] = [];
afterEach(async () => {
  for (const home of mounted.splice(0)) await home.stop();
});
afterAll(() => {
  endAll();
  rmSync(folder, { recursive: true });
});

let made = 0;
/** A new folder, and the home's view of it. */
async function mountHome(order: ConstructorParameters<typeof MountedHome>[2] = {}) {
  const place = join(folder, `place ${made++}`);
  const root = join(place, 'root');
  mkdirSync(root, { recursive: true });
  const home = new MountedHome(root, place, order);
  mounted.push(home);
  await home.start();
  return { home, root, at: home.at, place };
}

/** For many requests one after another, each of which several processes have a part in. */
const LONG_MS = 300_000;

async function output(argv: string[]): Promise<string> {
  const { status, stdout, stderr } = await run(argv, { limitMs: LONG_MS });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

/** What `tar` makes of a folder: its names, contents, owners, modes, times and links. */
const packed = (path: string) =>
  output(['sh', '-c', `tar -C '${path}' --sort=name --numeric-owner -c . | sha256sum`]);

describe('the files of a home', () => {
  it('are to programs what they are at home', { timeout: LONG_MS }, async () => {
    const { root, at, place } = await mountHome({ descriptors: 200 });
    const [here, there] = [join(place, 'here'), join(at, 'there')];
    mkdirSync(here);
    await mkdir(there);
    const expected = await output([semantics, here]);
    expect(expected).toContain('1002 entries');
    expect(await output([semantics, there])).toBe(expected);
    const leftBehind = readdirSync(join(root, 'there'), { recursive: true });
    expect(leftBehind.sort()).toEqual(readdirSync(here, { recursive: true }).sort());
    // What programs left must be the same for those who look at home; sockets and pipes have their times.
    const [one, other] = await Promise.all([here, join(root, 'there')].map((path) => names(path)));
    expect(other).toBe(one);
  });

  const names = (path: string) =>
    output(['find', path, '-printf', '%P %y %m %U:%G %n\n']).then((said) =>
      said.split('\n').sort().join('\n'),
    );

  it('are read and written right while the link is cut again and again', async () => {
    const { home, root, at, place } = await mountHome();
    const running = run([random, join(at, 'file'), join(place, 'shadow'), '7', '800']);
    let done = false;
    void running.finally(() => {
      done = true;
    });
    for (let cuts = 1; !done; cuts++) {
      home.link.join(cuts % 5 === 0 ? Number.POSITIVE_INFINITY : (cuts * 7919) % 300_000);
      await sleep(20);
    }
    expect(await running).toEqual({ status: 0, stdout: '', stderr: '' });
    home.link.join();
    await syncHome(MountedHome.program, at, 60_000);
    expect(readFileSync(join(root, 'file')).equals(readFileSync(join(place, 'shadow')))).toBe(true);
  });

  it('lose and double no byte while the home is away for seconds', async () => {
    const { home, root, at } = await mountHome();
    const script = `for i in $(seq 8000); do echo "line $i"; done >> '${join(at, 'log')}'`;
    const running = run(['sh', '-c', script]);
    await vi.waitFor(() => expect(statSync(join(root, 'log')).size).toBeGreaterThan(1000), PATIENCE);
    home.link.cut();
    await sleep(3000);
    home.link.join();
    expect((await running).status).toBe(0);
    const lines = Array.from({ length: 8_000 }, (_, i) => `line ${i + 1}\n`).join('');
    expect(readFileSync(join(root, 'log'), 'utf8')).toBe(lines);
  });

  it('come and go as whole trees', { timeout: LONG_MS }, async () => {
    // More files than the server may have open.
    const { root, at } = await mountHome({ descriptors: 200 });
    await output(['cp', '-a', '/usr/include/linux', join(root, 'tree')]);
    const expected = await packed(join(root, 'tree'));
    expect(await packed(join(at, 'tree'))).toBe(expected);
    await output(['cp', '-a', join(at, 'tree'), join(at, 'copy')]);
    expect(await packed(join(root, 'copy'))).toBe(expected);
    await output(['mv', join(at, 'copy'), join(at, 'moved')]);
    await output(['rm', '-r', join(at, 'tree')]);
    expect(readdirSync(root)).toEqual(['moved']);
  });

  it('are all there where there are ten thousand', { timeout: LONG_MS }, async () => {
    const { root, at } = await mountHome({ descriptors: 200 });
    const names = Array.from({ length: 10_000 }, (_, i) => `entry ${i}`);
    for (const name of names) writeFileSync(join(root, name), name.slice(-1));
    expect((await readdir(at)).sort()).toEqual(names.sort());
    const sizes = await output(['find', at, '-type', 'f', '-printf', '%s\n']);
    expect(sizes).toBe('1\n'.repeat(10_000));
  });

  it('show what is changed at home', async () => {
    const { root, at } = await mountHome();
    writeFileSync(join(root, 'file'), 'one');
    const file = await open(join(at, 'file'));
    const read = async () => {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(100), 0, 100, 0);
      return buffer.toString('utf8', 0, bytesRead);
    };
    expect(await read()).toBe('one');
    writeFileSync(join(root, 'file'), 'two');
    await vi.waitFor(async () => expect(await read()).toBe('two'), PATIENCE);
    appendFileSync(join(root, 'file'), ' and more');
    await vi.waitFor(async () => expect(await read()).toBe('two and more'), PATIENCE);
    await file.close();
    expect(await readdir(at)).toEqual(['file']);
    mkdirSync(join(root, 'new'));
    await vi.waitFor(async () => expect(await readdir(at)).toEqual(['file', 'new']), PATIENCE);
    rmSync(join(root, 'file'));
    await vi.waitFor(async () => expect(await readdir(at)).toEqual(['new']), PATIENCE);
  });

  it('are the same after a program has changed them through a mapping', async () => {
    const { root, at } = await mountHome();
    const script =
      'import mmap,sys; f=open(sys.argv[1],"r+b"); m=mmap.mmap(f.fileno(),0); m[4096:4100]=b"here"';
    writeFileSync(join(root, 'mapped'), Buffer.alloc(10_000));
    await output(['python3', '-c', script, join(at, 'mapped')]);
    await syncHome(MountedHome.program, at, 60_000);
    expect(readFileSync(join(root, 'mapped')).toString('latin1', 4096, 4100)).toBe('here');
  });
});

describe('how long its files are waited for', () => {
  const LOCKS =
    'import fcntl,sys,time; f=open(sys.argv[1],"r+"); fcntl.lockf(f, fcntl.LOCK_EX); print("held", flush=True)';
  const LOCKED_MS = 3_000;

  it('is told, without what others’ locks are waited for', async () => {
    const { home, root, at } = await mountHome();
    const toldMs = async () => (await delayedMs(home.delayed))!;
    writeFileSync(join(root, 'file'), 'one');
    const [before, begun] = [await toldMs(), performance.now()];
    for (let round = 0; round < 100; round++) await readFile(join(at, 'file'));
    const told = (await toldMs()) - before;
    expect(told).toBeGreaterThan(0);
    expect(told).toBeLessThanOrEqual(performance.now() - begun);
    const holder = launch(['python3', '-c', `${LOCKS}; time.sleep(1e6)`, join(at, 'file')]);
    await once(holder.stdout!, 'data');
    const other = run(['python3', '-c', LOCKS, join(at, 'file')]);
    await sleep(LOCKED_MS);
    end(holder);
    expect((await other).stdout).toBe('held\n');
    expect((await toldMs()) - before - told).toBeLessThan(LOCKED_MS / 2);
  });
});

describe('for a user, who may do what the home allows', () => {
  it('files that are not theirs stay closed, also for root of the host', async () => {
    const { root, at } = await mountHome({ user: USER });
    chmodSync(root, 0o777);
    writeFileSync(join(root, 'secret'), 'roots', { mode: 0o600 });
    writeFileSync(join(root, 'shared'), 'groups');
    await output(['chgrp', '23456', join(root, 'shared')]);
    chmodSync(join(root, 'shared'), 0o660);
    for (const who of [AS_USER, []]) {
      const { status, stderr } = await run([...who, 'cat', join(at, 'secret')]);
      expect(stderr).toContain('Permission denied');
      expect(status).toBe(1);
    }
    await output([
      ...AS_USER,
      'sh',
      '-c',
      `echo more >> '${join(at, 'shared')}'; umask 077; date > '${at}/new'`,
    ]);
    expect(readFileSync(join(root, 'shared'), 'utf8')).toBe('groupsmore\n');
    const { uid, gid, mode } = statSync(join(root, 'new'));
    expect({ uid, gid, mode }).toEqual({ uid: 12345, gid: 12345, mode: 0o100600 });
    expect((await run([...AS_USER, 'chown', '0', join(at, 'new')])).stderr).toContain('not permitted');
  });
});

describe('what is not shown', () => {
  it('is the inside of the folders that were named', async () => {
    const hidden = join(folder, `place ${made}`, 'root', 'jobs');
    mkdirSync(join(hidden, 'inside'), { recursive: true });
    const { at } = await mountHome({ without: [hidden] });
    expect(await readdir(at)).toEqual(['jobs']);
    expect(await readdir(join(at, 'jobs'))).toEqual([]);
    expect((await run(['ls', join(at, 'jobs', 'inside')])).stderr).toContain('No such file');
    expect((await run(['mkdir', join(at, 'jobs', 'new')])).stderr).toContain('Read-only');
  });
});

describe('while the home does not answer', () => {
  it('programs wait, may be killed, and go on when it is back', async () => {
    const { home, root, at } = await mountHome();
    writeFileSync(join(root, 'file'), 'content');
    home.link.cut();
    const reading = launch(['cat', join(at, 'file')]);
    let heard = '';
    reading.stdout!.on('data', (text) => {
      heard += text;
    });
    // Another file: the kernel has those who want the same name wait for each other.
    const doomed = launch(['cat', join(at, 'other')]);
    const died = new Promise((resolve) => doomed.once('exit', (_code, signal) => resolve(signal)));
    await vi.waitFor(() => expect(waitsForHome(doomed.pid!)).toBe(true), PATIENCE);
    doomed.kill('SIGTERM');
    expect(await died).toBe('SIGTERM');
    await expect(syncHome(MountedHome.program, at, 2000)).rejects.toMatchObject({ code: 'home-stalled' });
    expect(reading.exitCode).toBeNull();
    home.link.join();
    await vi.waitFor(() => expect(heard).toBe('content'), PATIENCE);
  });

  it.each([
    ['refused its name', ['setpriv', '--reuid', '65534', '--clear-groups'], {}],
    ['kept waiting for it too long', [], { cgroup: '/none' }],
  ])('a mount on a folder of its user’s stays when a process is %s', async (_who, as, order) => {
    const { home, at, root } = await mountHome({ user: USER, ...order });
    mkdirSync(join(root, 'sub'));
    const sub = join(at, 'sub');
    const isMounted = () =>
      readFileSync('/proc/self/mountinfo', 'utf8').includes(`${at.replace(' ', '\\040')}/sub `);
    await output(['mount', '-t', 'tmpfs', 'tmpfs', sub]);
    try {
      // Until the kernel asks for the name anew.
      await sleep(1100);
      if (as.length === 0) home.link.cut();
      expect((await run([...as, 'stat', sub])).status).toBe(1);
      expect(isMounted()).toBe(true);
    } finally {
      home.link.join();
      await run(['umount', '-l', sub]);
    }
  });

  it('a mount can be taken away, and its users get an error', async () => {
    const { home, root, at } = await mountHome();
    writeFileSync(join(root, 'file'), 'content');
    const script = `exec 3< '${join(at, 'file')}'; echo open; read line; cat <&3`;
    const using = launch(['sh', '-c', script]);
    await vi.waitFor(() => expect(using.stdout!.readableLength).toBeGreaterThan(0), PATIENCE);
    home.link.cut();
    const waiting = run(['ls', at]);
    const ended = new Promise((resolve) => home.mount.once('exit', resolve));
    await unmountHome(MountedHome.program, at, { abort: true });
    expect(await readdir(at)).toEqual([]);
    await waiting;
    using.stdin!.end('\n');
    const said = await using.stderr!.setEncoding('utf8').toArray();
    expect(said.join('')).toMatch(/not connected|No such device/);
    expect(await ended).toBe(0);
    await unmountHome(MountedHome.program, at, { abort: true });
  });

  it('a server that was started again is not taken for the one that was there', async () => {
    const { home, at } = await mountHome();
    await run(['ls', at]);
    end(home.server);
    await vi.waitFor(() => expect(home.server.signalCode).toBe('SIGKILL'), PATIENCE);
    await home.serve();
    const [near, far] = await Promise.all([connectWire(home.sockets.mount), connectWire(home.sockets.serve)]);
    await expect(joinWires(near, far)).rejects.toMatchObject({ code: 'home-files-lost' });
  });
});

/** Whether a process is in a system call that the home has to answer. */
function waitsForHome(pid: number): boolean {
  return readFileSync(`/proc/${pid}/stack`, 'utf8').includes('fuse');
}
