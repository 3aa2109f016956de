/**
 * The network of a job that has an address of its own: a namespace with one interface, whose other end (the port) is on
 * the node's bridge. Both are found again by the job's id and epoch: nothing of them is kept anywhere else, and each step
 * may be repeated.
 *
 * The address answers on one node at the most: the port goes down before the job is saved, and goes up only where, and
 * after, the home has written that the job lives there.
 */
import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { GodwitError } from '../../api/errors';
import type { Address } from '../../api/model';
import { parseJson, parseWith } from '../../api/schema';
import { execute } from '../execution';
import { removeMounted } from '../homefs/removal';
import { hardwareAddress } from './address';
import { PING_GROUPS } from './ping';

/** The job's end, as the job sees it. */
const INSIDE = 'eth0';
/** Each is a few system calls. */
const COMMAND_MS = 20_000;
/** A peer that is there acknowledges within milliseconds; one that is not must not keep the address. */
const DRAIN_MS = 1_000;
const DRAIN_POLL_MS = 20;
/** FIN_WAIT1, LAST_ACK and CLOSING, as /proc/net/tcp has them: something is not acknowledged. */
const UNSENT = ['04', '09', '0B'];
const Probed = z.object({ owner: z.string().nullable() });

export interface NetworkOptions {
  node: string;
  /** The bridge on the cluster's network; null where jobs can't have an address. */
  bridge: string | null;
  helper: string;
  /** Where the namespace of a copy is bound. */
  namespace: (job: string, epoch: number) => string;
}

interface Addressed {
  job: string;
  epoch: number;
  address: Address | null;
  /** The epoch under which it was made, where that is another one. */
  network?: number | null;
}

/** For a copy without an address there is nothing to do, so that callers need not ask first. */
export class JobNetworks {
  constructor(private readonly options: NetworkOptions) {}

  /** Where the copy's namespace is bound; null when it is in its host's network. */
  namespaceOf({ job, epoch, address, network }: Addressed): string | null {
    return address && this.options.namespace(job, network ?? epoch);
  }

  /** As CRIU names it: the inode of the namespace. */
  async inodeOf(copy: Addressed): Promise<number | null> {
    const namespace = this.namespaceOf(copy);
    return namespace === null ? null : (await stat(namespace)).ino;
  }

  /** Why a job with an address can't be here; null when it can. */
  async problem(): Promise<GodwitError | null> {
    const { bridge, node } = this.options;
    if (bridge === null) return noNetwork(node);
    return run('ip', 'link', 'show', 'dev', bridge, 'type', 'bridge').then(
      (found) => (found.trim() === '' ? noBridge(node, bridge) : null),
      () => noBridge(node, bridge),
    );
  }

  /** Makes the namespace and its interface; the port stays down. @throws `no-network`, `network-failed` */
  async make(copy: Addressed): Promise<void> {
    const { address } = copy;
    const namespace = this.namespaceOf(copy);
    if (!address || namespace === null) return;
    const problem = await this.problem();
    if (problem) throw problem;
    await this.remove(copy);
    await mkdir(dirname(namespace), { recursive: true });
    await run('touch', namespace);
    await run('unshare', `--net=${namespace}`, 'ip', 'link', 'set', 'lo', 'up');
    await this.#allowPings(namespace);
    const { job } = copy;
    const inside = ['name', INSIDE, 'address', hardwareAddress(address.ip), 'netns', namespace];
    await ip('link', 'add', port(job), 'address', portAddress(address), 'type', 'veth', 'peer', ...inside);
    await ip('link', 'set', port(job), 'alias', `godwit job ${job}`);
    await ip('link', 'set', port(job), 'master', this.options.bridge!);
    const within = (...args: string[]) => run('nsenter', `--net=${namespace}`, 'ip', ...args);
    // The namespace comes to life elsewhere with the same addresses: none may be made up on the way.
    await within('link', 'set', INSIDE, 'addrgenmode', 'none');
    await within('address', 'add', `${address.ip}/${address.bits}`, 'dev', INSIDE);
    await within('link', 'set', INSIDE, 'up');
    if (address.gateway) await within('route', 'add', 'default', 'via', address.gateway);
  }

