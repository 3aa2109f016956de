import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { JobCgroup } from '../../agent/machine/cgroup/cgroup';
import { removeNodeCgroup } from '../../agent/machine/cgroup/hierarchy';
import {
  DUMP_LOG,
  dumpArguments,
  pageServerArguments,
  RESTORE_LOG,
  restoreArguments,
} from '../../agent/machine/criu/arguments';
import { findCriu } from '../../agent/machine/criu/criu';
import { explainFile } from '../../agent/machine/criu/log';
import { readDumpStats, readRestoreStats } from '../../agent/machine/criu/stats';
import { verifyRestored } from '../../agent/machine/criu/verify';
import { jobMounts } from '../../agent/machine/homefs/mounts';
import { jobProcesses, nodePid, threadsOf } from '../../agent/machine/proc/processes';
import { compile } from '../support/c-programs';

const FREEZE_MS = 5_000;
const NODE = `checkpoint-test-${process.pid}`;

/** A helper's process: its lines of JSON, one after the other. */
class Helper {
  readonly #lines: AsyncIterator<string>;
  readonly process: ChildProcess;

  /** `within`: a command that runs the one that comes after it. */
  constructor(args: string[], within: string[] = []) {
    const [program, ...rest] = [...within, helper, ...args];
    this.process = spawn(program!, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.process.stdout! })[Symbol.asyncIterator]();
  }

  async line(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    return done ? null : JSON.parse(value);
  }
}

let folder: string;
let helper: string;
let ticker: string;
let criu: string;
const cgroups: JobCgroup[] = [];
const roots: string[] = [];

beforeAll(async () => {
  // On the root file system, as a node's state folder is.
  mkdirSync('/var/lib/godwit', { recursive: true });
  folder = mkdtempSync('/var/lib/godwit/checkpoint-test-');
  helper = join(folder, 'helper');
  cpSync('dist/godwit-helper', helper);
  ticker = await compile('test/fixtures/ticker.c', folder);
  criu = (await findCriu()).path;
});

afterAll(async () => {
  rmSync(folder, { recursive: true });
  await removeNodeCgroup(NODE);
});

let number = 0;
let job: string;
let mounts: string[];

beforeEach(() => {
  job = `job${number++}`;
  mounts = [];
  mkdirSync(join(folder, job, 'mount'), { recursive: true });
  for (const name of ['console', 'status']) writeFileSync(file(name), '');
});

afterEach(async () => {
  for (const cgroup of cgroups.splice(0)) {
    await cgroup.kill();
    await cgroup.remove();
  }
  for (const root of roots.splice(0)) execFileSync('umount', [root]);
});

const file = (name: string) => join(folder, job, name);
const text = (name: string) => readFileSync(file(name), 'utf8');

async function newCgroup(): Promise<JobCgroup> {
  const cgroup = await JobCgroup.of(NODE, `${job}-${cgroups.length}`);
  await cgroup.create();
  cgroups.push(cgroup);
  return cgroup;
}

interface Copy {
  cgroup: JobCgroup;
  init: number;
  helper: Helper;
}

function launchOrders(cgroup: JobCgroup, overrides: Record<string, string> = {}): string[] {
  const orders = {
    '--uid': '0',
    '--gid': '0',
    '--groups': '',
    '--cgroup': cgroup.run,
    '--report': file('report'),
    '--hostname': 'the-home',
    '--mount': file('mount'),
    '--init': helper,
    '--cwd': folder,
    '--console': file('console'),
    '--status': file('status'),
    ...overrides,
  };
  return ['launch', ...Object.entries(orders).flat(), ...mounts.flatMap((at) => ['--bind', at])];
}

async function launch(command: string[], flags: string[] = []): Promise<Copy & { program: number }> {
  const cgroup = await newCgroup();
  const launcher = new Helper([...launchOrders(cgroup), ...flags, '--', ...command]);
  const line = (await launcher.line()) as { init: number; program: number };
  expect(line).toEqual({ init: expect.any(Number), program: expect.any(Number) });
  return { cgroup, init: line.init, program: line.program, helper: launcher };
}

