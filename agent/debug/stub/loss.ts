/** A gdbserver that has exited without being asked to: with its process, or alone? */
import { setTimeout as sleep } from 'node:timers/promises';
import { GodwitError } from '../../api/errors';
import { isAlive, isBeingKilled } from '../attach/threads';

/** Milliseconds for a process to end after the gdbserver in its namespace has, for the same cause. */
export const SAME_CAUSE_LIMIT = 1_000;
/** Milliseconds for one that is being killed: it has to get a processor for that, and to give its memory back. */
const DEATH_LIMIT = 30_000;
const POLL = 20;

/** Why gdbserver exited. With the process, whose end was not reported: `reply` says how. Or alone: the process lives. */
export type GdbserverLoss =
  | { cause: 'process-ended'; reply: string }
  | { cause: 'gdbserver-alone'; why: GodwitError };

const lostDebugger = (pid: number, stderr: string) =>
  new GodwitError({
    code: 'lost-debugger',
    message: `gdbserver ended while it traced process ${pid}${stderr ? `: ${stderr}` : ''}`,
    fix: 'attach the debugger anew; a breakpoint that was in may end the process',
  });

/** Waits until it is sure. `exitReply`: how a process that has ended did so, as a stop reply. */
export async function lossOf(
  { pid, nodePid, stderr }: { pid: number; nodePid: number; stderr: string },
  exitReply: () => Promise<string>,
): Promise<GdbserverLoss> {
  await untilEnded(nodePid);
  if (isAlive(nodePid)) return { cause: 'gdbserver-alone', why: lostDebugger(pid, stderr) };
  return { cause: 'process-ended', reply: await exitReply() };
}

/** Resolves when the process has ended, or is not about to. */
async function untilEnded(pid: number): Promise<void> {
  const began = performance.now();
  for (let waited = 0; isAlive(pid); waited = performance.now() - began) {
    if (waited > (isBeingKilled(pid) ? DEATH_LIMIT : SAME_CAUSE_LIMIT)) return;
    await sleep(POLL);
  }
}

/** What would go on from the wrong byte must not go on at all. */
export function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