  /** Who may make sockets of ICMP: those who may on the node. */
  async #allowPings(namespace: string): Promise<void> {
    const groups = await readFile(PING_GROUPS, 'utf8');
    await run('nsenter', `--net=${namespace}`, 'sh', '-c', 'echo "$1" > "$0"', PING_GROUPS, groups.trim());
  }

  /** From now on the address does not answer here. */
  async takeDown({ job, address }: Addressed): Promise<void> {
    if (address) await ip('link', 'set', port(job), 'down');
  }

  /** Announces to the job's neighbours that the address is here. */
  async putUp(copy: Addressed): Promise<void> {
    const namespace = this.namespaceOf(copy);
    if (!copy.address || namespace === null) return;
    await ip('link', 'set', port(copy.job), 'up');
    const announce = ['arp', 'announce', INSIDE, copy.address.ip];
    await run('nsenter', `--net=${namespace}`, this.options.helper, ...announce);
  }

  /** Waits until what an ended program has sent has reached its peers, and they know of its end. */
  async drain(copy: Addressed): Promise<void> {
    const namespace = this.namespaceOf(copy);
    if (namespace === null) return;
    for (const until = performance.now() + DRAIN_MS; performance.now() < until; await sleep(DRAIN_POLL_MS)) {
      const tables = await run('nsenter', `--net=${namespace}`, 'cat', '/proc/net/tcp', '/proc/net/tcp6');
      if (!tables.split('\n').some((row) => UNSENT.includes(row.trim().split(/\s+/)[3] ?? ''))) return;
    }
  }

  /** Removes the parts of it that exist. */
  async remove(copy: Addressed): Promise<void> {
    const namespace = this.namespaceOf(copy);
    if (namespace === null) return;
    // It takes its other end with it. Another's interface of that name is not touched: making ours fails by its name.
    if (copy.address && (await isOurs(copy.job, copy.address))) await ip('link', 'delete', port(copy.job));
    await run('umount', '--lazy', namespace).catch(() => {});
    // Refused while another process has mounted something there, or has copied the mount.
    await rm(namespace, { force: true }).catch(() => removeMounted('name', [namespace]));
  }

  /** Who on the bridge has this address already; null without an answer. */
  async ownerOf(address: string): Promise<string | null> {
    const what = "the helper's answer";
    const output = await run(this.options.helper, 'arp', 'probe', this.options.bridge ?? '', address);
    return parseWith(Probed, parseJson(what, output), what).owner;
  }
}

/** The port of a job, of which a node holds one copy at the most; an interface's name may have 15 bytes. */
const port = (job: string) => `gw${job}`;

/** A bridge takes the lowest address of its ports for its own: this is none of the low ones, and distinguishes ours from others. */
const portAddress = ({ ip: address }: Address) => hardwareAddress(address).replace('02', 'fe');

const isOurs = (job: string, address: Address) =>
  run('ip', '-o', 'link', 'show', 'dev', port(job)).then(
    (found) => found.includes(` ${portAddress(address)} `),
    () => false,
  );

const ip = (...args: string[]) => run('ip', ...args);

async function run(command: string, ...args: string[]): Promise<string> {
  try {
    return (await execute(command, args, { timeout: COMMAND_MS })).stdout;
  } catch (error) {
    const { stderr, stdout, message } = error as Error & { stderr?: string; stdout?: string };
    const why = stderr?.trim() || stdout?.trim() || message;
    throw new GodwitError({
      code: 'network-failed',
      message: `the network of a job with an address of its own: \`${[command, ...args].join(' ')}\`: ${why}`,
    });
  }
}

const noNetwork = (node: string) =>
  new GodwitError({
    code: 'no-network',
    message: `${node} has no network for jobs with an address of their own`,
    fix: "name the bridge in its agent's configuration: network.bridge",
  });

const noBridge = (node: string, bridge: string) =>
  new GodwitError({
    code: 'no-network',
    message: `${node} has no bridge ${bridge}`,
    fix: "make it, or name another in its agent's configuration: network.bridge",
  });