/** A criu whose descriptor 3 is this side's stream. */
function startCriu(args: string[]): { ended: Promise<number | null>; pages: Duplex } {
  const child = spawn(criu, args, { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
  const pages = child.stdio[3] as unknown as Duplex;
  pages.on('error', () => {});
  return { ended: once(child, 'exit').then(([code]) => code as number | null), pages };
}

async function dump({ init, cgroup }: Copy, images: string): Promise<void> {
  const server = startCriu(pageServerArguments({ images }));
  const dumper = startCriu(
    dumpArguments({ init, images, run: cgroup.run, mounts, network: null, stream: true }),
  );
  dumper.pages.pipe(server.pages).pipe(dumper.pages);
  const code = await dumper.ended;
  dumper.pages.destroy();
  server.pages.destroy();
  await server.ended;
  if (code !== 0) throw await explainFile('dump', join(images, DUMP_LOG));
}

function privateRoot(name: string): string {
  const root = file(name);
  mkdirSync(root);
  execFileSync('mount', ['--bind', '/', root]);
  roots.push(root);
  execFileSync('mount', ['--make-private', root]);
  return root;
}

function restore(
  cgroup: JobCgroup,
  images: string,
  root: string,
  { files = '/', within = [] }: Elsewhere = {},
): Helper {
  const orders = ['--cgroup', cgroup.run, '--outside', cgroup.attach, '--report', `${images}.report`];
  const args = restoreArguments({ images, root, files, mounts, direct: [] });
  return new Helper(['restore', ...orders, '--pidfile', `${images}.pid`, '--', criu, ...args], within);
}

/** What another node would have of its own. */
interface Elsewhere {
  /** Where the home's files are seen. */
  files?: string;
  within?: string[];
}

/** One whole move: the source's copy ends frozen and killed, the new one is held. */
async function move(source: Copy, elsewhere: Elsewhere = {}): Promise<Copy> {
  const images = file(`images${cgroups.length}`);
  mkdirSync(images);
  await source.cgroup.freeze(FREEZE_MS);
  const pids = (await jobProcesses(source.cgroup)).map(({ inner }) => inner);
  await dump(source, images);
  expect(await source.cgroup.isFrozen()).toBe(true);
  expect((await readDumpStats(images)).pagesWritten).toBeGreaterThan(0);

  const cgroup = await newCgroup();
  const restorer = restore(cgroup, images, privateRoot(`root${cgroups.length}`), elsewhere);
  const line = (await restorer.line()) as { restored: { init: number } };
  expect(line).toEqual({ restored: { init: expect.any(Number) } });
  const copy = { cgroup, init: line.restored.init, helper: restorer };
  await verifyRestored(cgroup, copy.init, pids);
  expect((await readRestoreStats(images)).restoreMs).toBeGreaterThan(0);

  await source.cgroup.kill();
  expect(await source.helper.line()).toEqual({ exited: { signal: 9 } });
  return copy;
}

const ticks = (count: number) => Array.from({ length: count }, (_, i) => `tick ${i}\n`).join('');

async function printed(lines: number): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!existsSync(file('console')) || text('console').split('\n').length <= lines) {
    if (Date.now() > deadline) throw new Error(`the job printed less than ${lines} lines`);
    await sleep(5);
  }
}

