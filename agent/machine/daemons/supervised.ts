/** A daemon that is started again when it ends, by a supervisor of its own: what there is where no systemd is. */
import assert from 'node:assert';
import { readFile, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { childrenOf, type Identity, isAlive, isStopped, readIdentity, signalPid } from '../proc/identity';
import { type Detached, NAME_PROCESS, startDetached } from './detached';
import { endAll } from './ending';

const POLL_MS = 10;

/**
 * Seconds until a daemon that has ended is started again; doubled each time, up to the second figure. Not those of
 * `api/retry.ts`: this loop is a shell's, and what counts as success is how long the daemon was up.
 */
const FIRST_PAUSE_S = 1;
export const LONGEST_PAUSE_S = 32;
/** The supervisor's message about that. */
export const RESTARTED = 'the agent has ended and is started again';
/** A daemon that was up for so many seconds has not failed to start. */
const STEADY_S = 60;

/**
 * `FILE PROGRAM ARG…`: the program runs, for ever: when it ends it is started again. FILE names the process that it is. What the
 * shell itself prints about ended processes is not kept.
 * A shell, since one is kept for each node, and there it is a hundredth of what another Node.js would be.
 */
const SUPERVISE = `exec 2>/dev/null; file=$1; shift; pause=${FIRST_PAUSE_S}
${NAME_PROCESS}
uptime() { read -r up rest </proc/uptime; echo "\${up%.*}"; }
while :; do
  at=$(uptime)
  "$@" 2>&1 & pid=$!
  name_process "$file" $pid
  wait $pid; status=$?
  [ $(($(uptime) - at)) -lt ${STEADY_S} ] || pause=${FIRST_PAUSE_S}
  printf '{"time":"%s","level":"error","msg":"${RESTARTED}","status":%s,"pauseSeconds":%s}\\n' \\
    "$(date -u +%Y-%m-%dT%H:%M:%S.000Z)" $status $pause
  sleep $pause
  pause=$((pause * 2)); [ $pause -le ${LONGEST_PAUSE_S} ] || pause=${LONGEST_PAUSE_S}
done`;

export interface SupervisedFiles {
  /** Names what the supervisor has started last. */
  pidFile: string;
  /** Names the supervisor. */
  supervisorFile: string;
}

export interface Supervised extends Detached, SupervisedFiles {
  /** A program that becomes the supervisor, where it is to be elsewhere: nsenter(1) with its options. */
  within?: string[];
}

/** As `startDetached`; a process that ends is started again, with growing pauses. Precondition: none is there yet. */
export async function startSupervised({
  supervisorFile,
  pidFile,
  within = [],
  argv,
  ...start
}: Supervised): Promise<Identity> {
  assert(!(await isSupervised(supervisorFile)), `${supervisorFile} names a process that lives`);
  await rm(pidFile, { force: true });
  const [program, ...rest] = [...within, 'sh', '-c', SUPERVISE, 'sh', pidFile, ...argv];
  return startDetached({ ...start, argv: [program!, ...rest], pidFile: supervisorFile });
}

/** Whether there is one who starts it again. */
export async function isSupervised(supervisorFile: string): Promise<boolean> {
  const supervisor = await readIdentity(supervisorFile);
  return supervisor !== null && isAlive(supervisor);
}

/** Whether that is by this command. */
export async function supervises(supervisorFile: string, argv: readonly string[]): Promise<boolean> {
  const supervisor = await readIdentity(supervisorFile);
  if (!supervisor || !(await isAlive(supervisor))) return false;
  const line = await readFile(`/proc/${supervisor.pid}/cmdline`, 'utf8').catch(() => '');
  return line.endsWith(`\0${argv.join('\0')}\0`);
}

/** Ends a supervisor and what it has started, and nothing starts that again. @throws GodwitError `will-not-end` */
export async function endSupervised({ supervisorFile, pidFile }: SupervisedFiles): Promise<void> {
  const supervisor = await readIdentity(supervisorFile);
  const ending = [await readIdentity(pidFile)];
  if (supervisor && (await isAlive(supervisor))) {
    // One that is stopped starts nothing while its children are counted.
    signalPid(supervisor.pid, 'SIGSTOP');
    while ((await isAlive(supervisor)) && !(await isStopped(supervisor.pid))) await sleep(POLL_MS);
    const children = await childrenOf(supervisor.pid);
    // Those that are the shell's own have children for a moment; what the agent has started is not ended with it.
    const shells = await Promise.all(children.map(async (one) => ((await isShell(one)) ? [one] : [])));
    const theirs = await Promise.all(shells.flat().map(({ pid }) => childrenOf(pid)));
    ending.push(supervisor, ...children, ...theirs.flat());
  }
  await endAll(ending);
}

/** Has it not become another program yet? One that has gone is none. */
const isShell = ({ pid }: Identity): Promise<boolean> =>
  readFile(`/proc/${pid}/comm`, 'latin1').then(
    (name) => name.trim() === 'sh',
    () => false,
  );
