/** Agents and keepers: started apart from whoever starts them, and found again by a file that names them for certain. */
import { spawn } from 'node:child_process';
import { open, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Identity, identityLine, killPid, startOf } from '../freezer/identity';
import { willNotEnd } from './errors';
import { namespacePath } from './network';

const END_DEADLINE_MS = 10_000;
const POLL_MS = 10;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface Start {
  /** Its network's name. */
  namespace: string;
  /** The mount namespace; null for this process's own. */
  files: string | null;
  argv: [string, ...string[]];
  log: string;
  pidFile: string;
}

/**
 * Starts a process in a network and a mount namespace, in a session of its own, its words in a log. nsenter(1) becomes
 * the program, so the number stays; unlike `ip netns exec` it leaves the mounts alone.
 */
export async function startApart({ namespace, files, argv, log, pidFile }: Start): Promise<Identity> {
  const out = await open(log, 'a', 0o600);
  try {
    const place = [`--net=${namespacePath(namespace)}`, ...(files ? [`--mount=${files}`] : [])];
    const child = spawn('nsenter', [...place, ...argv], {
      detached: true,
      cwd: '/',
      // Nothing of the terminal that the lab is started from: it outlives it.
      env: { PATH: process.env.PATH ?? PATH, HOME: '/root', LANG: 'C.UTF-8' },
      stdio: ['ignore', out.fd, out.fd],
    });
    await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject));
    child.unref();
    const identity = { pid: child.pid!, started: (await startOf(child.pid!)) ?? '0' };
    await writeFile(pidFile, identityLine(identity), { mode: 0o600 });
    return identity;
  } finally {
    await out.close();
  }
}

/**
 * Asks `living` again and again, killing what it names, until it names none.
 * @throws GodwitError `will-not-end`
 */
export async function killAll(living: () => Promise<number[]>): Promise<void> {
  const deadline = performance.now() + END_DEADLINE_MS;
  for (let pids = await living(); pids.length > 0; pids = await living()) {
    if (performance.now() > deadline) throw willNotEnd(pids);
    for (const pid of pids) killPid(pid);
    await sleep(POLL_MS);
  }
}