describe('a job', () => {
  it('starts in its own namespaces and says how it ended', async () => {
    const script = 'hostname; echo $$; pwd; readlink /proc/1/fd/0; ls -A /dev/shm /proc/self/fd; exit 3';
    const { helper: launcher } = await launch(['sh', '-c', script]);
    expect(await launcher.line()).toEqual({ exited: { code: 3 } });
    expect(text('console')).toBe(
      `the-home\n2\n${folder}\n/dev/null\n/dev/shm:\n.godwit-agent\n\n/proc/self/fd:\n0\n1\n2\n3\n`,
    );
    expect(JSON.parse(text('status'))).toEqual({ exit: 3, signal: null });
    expect(JSON.parse(text('report'))).toEqual({ code: 3 });
  });

  it('takes its whole tree along when its program is killed', async () => {
    const { helper: launcher, cgroup } = await launch(['sh', '-c', 'sleep 1000 & kill -SEGV $$']);
    expect(await launcher.line()).toEqual({ exited: { code: 139 } });
    expect(JSON.parse(text('status'))).toEqual({ exit: 139, signal: 'SIGSEGV' });
    expect(await cgroup.pids()).toEqual([]);
  });

  it('sees the other mounts of the machine, not the roots of other jobs', async () => {
    const volume = file('a volume');
    mkdirSync(volume);
    execFileSync('mount', ['-t', 'tmpfs', 'volume', volume]);
    roots.push(volume);
    writeFileSync(join(volume, 'in'), 'from the volume\n');
    const root = privateRoot('root-of-another');
    mounts = jobMounts(readFileSync('/proc/self/mountinfo', 'utf8'), '/none');
    const script = `cat '${volume}/in'; ls -A '${root}'`;
    const { helper: launcher } = await launch(['sh', '-c', script]);
    expect(await launcher.line()).toEqual({ exited: { code: 0 } });
    expect(text('console')).toBe('from the volume\n');
  });

  it('has on each node the mounts that it had, from the place that is named', async () => {
    const volume = file('volume');
    mkdirSync(volume);
    execFileSync('mount', ['-t', 'tmpfs', 'volume', volume]);
    roots.push(volume);
    mounts = [volume];
    const script = `cd ${volume}; exec >it; echo home; while [ ! -e go ]; do sleep 0.01; done; echo there`;
    const source = await launch(['sh', '-c', script]);
    await vi.waitFor(() => expect(readFileSync(join(volume, 'it'), 'utf8')).toBe('home\n'), FREEZE_MS);
    // The same files by another way, as a destination sees the home's.
    const files = privateRoot('files');
    const seen = join(files, volume);
    execFileSync('mount', ['--bind', volume, seen]);
    roots.unshift(seen);
    execFileSync('umount', [volume]);
    roots.splice(roots.indexOf(volume), 1);
    const copy = await move(source, { files });
    await copy.cgroup.thaw();
    expect(readFileSync(`/proc/${copy.init}/mountinfo`, 'utf8')).toContain(` ${volume} `);
    writeFileSync(join(seen, 'go'), '');
    expect(await copy.helper.line()).toEqual({ exited: { code: 0 } });
    expect(readFileSync(join(seen, 'it'), 'utf8')).toBe('home\nthere\n');
  });

  it('is stopped before its first instruction', async () => {
    const { cgroup, init, program, helper: launcher } = await launch([ticker, '3'], ['--stopped']);
    expect(await cgroup.isFrozen()).toBe(true);
    expect(await nodePid(cgroup, 1)).toBe(init);
    expect(await nodePid(cgroup, 2)).toBe(program);
    // 59: still in execve, on its way out.
    expect(readFileSync(`/proc/${program}/syscall`, 'utf8')).toMatch(/^(59|221) /);
    expect(readFileSync(`/proc/${program}/status`, 'utf8')).toMatch(/^TracerPid:\t0$/m);
    expect(text('console')).toBe('');
    await cgroup.thaw();
    expect(await launcher.line()).toEqual({ exited: { code: 7 } });
    expect(text('console')).toBe(ticks(3));
  });
});

