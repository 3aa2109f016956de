/** A machine that QEMU emulates: it boots what `godwit live build` has made, has a disk of its own, and runs what it is told. */
import { type ChildProcess, spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Godwit, Refused } from '../support/godwit';
import { type Outcome, run } from '../support/processes';
import { type Image, KERNEL_WORDS } from './image';
import { ended, type Network } from './network';

export interface GuestPlan {
  name: string;
  /** By its firmware from a disc, or as from the network: its kernel and what that finds in memory. */
  from: 'iso' | 'network';
  /** As QEMU names it. */
  cpu: string;
  tap: string;
  mac: string;
}

/** An emulated machine on a busy one is slow; what takes longer hangs. */
const BOOT_MS = 1_800_000;
const COMMAND_MS = 1_800_000;
/** What guest/files/etc/control.sh says first. */
const READY = 'ready';
/** As in guest/files/etc/relay.cjs. */
const RELAY_PORT = 7400;
const POLL_MS = 100;
const SHOWN_LINES = 25;
/** A machine that is emulated takes all that it can get: it goes after all else that runs here, of whatever session. */
const GIVING_WAY = ['sh', '-c', 'echo 19 >/proc/self/autogroup || :; exec nice -n 19 "$@"', 'sh'];
/** Of the disk that keeps what makes the machine a node: it has what a few jobs write. */
const DISK = '1G';

interface Waiting {
  resolve(outcome: Outcome): void;
  reject(error: Error): void;
}

export class Guest {
  #qemu: ChildProcess | null = null;
  #relay: ChildProcess | null = null;
  #control: Socket | null = null;
  #asked = 0;
  readonly #waiting = new Map<string, Waiting>();

  private constructor(
    readonly plan: GuestPlan,
    private readonly image: Image,
    private readonly network: Network,
    private readonly folder: string,
  ) {}

