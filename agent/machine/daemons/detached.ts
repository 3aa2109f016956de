/** A process that outlives who starts it: a session of its own, its output in a log, and a file that names it for certain. */
import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Identity, readIdentity } from '../proc/identity';

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * For a shell: `name_process FILE PID` writes into the file which process that is, for `readIdentity`. Who reads it meets
 * the whole line or none.
 */
export const NAME_PROCESS = `began() { read -r line <"/proc/$1/stat"; set -- \${line##*) }; echo "\${20}"; }
name_process() { (umask 077; echo "$2 $(began "$2")" >"$1.new") && mv "$1.new" "$1"; }`;

/**
 * `NAMED JOINED PROGRAM ARG…`: writes into the file NAMED which process it is, joins the cgroup of the file JOINED, if one
 * is named, and becomes the program. It names itself: who starts it may be killed at any moment, and it must be found.
 */
const BECOME = `${NAME_PROCESS}
name_process "$1" $$ || exit 1
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
  /** Nothing of the terminal that it is started from, unless this says otherwise: it outlives it. */
  env?: NodeJS.ProcessEnv;
}

const bareEnvironment = () => ({ PATH: process.env.PATH ?? PATH, HOME: '/root', LANG: 'C.UTF-8' });

export async function startDetached({
  argv,
  join,
  log,
  pidFile,
  env = bareEnvironment(),
}: Detached): Promise<Identity> {
  const out = await open(log, 'a', 0o600);
  try {
    const child = spawn('sh', ['-c', BECOME, 'sh', pidFile, join ?? '', ...argv], {
      detached: true,
      cwd: '/',
      env,
      stdio: ['ignore', out.fd, out.fd],
    });
    await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject));
    child.unref();
    for (;;) {
      // Before the file is read: one that has ended may have named itself just then.
      const hasEnded = child.exitCode !== null || child.signalCode !== null;
      const named = await readIdentity(pidFile);
      if (named?.pid === child.pid) return named!;
      if (hasEnded) return { pid: child.pid!, started: '0' };
      await sleep(LOOK_MS);
    }
  } finally {
    await out.close();
  }
}