it('is never frozen in vfork, however busy the machine is', async () => {
  const program = await compile('test/fixtures/programs/vforks.c', folder);
  const busy = [1, 2, 3].map(() => spawn('sh', ['-c', 'while :; do :; done']));
  onTestFinished(() => busy.forEach((process) => void process.kill('SIGKILL')));
  const { cgroup } = await launch([program, '2']);
  for (let freeze = 0; freeze < 100; freeze++) {
    await cgroup.freeze(FREEZE_MS);
    // Long enough for a process that was about to sleep.
    await sleep(10);
    const threads = await Promise.all((await cgroup.pids()).map(threadsOf));
    expect(threads.flat().filter(({ state }) => state === 'D')).toEqual([]);
    await cgroup.thaw();
  }
});

describe('what root does for a user', () => {
  const NOBODY = 65_534;

  it('is to become them before anything of the home is run: its init too', async () => {
    chmodSync(folder, 0o755);
    writeFileSync(file('ids'), '', { mode: 0o666 });
    chmodSync(file('ids'), 0o666);
    const script = `#!/bin/sh\n{ id -u; id -g; id -G; grep -E '^(CapPrm|NoNewPrivs)' /proc/self/status; } >${file('ids')}`;
    writeFileSync(file('init'), script, { mode: 0o755 });
    const ids = { '--uid': `${NOBODY}`, '--gid': `${NOBODY}`, '--groups': '65533' };
    const cgroup = await newCgroup();
    const launcher = new Helper([...launchOrders(cgroup, { ...ids, '--init': file('init') }), '--', 'true']);
    expect(await launcher.line()).toMatchObject({ error: { stage: 'init' } });
    expect(text('ids')).toBe('65534\n65534\n65534 65533\nCapPrm:\t0000000000000000\nNoNewPrivs:\t1\n');
  });

  it('is not done without saying for whom', async () => {
    const cgroup = await newCgroup();
    const orders = launchOrders(cgroup);
    orders.splice(orders.indexOf('--uid'), 2);
    const launcher = new Helper([...orders, '--', 'true']);
    const exited = once(launcher.process, 'exit');
    expect(await launcher.line()).toBe(null);
    expect((await exited)[0]).toBe(2);
  });

  it('leads nowhere by a link that they have put on the way to a mount', async () => {
    for (const name of ['theirs', 'victim']) mkdirSync(file(`${name}/volume`), { recursive: true });
    mounts = [file('theirs/volume')];
    renameSync(file('theirs'), file('moved'));
    symlinkSync('victim', file('theirs'));
    const { helper: launcher } = await launch(['cat', '/proc/self/mountinfo']);
    expect(await launcher.line()).toEqual({ exited: { code: 0 } });
    expect(text('console')).toContain(' / / ');
    expect(text('console')).not.toContain('victim');
  });
});

describe('a job that can not start', () => {
  const refused = async (command: string[], overrides: Record<string, string> = {}, flags: string[] = []) => {
    const cgroup = await newCgroup();
    const launcher = new Helper([...launchOrders(cgroup, overrides), ...flags, '--', ...command]);
    const line = await launcher.line();
    const [code] =
      launcher.process.exitCode === null ? await once(launcher.process, 'exit') : [launcher.process.exitCode];
    expect(code).toBe(1);
    expect(await cgroup.pids()).toEqual([]);
    expect(await cgroup.isFrozen()).toBe(false);
    // A path of the home's: on another node it is not the launcher's to remove.
    expect(existsSync(file('status'))).toBe(true);
    return line;
  };
  const error = (stage: string, errno: number) => ({ error: { stage, errno, message: expect.any(String) } });

  it.each([[[]], [['--stopped']]])('says that its program is missing (%j)', async (flags) => {
    expect(await refused(['no-such-program'], {}, flags)).toEqual(error('exec', 2));
  });

  it('says that its program is not executable', async () => {
    writeFileSync(file('plain'), '#!/bin/sh\n');
    chmodSync(file('plain'), 0o644);
    expect(await refused([file('plain')])).toEqual(error('exec', 13));
  });

  it('says what else is wrong', async () => {
    expect(await refused(['true'], { '--cwd': '/no/such/folder' })).toEqual(error('cwd', 2));
    expect(await refused(['true'], { '--console': '/no/such/folder/console' })).toEqual(error('console', 2));
    expect(await refused(['true'], { '--cgroup': '/no/such/cgroup' })).toEqual(error('cgroup', 2));
    expect(await refused(['true'], { '--mount': '/no/such/folder' })).toEqual(error('root', 2));
  });
});

