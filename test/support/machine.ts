/**
 * A machine with a real systemd as its PID 1, in namespaces: its files are this machine's until it changes them, which
 * nobody else sees. What ends it ends all that runs there.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findHierarchy } from '../../agent/machine/cgroup/hierarchy';
import { removeTree } from '../../agent/machine/cgroup/tree';
import { endAll } from '../../agent/machine/daemons/ending';
import { childrenOf, type Identity } from '../../agent/machine/proc/identity';
import { type Outcome, run } from './processes';
import { inProject } from './project';

/** Where systemd itself is, whether or not it is this machine's PID 1. */
const SYSTEMD = '/lib/systemd/systemd';
/** Ten units; as long as a busy machine may take. */
const BOOT_MS = 120_000;
const POLL_MS = 50;
const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** What it has of its own: all but the user namespace. */
const APART = ['--pid', '--fork', '--kill-child', '--mount', '--cgroup', '--uts', '--ipc', '--net'];

export class Machine {
  private constructor(
    private readonly folder: string,
    private readonly cgroup: string,
    private readonly starter: ChildProcess,
    private readonly init: Identity,
  ) {}

  /** Why there can be none here; null where there can. */
  static obstacle(): string | null {
    if (!existsSync(SYSTEMD)) return `${SYSTEMD} is not installed`;
    const { status, stderr } = spawnSync('unshare', ['--mount', '--cgroup', 'true'], { encoding: 'utf8' });
    return status === 0 ? null : stderr;
  }

  /** Returns when it is up. */
  static async boot(name: string, { hostname = 'machine' } = {}): Promise<Machine> {
    const folder = mkdtempSync(join(tmpdir(), 'godwit-machine-'));
    const cgroup = join((await findHierarchy())!, name);
    mkdirSync(cgroup);
    const script = `echo $$ >${cgroup}/cgroup.procs && exec unshare ${APART.join(' ')} sh "$@"`;
    const boot = [inProject('test', 'fixtures', 'machine', 'boot.sh'), folder, inProject(), hostname];
    const starter = spawn('sh', ['-c', script, 'sh', ...boot], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    starter.stderr!.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const init = await until('it has a PID 1', async () => (await childrenOf(starter.pid!))[0]);
    const machine = new Machine(folder, cgroup, starter, init);
    try {
      await until('it is up', async () => {
        if (starter.exitCode !== null) throw new Error(`its PID 1 has ended: ${said}`);
        const { stdout } = await machine.run('systemctl', 'is-system-running').catch(() => ({ stdout: '' }));
        return /^(running|degraded)$/m.test(stdout) || undefined;
      });
      return machine;
    } catch (error) {
      await machine.end();
      throw error;
    }
  }

  /** Lays a cable between two machines, which have these addresses at its ends. */
  static async connect(ends: readonly { machine: Machine; address: string }[]): Promise<void> {
    const [one, other] = ends.map(({ machine }) => machine.init.pid);
    const veth = ['ip', 'link', 'add', 'cable', 'netns', `${one}`, 'type', 'veth'];
    await succeed([...veth, 'peer', 'name', 'cable', 'netns', `${other}`]);
    for (const { machine, address } of ends)
      await machine.sh(`ip address add ${address}/24 dev cable; ip link set cable up`);
  }

  /** The path by which this machine sees its files. */
  get root() {
    return `/proc/${this.init.pid}/root`;
  }
  path(path: string) {
    return `${this.root}${path}`;
  }

  /** A program on it, to its end. */
  run(...argv: string[]): Promise<Outcome> {
    return run([...this.entering, ...argv]);
  }

  /** The same with input from a shell's script. @throws Error where it fails */
  async sh(script: string): Promise<string> {
    const { status, stdout, stderr } = await this.run('sh', '-ec', script);
    if (status !== 0) throw new Error(`\`${script}\` exited with ${status}: ${stdout}${stderr}`);
    return stdout.trim();
  }

  /** What becomes a program on it. */
  get entering(): string[] {
    const namespaces = ['-m', '-p', '-C', '-u', '-i', '-n', '-r', '-w'];
    return ['nsenter', '-t', `${this.init.pid}`, ...namespaces, 'env', '-i', 'HOME=/root', PATH];
  }

  read(path: string): string {
    return readFileSync(this.path(path), 'utf8');
  }
  write(path: string, text: string): void {
    writeFileSync(this.path(path), text);
  }
  has(path: string): boolean {
    return existsSync(this.path(path));
  }

  async end(): Promise<void> {
    await endAll([this.init]);
    this.starter.kill('SIGKILL');
    await removeTree(this.cgroup);
    rmSync(this.folder, { recursive: true });
  }
}

async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + BOOT_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`in ${BOOT_MS} ms, not: ${what}`);
    await sleep(POLL_MS);
  }
}

async function succeed(argv: string[]): Promise<void> {
  const { status, stderr } = await run(argv);
  if (status !== 0) throw new Error(`\`${argv.join(' ')}\` exited with ${status}: ${stderr}`);
}
