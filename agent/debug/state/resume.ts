/** Resume packets taken apart: which threads they let run, and what they deliver (GDB manual, "vCont packet"). Pure. */

import { parseThreadId } from '../rsp/packets';
import type { OwedSignal } from './parked';

interface Action {
  /** `c`, `s`, `r10,20`, `C0b`, `S05`, `t`. */
  verb: string;
  /** null: every thread without an action before. */
  thread: string | null;
}

function actionsOf(packet: string): Action[] {
  if (!packet.startsWith('vCont;')) return [{ verb: packet, thread: null }];
  return packet
    .slice('vCont;'.length)
    .split(';')
    .map((action) => {
      const [verb = '', thread] = action.split(':');
      return { verb, thread: thread === undefined ? null : thread };
    });
}

function includes(action: Action, thread: string): boolean {
  if (action.thread === null) return true;
  const group = parseThreadId(action.thread);
  const one = parseThreadId(thread);
  if (!group || !one) return false;
  const processMatches =
    group.process === undefined ||
    group.process === -1 ||
    one.process === undefined ||
    group.process === one.process;
  return processMatches && (group.thread === -1 || group.thread === one.thread);
}

const actionFor = (packet: string, thread: string): Action | undefined =>
  actionsOf(packet).find((action) => includes(action, thread));

/** Does the packet let this thread run? */
export const letsRun = (packet: string, thread: string): boolean => {
  const action = actionFor(packet, thread);
  return action !== undefined && !action.verb.startsWith('t');
};

/** Is the thread to take a single step, or to step within a range? */
export const steps = (packet: string, thread: string): boolean =>
  /^[sSr]/.test(actionFor(packet, thread)?.verb ?? '');

/** The threads that the packet names to be stepped; `null` among them means whichever is selected. */
export const steppedThreads = (packet: string): (string | null)[] =>
  actionsOf(packet)
    .filter(({ verb }) => /^[sSr]/.test(verb))
    .map(({ thread }) => thread);

/** The signals that the packet delivers; an action without a thread names `selected`. */
export const signalsOf = (packet: string, selected: string | null): OwedSignal[] =>
  actionsOf(packet).flatMap(({ verb, thread }) => {
    const signal = /^[CS]([0-9a-f]{2})/i.exec(verb);
    const receiver = thread ?? selected;
    return signal && receiver ? [{ thread: receiver, signal: Number.parseInt(signal[1]!, 16) }] : [];
  });

/**
 * The packet with signals added that earlier ones should have delivered. Only threads that it lets run get theirs:
 * the rest is given back.
 */
export function withSignals(packet: string, owed: OwedSignal[]): { packet: string; owed: OwedSignal[] } {
  const rest: OwedSignal[] = [];
  const first: string[] = [];
  for (const signal of owed) {
    const action = actionFor(packet, signal.thread);
    // A range is stepped without a signal: the thread takes its signal with its first single step.
    if (!action || /^[CSt]/.test(action.verb)) rest.push(signal);
    else
      first.push(
        `${/^[sr]/.test(action.verb) ? 'S' : 'C'}${signal.signal.toString(16).padStart(2, '0')}:${signal.thread}`,
      );
  }
  if (first.length === 0) return { packet, owed: rest };
  const others = packet.startsWith('vCont;') ? packet.slice('vCont;'.length) : packet[0]!;
  return { packet: `vCont;${[...first, others].join(';')}`, owed: rest };
}