describe('a job that moves', () => {
  it('goes on five times over where it was, its output whole', async () => {
    let copy: Copy = await launch([ticker, '120']);
    await printed(10);
    for (let moves = 1; moves <= 5; moves++) {
      copy = await move(copy);
      const lines = text('console');
      await sleep(50);
      expect(text('console')).toBe(lines);
      await copy.cgroup.thaw();
      await printed(10 + moves * 10);
    }
    expect((await jobProcesses(copy.cgroup)).map(({ inner, comm }) => [inner, comm])).toEqual([
      [1, 'godwit-init'],
      [2, 'ticker'],
      [3, 'ticker'],
    ]);
    expect((await threadsOf(await nodePid(copy.cgroup, 2))).length).toBe(3);
    expect(await copy.helper.line()).toEqual({ exited: { code: 7 } });
    expect(text('console')).toBe(ticks(120));
    expect(JSON.parse(text('status'))).toEqual({ exit: 7, signal: null });
  });

  it('has a PID 1 that runs out of its own memory, and of no file of its home', async () => {
    const files = async ({ cgroup }: Copy) => {
      const maps = readFileSync(`/proc/${await nodePid(cgroup, 1)}/maps`, 'utf8');
      return maps.split('\n').filter((line) => line.includes(' /'));
    };
    const first = await launch([ticker, '40']);
    expect(await files(first)).toEqual([]);
    await printed(10);
    const moved = await move(first);
    expect(await files(moved)).toEqual([]);
    await moved.cgroup.thaw();
    expect(await moved.helper.line()).toEqual({ exited: { code: 7 } });
    expect(JSON.parse(text('status'))).toEqual({ exit: 7, signal: null });
  });

  it('has clocks that go on from where they stood, whatever those of the other machine say', async () => {
    const program = await compile('test/fixtures/programs/clocks.c', folder);
    const seconds = '1000000';
    const clocks = ['--time', '--monotonic', seconds, '--boottime', seconds];
    let copy: Copy = await launch([program]);
    await printed(1);
    copy = await move(copy, { within: ['unshare', '--fork', '--kill-child', ...clocks, '--'] });
    await copy.cgroup.thaw();
    await sleep(100);
    copy = await move(copy);
    await copy.cgroup.thaw();
    expect(await copy.helper.line()).toEqual({ exited: { code: 0 } });
    const [least, most] = text('console').split('\n')[1]!.split(' ').map(Number);
    expect(least).toBe(0);
    expect(most).toBeLessThan(60_000);
  });

  it('moves while it is stopped before its first instruction', async () => {
    const copy = await move(await launch([ticker, '5'], ['--stopped']));
    expect(text('console')).toBe('');
    await copy.cgroup.thaw();
    expect(await copy.helper.line()).toEqual({ exited: { code: 7 } });
    expect(text('console')).toBe(ticks(5));
  });

  it('leaves nothing at the destination when the restore fails, and runs on at its source', async () => {
    cpSync(ticker, file('program'));
    const source = await launch([file('program'), '50']);
    await printed(3);
    const images = file('images');
    mkdirSync(images);
    await source.cgroup.freeze(FREEZE_MS);
    await dump(source, images);
    writeFileSync(file('another'), 'not what the job has mapped');
    renameSync(file('another'), file('program'));

    const cgroup = await newCgroup();
    const restorer = restore(cgroup, images, privateRoot('root'));
    expect(await restorer.line()).toEqual({ failed: { code: 1 } });
    expect(await cgroup.pids()).toEqual([]);
    expect(await explainFile('restore', join(images, RESTORE_LOG))).toMatchObject({ code: 'file-changed' });

    await source.cgroup.thaw();
    expect(await source.helper.line()).toEqual({ exited: { code: 7 } });
    expect(text('console')).toBe(ticks(50));
  });

  it('runs on at its source when CRIU refuses it, with the reason', async () => {
    const path = file('socket');
    const server = createServer().listen(path);
    await once(server, 'listening');
    const script = `import socket; s = socket.socket(socket.AF_UNIX); s.connect('${path}'); print('up', flush=True); s.recv(1)`;
    try {
      const source = await launch(['python3', '-c', script]);
      const [[connection]] = await Promise.all([once(server, 'connection'), printed(1)]);
      const images = file('images');
      mkdirSync(images);
      await source.cgroup.freeze(FREEZE_MS);
      await expect(dump(source, images)).rejects.toMatchObject({ code: 'external-socket' });
      expect(await source.cgroup.isFrozen()).toBe(true);
      await source.cgroup.thaw();
      connection.end('x');
      expect(await source.helper.line()).toEqual({ exited: { code: 0 } });
    } finally {
      server.close();
    }
  });
});

