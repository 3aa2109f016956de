/** The end of processes that are known for certain. */
import { setTimeout as sleep } from 'node:timers/promises';
import { GodwitError } from '../../api/errors';
import { type Identity, isAlive, killPid } from '../proc/identity';

/** The kernel ends a process at once, unless it waits for a disk or for the files of another node. */
const END_DEADLINE_MS = 60_000;
const POLL_MS = 10;

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

const willNotEnd = (pids: number[]) =>
  new GodwitError({
    code: 'will-not-end',
    message: `processes do not end: ${pids.join(', ')}`,
    fix: 'they wait for the kernel; do the same again when it has let them go',
  });
