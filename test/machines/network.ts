/**
 * A network of the guests' own: a bridge in a network namespace with a server of DHCP. It is gone with the process that holds
 * it, which ends with this one.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../support/processes';

const HERE = '10.77.0.1';
const PREFIX = 24;
const BRIDGE = 'guests';
/** Short, as nothing waits for one to end: a guest is told to ask again. */
const LEASE_S = 60;

/** Whose address is which. */
export interface Leases {
  [mac: string]: string;
}

export class Network {
  #server: ChildProcess | null = null;

  private constructor(
    private readonly holder: ChildProcess,
    private readonly folder: string,
  ) {}

  /** `taps`: the names of its sockets. `folder` is for what it keeps. */
  static async make(taps: string[], folder: string): Promise<Network> {
    // `cat` ends with its input, which is this process.
    const script = 'ip link set lo up && echo up && exec cat';
    const holder = spawn('unshare', ['--net', 'sh', '-ec', script], {
      detached: true,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const [up] = await Promise.race([once(holder.stdout!, 'data'), once(holder, 'exit')]);
    if (!Buffer.isBuffer(up)) throw new Error('no network namespace can be made');
    const network = new Network(holder, folder);
    await network.#ip(`link add ${BRIDGE} type bridge`);
    await network.#ip(`address add ${HERE}/${PREFIX} dev ${BRIDGE}`);
    await network.#ip(`link set ${BRIDGE} up`);
    for (const tap of taps) {
      await network.#ip(`tuntap add ${tap} mode tap`);
      await network.#ip(`link set ${tap} master ${BRIDGE} up`);
    }
    return network;
  }

  /** What a program runs behind that is to be in it. */
  get entering(): string[] {
    return ['nsenter', `--net=/proc/${this.holder.pid}/ns/net`];
  }

  /** Who asks from now on gets these. */
  async lease(leases: Leases): Promise<void> {
    await ended(this.#server);
    const leaseFile = join(this.folder, 'leases');
    writeFileSync(leaseFile, '');
    const settings = [
      `interface ${BRIDGE}`,
      // Nobody but those below.
      ...[`start ${HERE}`, `end ${HERE}`, 'max_leases 0'],
      ...[`lease_file ${leaseFile}`, `pidfile ${join(this.folder, 'dhcp.pid')}`],
      ...['opt subnet 255.255.255.0', `opt lease ${LEASE_S}`],
      ...Object.entries(leases).map(([mac, address]) => `static_lease ${mac} ${address}`),
    ];
    const file = join(this.folder, 'dhcp.conf');
    writeFileSync(file, `${settings.join('\n')}\n`);
    const dies = ['setpriv', '--pdeathsig', 'KILL'];
    const argv = [...this.entering, ...dies, 'busybox', 'udhcpd', '-f', file];
    this.#server = spawn(argv[0]!, argv.slice(1), { detached: true, stdio: 'ignore' });
  }

  async remove(): Promise<void> {
    await ended(this.#server);
    this.holder.stdin!.end();
    await ended(this.holder);
  }

  async #ip(words: string): Promise<void> {
    const { status, stderr } = await run([...this.entering, 'ip', ...words.split(' ')]);
    if (status !== 0) throw new Error(`\`ip ${words}\` failed: ${stderr}`);
  }
}

/** Ends a process of this one's; resolves when it has. */
export async function ended(child: ChildProcess | null): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}
