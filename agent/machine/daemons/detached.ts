/** A process that outlives who starts it: a session of its own, its output in a log, and a file that names it for certain. */
import { spawn } from 'node:child_process';
import { open, writeFile } from 'node:fs/promises';
import { type Identity, identityLine, startOf } from '../proc/identity';

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** `FILE PROGRAM ARG…`: joins the cgroup of the file, if one is named, before it becomes the program. */
const JOIN = `[ -z "$1" ] || echo $$ >"$1" || exit 1
shift; exec "$@"`;

export interface Detached {
  argv: [string, ...string[]];
  /** The cgroup.procs of the cgroup that it is to be in, if any. */
  join?: string | null;
  log: string;
  pidFile: string;
}

export async function startDetached({ argv, join, log, pidFile }: Detached): Promise<Identity> {
  const out = await open(log, 'a', 0o600);
  try {
    const child = spawn('sh', ['-c', JOIN, 'sh', join ?? '', ...argv], {
      detached: true,
      cwd: '/',
      // Nothing of the terminal that it is started from: it outlives it.
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
