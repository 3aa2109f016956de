/** The threads of a process as /proc shows them (proc(5)). */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { GodwitError } from '../../api/errors';
import { statusField, statusMask, statusNumbers } from '../../machine/proc/parse';
import type { Position } from './spin';

/** Milliseconds in which a stopped thread has left its processor; it needs a few microseconds. */
const STOP_LIMIT = 30_000;
const POLL = 1;

const stillRuns = (pid: number, thread: number) =>
  new GodwitError({
    code: 'cannot-hold',
    message: `thread ${thread} of process ${pid} runs, although it was stopped`,
    fix: 'try again',
  });

export interface ThreadView {
  /** As this node numbers it. */
  tid: number;
  /** As the job numbers it. */
  inner: number;
  /** R, S, D, T, t, Z, X. */
  state: string;
  /** The process that traces it, 0 for none. */
  tracer: number;
  /** Is a SIGSTOP queued for this thread; for its process? */
  stopQueued: boolean;
  stopQueuedForAll: boolean;
}

const STOP_BIT = 1n << 18n;
const KILL_BIT = 1n << 8n;

/** None when the process has gone. */
export const threadsOf = (pid: number): ThreadView[] =>
  tids(pid).flatMap((tid) => {
    const status = read(`/proc/${pid}/task/${tid}/status`);
    return status === null ? [] : [parseStatus(tid, status)];
  });

export function parseStatus(tid: number, status: string): ThreadView {
  return {
    tid,
    inner: statusNumbers(status, 'NSpid').at(-1) ?? tid,
    state: statusField(status, 'State')?.[0] ?? 'X',
    tracer: Number(statusField(status, 'TracerPid') ?? 0),
    stopQueued: (statusMask(status, 'SigPnd') & STOP_BIT) !== 0n,
    stopQueuedForAll: (statusMask(status, 'ShdPnd') & STOP_BIT) !== 0n,
  };
}

export const isDead = ({ state }: { state: string }): boolean => state === 'Z' || state === 'X';

export type ThreadPosition = Position & { inner: number };

/**
 * The position of each living thread. Precondition: none of them runs; one that has only just been stopped may still be
 * on its way off the processor, and is waited for. @throws cannot-hold
 */
export async function positionsOf(pid: number): Promise<ThreadPosition[]> {
  const positions: ThreadPosition[] = [];
  const until = Date.now() + STOP_LIMIT;
  for (const thread of threadsOf(pid)) {
    for (let position = positionOf(pid, thread); position !== 'dead'; position = positionOf(pid, thread)) {
      if (position !== 'running') {
        positions.push({ ...position, inner: thread.inner });
        break;
      }
      if (Date.now() > until) throw stillRuns(pid, thread.inner);
      await sleep(POLL);
    }
  }
  return positions;
}

function positionOf(pid: number, { tid }: ThreadView): Position | 'running' | 'dead' {
  const status = read(`/proc/${pid}/task/${tid}/status`);
  if (status === null || isDead(parseStatus(tid, status))) return 'dead';
  return parseSyscall(read(`/proc/${pid}/task/${tid}/syscall`) ?? '') ?? 'running';
}

/** `NUMBER ARGUMENTS… SP PC` in a system call, `-1 SP PC` elsewhere, `running`. */
export function parseSyscall(text: string): Position | null {
  const fields = text.trim().split(/\s+/);
  if (fields.length < 3) return null;
  return { pc: Number(fields.at(-1)), restarts: fields[0] !== '-1' };
}

/** Does the process exist and live? */
export const isAlive = (pid: number): boolean => threadsOf(pid).some((thread) => !isDead(thread));

/** Has it a SIGKILL that it has yet to meet, which goes to the whole process? */
export const isBeingKilled = (pid: number): boolean => {
  const status = read(`/proc/${pid}/status`) ?? '';
  return ['SigPnd', 'ShdPnd'].some((name) => (statusMask(status, name) & KILL_BIT) !== 0n);
};

/**
 * The auxiliary vector (elf.h) begins with a small key, of one word: after its first four bytes there are four zeros of
 * it, or its value. No vector: the process has ended.
 */
export const isOf32Bits = (pid: number): boolean =>
  !['', '\0\0\0\0'].includes((read(`/proc/${pid}/auxv`) ?? '').slice(4, 8));

/** Children of a process, of all its threads. */
export const childrenOf = (pid: number): number[] =>
  tids(pid).flatMap((tid) =>
    (read(`/proc/${pid}/task/${tid}/children`) ?? '').trim().split(/\s+/).filter(Boolean).map(Number),
  );

function tids(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number);
  } catch {
    return [];
  }
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

/** Is a SIGSTOP queued for the process or one of its threads? */
export const isStopQueued = (pid: number): boolean =>
  threadsOf(pid).some((thread) => !isDead(thread) && (thread.stopQueued || thread.stopQueuedForAll));

/** Is one queued for the process as a whole? Those of gdbserver are for single threads. */
export const isOurStopQueued = (pid: number): boolean =>
  threadsOf(pid).some((thread) => !isDead(thread) && thread.stopQueuedForAll);
