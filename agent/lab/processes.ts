/** Agents and keepers: started detached from the command, and found again by a file that names them for certain. */
import assert from 'node:assert';
import { spawn } from 'node:child_process';
import { open, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  childrenOf,
  type Identity,
  identityLine,
  isAlive,
  isStopped,
  killPid,
  readIdentity,
  signalPid,
  startOf,
} from '../machine/proc/identity';
import { willNotEnd } from './errors';

/** The kernel ends a process at once, unless it waits for a disk or for the files of another node. */
const END_DEADLINE_MS = 60_000;
const POLL_MS = 10;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Seconds until an agent that has ended is started again; doubled each time, up to the second figure. Not those of
 * `api/retry.ts`: this loop is a shell's, and what counts as success is how long the agent was up.
 */
const FIRST_PAUSE_S = 1;
const LONGEST_PAUSE_S = 32;
/** The supervisor's message about that. */
export const RESTARTED = 'the agent has ended and is started again';
/** An agent that was up for so many seconds has not failed to start. */
const STEADY_S = 60;

/** `FILE PROGRAM ARG…`: joins the cgroup of the file, if one is named, before it becomes the program. */
const JOIN = `[ -z "$1" ] || echo $$ >"$1" || exit 1
shift; exec "$@"`;

/**
 * `FILE PROGRAM ARG…`: the program runs, for ever: when it ends it is started again. FILE names the process that it is. What the
 * shell itself prints about ended processes is not kept.
 * A shell, since one is kept for each node, and there it is a hundredth of what another Node.js would be.
 */
const SUPERVISE = `exec 2>/dev/null; file=$1; shift; pause=${FIRST_PAUSE_S}
began() { read -r line <"/proc/$1/stat"; set -- \${line##*) }; echo "\${20}"; }
uptime() { read -r up rest </proc/uptime; echo "\${up%.*}"; }
while :; do
  at=$(uptime)
  "$@" 2>&1 & pid=$!
  (umask 077; echo "$pid $(began $pid)" >"$file.new") && mv "$file.new" "$file"
  wait $pid; status=$?
  [ $(($(uptime) - at)) -lt ${STEADY_S} ] || pause=${FIRST_PAUSE_S}
  printf '{"time":"%s","level":"error","msg":"${RESTARTED}","status":%s,"pauseSeconds":%s}\\n' \\
    "$(date -u +%Y-%m-%dT%H:%M:%S.000Z)" $status $pause
  sleep $pause
  pause=$((pause * 2)); [ $pause -le ${LONGEST_PAUSE_S} ] || pause=${LONGEST_PAUSE_S}
done`;

export interface Start {
  /** The names of its network and its mount namespace; null for this process's own mounts. */
  network: string;
  files: string | null;
  /** The cgroup.procs of the cgroup that it is to be in, if any. */
  join: string | null;
  argv: [string, ...string[]];
  log: string;
  pidFile: string;
}

/**
 * Starts a process in a network and a mount namespace, in a session of its own, its output in a log. nsenter(1) becomes
 * the program, so the number stays; unlike `ip netns exec` it leaves the mounts alone.
 */
export async function startApart({ network, files, join, argv, log, pidFile }: Start): Promise<Identity> {
  const out = await open(log, 'a', 0o600);
  try {
    const place = [`--net=${network}`, ...(files ? [`--mount=${files}`] : [])];
    const child = spawn('sh', ['-c', JOIN, 'sh', join ?? '', 'nsenter', ...place, ...argv], {
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

interface Supervised extends Start {
  /** Where the supervisor is named; `pidFile` names what it has started last. */
  supervisorFile: string;
}

/** As `startApart`; a process that ends is started again, with growing pauses. Precondition: none is there yet. */
export async function startSupervised({
  supervisorFile,
  pidFile,
  argv,
  ...start
}: Supervised): Promise<Identity> {
  const before = await readIdentity(supervisorFile);
  assert(!before || !(await isAlive(before)), `${supervisorFile} names a process that lives`);
  await rm(pidFile, { force: true });
  const supervisor: [string, ...string[]] = ['sh', '-c', SUPERVISE, 'sh', pidFile, ...argv];
  return startApart({ ...start, argv: supervisor, pidFile: supervisorFile });
}

/** Ends a supervisor and what it has started, and nothing starts that again. @throws GodwitError `will-not-end` */
export async function endSupervised({
  supervisorFile,
  pidFile,
}: Pick<Supervised, 'supervisorFile' | 'pidFile'>): Promise<void> {
  const supervisor = await readIdentity(supervisorFile);
  const ending = [await readIdentity(pidFile)];
  if (supervisor && (await isAlive(supervisor))) {
    // One that is stopped starts nothing while its children are counted.
    signalPid(supervisor.pid, 'SIGSTOP');
    while ((await isAlive(supervisor)) && !(await isStopped(supervisor.pid))) await sleep(POLL_MS);
    ending.push(supervisor, ...(await childrenOf(supervisor.pid)));
  }
  await endAll(ending);
}

/** @throws GodwitError `will-not-end` */
export async function endAll(identities: (Identity | null)[]): Promise<void> {
  await killAll(async () => {
    const alive = identities.map(async (one) => (one && (await isAlive(one)) ? [one.pid] : []));
    return (await Promise.all(alive)).flat();
  });
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