describe('the library that has CRIU work as the user', () => {
  /** By which a program reaches files, makes what has an owner, or changes its user (the C library's, without `64`). */
  const REACHES =
    /^(f?open(at)?2?|creat|freopen|unlink(at)?|rmdir|remove|rename(at2?)?|(sym)?link(at)?|mk(dir|nod|fifo)(at)?|mk(dtemp|o?stemps?)|tmpfile|ch(dir|root|mod|own)|[fl]?ch(mod|own)(at)?|[lf]?utimes?|utimensat|futimesat|futimens|truncate|[lf]?setxattr|[lf]?stat|fstatat|statx|f?statfs|access|faccessat|readlink(at)?|f?opendir|scandir|n?ftw|bind|connect|listen|socket(pair)?|inotify_add_watch|fanotify_(init|mark)|memfd_create|timerfd_create|shm_open|mq_open|sem_open|(open|name_to)_(by_)?handle(_at)?|exec[vl]p?e?|posix_spawnp?|system|popen|u?mount2?|pivot_root|open_tree|move_mount|syscall)(64)?$/;
  /** Those tell of files and change nothing; make mounts, which is the work of root; or work where no user writes. */
  const LEFT_TO_ROOT = [
    ...[
      'access',
      'faccessat',
      'readlink',
      'readlinkat',
      'stat64',
      'fstat64',
      'fstatat64',
      'statfs64',
      'fstatfs64',
    ],
    ...['mount', 'umount', 'umount2', 'pivot_root', 'chroot', 'fchdir', 'fdopendir'],
    // /proc, /sys and CRIU's own settings; names that are not known before, in folders of root's and /tmp.
    ...['fopen64', 'opendir', 'scandir64', 'ftw64', 'nftw64', 'mkdtemp', 'tmpfile64', 'execlp'],
  ];
  const symbols = (kind: string, file: string) =>
    execFileSync('nm', ['-D', kind, file], { encoding: 'utf8' })
      .split('\n')
      .map((line) => line.trim().split(/\s+/).at(-1)!.replace(/@.*/, ''));

  it('knows each function by which this CRIU reaches a file', () => {
    // The one of set-up is started by a script that names it.
    const program = /"(\/[^"]*\/criu)" "\$@"/.exec(readFileSync(criu, 'latin1'))?.[1] ?? criu;
    const used = symbols('--undefined-only', program).filter((name) => REACHES.test(name));
    expect(used.length).toBeGreaterThan(20);
    const known = [...symbols('--defined-only', 'dist/godwit-as-user.so'), ...LEFT_TO_ROOT];
    expect(used.filter((name) => !known.includes(name))).toEqual([]);
  });
});
