/** Stops that the client has yet to hear of. */
import { parseStopReply, threadOfStop } from '../rsp/packets';
import { programSignal } from './memory';
import type { Stop } from './parked';

/** gdb's numbers of real-time signals, which are queued one by one, begin here (gdb's signals.def). */
const REALTIME = 45;

/**
 * With more of them. Of a signal that a thread has waiting, and meets again, one waits, as the kernel has it (signal(7),
 * "Queueing and delivery semantics for standard signals").
 */
export function withMore(pending: readonly Stop[], stops: readonly Stop[]): Stop[] {
  const all = [...pending];
  for (const stop of stops) if (!all.some((known) => merges(known, stop))) all.push(stop);
  return all;
}

function merges(known: Stop, next: Stop): boolean {
  const signal = programSignal(parseStopReply(next.reply));
  if (signal === null || signal >= REALTIME || signal !== programSignal(parseStopReply(known.reply)))
    return false;
  return threadOfStop(known.reply) === threadOfStop(next.reply);
}
