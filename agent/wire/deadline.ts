/** An answer, or what keeps it from coming. */
import assert from 'node:assert';
import type { GodwitError } from '../api/errors';

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
    const timer = late.afterMs === Number.POSITIVE_INFINITY ? undefined : setTimeout(onTime, late.afterMs);
    lost.signal.addEventListener('abort', onLost);
    cancelled.signal?.addEventListener('abort', onCancel);
    answer.then(resolve, reject);
    stop = () => {
      clearTimeout(timer);
      lost.signal.removeEventListener('abort', onLost);
      cancelled.signal?.removeEventListener('abort', onCancel);
    };
  });
  return first.finally(stop);
}
