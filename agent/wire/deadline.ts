/** An answer, or what keeps it from coming. */
import assert from 'node:assert';
import type { GodwitError } from '../api/errors';

/** Of the event loop: in one it is read, in one the library of JSON-RPC takes it, in one who asked is told. */
const TURNS = 3;

/**
 * Calls `late` after so many milliseconds, unless what it returns is called before. What has come by then is taken
 * first: in a process that stood still, or was left no CPU, timers run before anything is read.
 */
export function lateAfter(ms: number, late: () => void): () => void {
  let turns = TURNS;
  let stopped = false;
  const turn = () => {
    if (stopped) return;
    if (turns-- > 0) setImmediate(turn);
    else late();
  };
  const timer = setTimeout(turn, ms);
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

/** Each rejects with its error. */
export interface Ends {
  /** The connection has ended. */
  lost: { signal: AbortSignal; error: () => GodwitError };
  /** The caller no longer wants the answer. */
  cancelled: { signal: AbortSignal | undefined; error: () => GodwitError };
  /** `Infinity` for one that may take any time. */
  late: { afterMs: number; error: () => GodwitError };
}

/** Settles with what comes first, and leaves no listener behind. Precondition: no signal is aborted yet. */
export function firstOf<T>(answer: Promise<T>, { lost, cancelled, late }: Ends): Promise<T> {
  assert(!lost.signal.aborted && !cancelled.signal?.aborted);
  let stop = () => {};
  const first = new Promise<T>((resolve, reject) => {
    const onLost = () => reject(lost.error());
    const onCancel = () => reject(cancelled.error());
    const onTime = () => reject(late.error());
    const inTime = late.afterMs === Number.POSITIVE_INFINITY ? () => {} : lateAfter(late.afterMs, onTime);
    lost.signal.addEventListener('abort', onLost);
    cancelled.signal?.addEventListener('abort', onCancel);
    answer.then(resolve, reject);
    stop = () => {
      inTime();
      lost.signal.removeEventListener('abort', onLost);
      cancelled.signal?.removeEventListener('abort', onCancel);
    };
  });
  return first.finally(stop);
}