  /** A new one, with an empty disk for a node's state. Not booted. */
  static async make(plan: GuestPlan, image: Image, network: Network, folder: string): Promise<Guest> {
    const guest = new Guest(plan, image, network, folder);
    const { status, stderr } = await run([
      ...['sh', '-ec', 'truncate -s "$2" "$1"; PATH=$PATH:/sbin mke2fs -q -t ext4 -L godwit "$1"', 'sh'],
      ...[guest.#file('disk'), DISK],
    ]);
    if (status !== 0) throw new Error(`the disk of ${plan.name} could not be made: ${stderr}`);
    return guest;
  }

  get name() {
    return this.plan.name;
  }

  /** Returns when it takes commands. @param words for its kernel @throws Error with what its console shows */
  async boot(words = ''): Promise<void> {
    const argv = [...this.network.entering, ...this.#argv(words)];
    const qemu = spawn(argv[0]!, argv.slice(1), { detached: true, stdio: ['ignore', 'ignore', 'inherit'] });
    this.#qemu = qemu;
    qemu.once('exit', () => this.#gone(new Error(`${this.name} is off`)));
    const booted = this.#connect(qemu);
    const limit = new AbortController();
    const late = sleep(BOOT_MS, undefined, { signal: limit.signal }).then(() => {
      throw new Error(`${this.name} did not boot within ${BOOT_MS / 1000} s`);
    });
    const off = once(qemu, 'exit', { signal: limit.signal }).then(() => {
      throw new Error(`${this.name} went off while it booted`);
    });
    try {
      await Promise.race([booted, late, off]);
    } catch (error) {
      throw new Error(`${(error as Error).message}; its console: ${this.console()}`);
    } finally {
      limit.abort();
      await Promise.allSettled([late, off]);
    }
  }

  /** Runs a shell's script on it, to its end. @throws Error when it goes off meanwhile, or takes too long */
  async try(script: string, limitMs = COMMAND_MS): Promise<Outcome> {
    const control = this.#control;
    if (!control) throw new Error(`${this.name} is off`);
    const id = `${++this.#asked}`;
    const outcome = new Promise<Outcome>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    const timer = setTimeout(() => {
      this.#waiting
        .get(id)
        ?.reject(new Error(`${this.name}: \`${script}\` did not end within ${limitMs} ms`));
      this.#waiting.delete(id);
    }, limitMs);
    control.write(`${id} ${Buffer.from(script).toString('base64')}\n`);
    return outcome.finally(() => clearTimeout(timer));
  }

  /** The same, and what it prints. @throws Error where it fails */
  async sh(script: string, limitMs?: number): Promise<string> {
    const { status, stdout, stderr } = await this.try(script, limitMs);
    if (status !== 0)
      throw new Error(`${this.name}: \`${script}\` exited with ${status}: ${stdout}${stderr}`);
    return stdout.trim();
  }

  /** The command here, which asks the agent there: it would take many seconds to start in the guest. */
  get godwit(): Godwit {
    return new Godwit({ agent: this.#file('agent'), patienceMs: COMMAND_MS });
  }

  /** From now on `godwit` asks the agent at this address. */
  async reach(address: string): Promise<void> {
    await ended(this.#relay);
    const relay = [`UNIX-LISTEN:${this.#file('agent')},fork,unlink-early`, `TCP:${address}:${RELAY_PORT}`];
    const argv = [...this.network.entering, 'setpriv', '--pdeathsig', 'KILL', 'socat', ...relay];
    this.#relay = spawn(argv[0]!, argv.slice(1), { detached: true, stdio: 'ignore' });
    await until(`the socket of ${this.name} is there`, () => existsSync(this.#file('agent')));
  }

  /** Returns when the script exits with 0 there. It is asked again and again. */
  async until(script: string, limitMs = COMMAND_MS): Promise<void> {
    const seconds = POLL_MS / 1000;
    await this.sh(`until { ${script}\n} >/dev/null 2>&1; do sleep ${seconds}; done`, limitMs);
  }

  /** As when its power is cut. */
  async kill(): Promise<void> {
    await Promise.all([ended(this.#qemu), ended(this.#relay)]);
    this.#gone(new Error(`${this.name} is off`));
  }

  /** The last lines of its console. */
  console(): string {
    const file = this.#file('console');
    if (!existsSync(file)) return '(empty)';
    return readFileSync(file, 'latin1').split('\n').slice(-SHOWN_LINES).join('\n');
  }

  #file(what: string): string {
    return join(this.folder, `${this.name}.${what}`);
  }

  #argv(words: string): string[] {
    const { from, cpu, tap, mac, name } = this.plan;
    const { iso, kernel, initramfs } = this.image;
    const append = `quiet panic=-1 ${KERNEL_WORDS} godwit.name=${name} ${words}`;
    return [
      // It goes with this process, however that ends.
      ...['setpriv', '--pdeathsig', 'KILL', ...GIVING_WAY, 'qemu-system-x86_64'],
      ...['-accel', 'tcg', '-cpu', cpu, '-m', '1024', '-smp', '1', '-machine', 'q35', '-name', name],
      ...['-nodefaults', '-display', 'none', '-no-reboot', '-serial', `file:${this.#file('console')}`],
      ...['-chardev', `socket,id=control,path=${this.#file('control')},server=on,wait=off`],
      ...['-serial', 'chardev:control'],
      ...(from === 'iso'
        ? ['-drive', `file=${iso},media=cdrom,readonly=on,if=ide`, '-boot', 'd', '-vga', 'std']
        : ['-kernel', kernel, '-initrd', initramfs, '-append', append]),
      ...['-drive', `file=${this.#file('disk')},if=virtio,format=raw`],
      ...['-netdev', `tap,id=net,ifname=${tap},script=no,downscript=no`],
      ...['-device', `virtio-net-pci,netdev=net,mac=${mac},romfile=`, '-device', 'virtio-rng-pci'],
    ];
  }

  async #connect(qemu: ChildProcess): Promise<void> {
    let control: Socket;
    for (;;) {
      control = connect(this.#file('control'));
      const up = once(control, 'connect').then(
        () => true,
        () => false,
      );
      if (await up) break;
      if (qemu.exitCode !== null || qemu.signalCode !== null) throw new Error('QEMU has ended');
      await sleep(POLL_MS);
    }
    control.on('error', () => {});
    const lines = createInterface({ input: control });
    // Firmware and boot loader may have something to say there before.
    for await (const [line] of on(lines, 'line')) if (line.trim() === READY) break;
    lines.on('line', (line) => this.#heard(line));
    this.#control = control;
  }

  #heard(line: string): void {
    const [id, status, stdout, stderr] = line.split(' ');
    const waiting = this.#waiting.get(id ?? '');
    this.#waiting.delete(id ?? '');
    waiting?.resolve({ status: Number(status), stdout: decoded(stdout), stderr: decoded(stderr) });
  }

  #gone(why: Error): void {
    this.#control?.destroy();
    this.#control = null;
    for (const { reject } of this.#waiting.values()) reject(why);
    this.#waiting.clear();
  }
}

const decoded = (text = '') => Buffer.from(text.slice(1), 'base64').toString();

/** Waits for what will be so. @throws Error when it takes too long */
export async function until(
  what: string,
  is: () => boolean | Promise<boolean>,
  pollMs = POLL_MS,
): Promise<void> {
  const deadline = performance.now() + COMMAND_MS;
  while (!(await answered(is))) {
    if (performance.now() > deadline) throw new Error(`in ${COMMAND_MS / 1000} s, not: ${what}`);
    await sleep(pollMs);
  }
}

/** A machine that gets little of this one's time may be too slow for the command's patience, and is asked again. */
async function answered(is: () => boolean | Promise<boolean>): Promise<boolean> {
  try {
    return await is();
  } catch (error) {
    if (error instanceof Refused && error.line.includes('no agent answers')) return false;
    throw error;
  }
}
