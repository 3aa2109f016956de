/** A process that outlives who starts it: a session of its own, its output in a log, and a file that names it for certain. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Identity, readIdentity } from '../proc/identity';

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * `NAMED JOINED PROGRAM ARG…`: writes into the file NAMED which process it is, joins the cgroup of the file JOINED, if one
 * is named, and becomes the program. It names itself: who starts it may be killed at any moment, and it must be found.
 */
const BECOME = `began() { read -r line <"/proc/$$/stat"; set -- \${line##*) }; echo "\${20}"; }
(umask 077; echo "$$ $(began)" >"$1.new") && mv "$1.new" "$1" || exit 1
[ -z "$2" ] || echo $$ >"$2" || exit 1
shift 2; exec "$@"`;
/** Between two looks whether it has. */
const LOOK_MS = 5;

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
    const child = spawn('sh', ['-c', BECOME, 'sh', pidFile, join ?? '', ...argv], {
      detached: true,
      cwd: '/',
      // Nothing of the terminal that it is started from: it outlives it.
      env: { PATH: process.env.PATH ?? PATH, HOME: '/root', LANG: 'C.UTF-8' },
      stdio: ['ignore', out.fd, out.fd],
    });
    await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject));
    child.unref();
    let over = false;
    const ended = once(child, 'exit').then(() => {
      over = true;
    });
    for (;;) {
      // It may have ended in between: what it has written then is looked at once more.
      const last = over;
      const named = await readIdentity(pidFile);
      if (named?.pid === child.pid) return named!;
      if (last) return { pid: child.pid!, started: '0' };
      await Promise.race([ended, sleep(LOOK_MS)]);
    }
  } finally {
    await out.close();
  }
}
