/**
 * What each packet changes in a stub's memory: pure functions from one memory to the next. Sources: GDB manual,
 * "General Query Packets", "Packets", and gdbserver's ways (a stop selects its thread; an exec forgets breakpoints).
 */

import { parseStopReply, parseThreadId, type StopReply, withoutSignal } from '../rsp/packets';
import { MAX_BREAKPOINT_BYTES, MAX_BREAKPOINTS, MAX_SYMBOLS, type Memory, type Stop } from './parked';

/** gdb's number of SIGSTOP, in hex. */
const STOP_SIGNAL = '11';
/** gdb's numbers of the signals that are the debugger's own, in hex: SIGINT, SIGTRAP, SIGSTOP. */
const DEBUGGERS_SIGNALS = ['2', '5', STOP_SIGNAL];
/** gdb numbers its signals up to here. */
const LAST_SIGNAL = 0x97;

/** Settings to send to a new debug server again. */
const SETTINGS = ['QPassSignals', 'QProgramSignals', 'QCatchSyscalls', 'QThreadEvents'];

/** The process that a packet after this `Hg` means; null where that is the stub's own or any. */
export function selectedProcess(memory: Memory): number | null {
  const process = memory.selected.g === null ? undefined : parseThreadId(memory.selected.g.slice(2))?.process;
  return process === undefined || process <= 0 || process === memory.pid ? null : process;
}

/** The memory after the debug server has answered `request` with `reply`. Resume packets: see `resumed`. */
export function remember(memory: Memory, request: string, reply: string): Memory {
  if (request.startsWith('qSupported')) return { ...memory, supported: request };
  if (request.startsWith('qSymbol:')) return symbolAnswered(memory, request);
  if (reply !== 'OK') return memory;
  const name = SETTINGS.find((setting) => request.startsWith(setting));
  if (name) return { ...memory, settings: { ...memory.settings, [name]: request } };
  if (request.startsWith('Hg')) return { ...memory, selected: { ...memory.selected, g: request } };
  if (request.startsWith('Hc')) return { ...memory, selected: { ...memory.selected, c: request } };
  if (/^[zZ][0-4],/.test(request) && selectedProcess(memory) === null)
    return { ...memory, breakpoints: breakpointsAfter(memory.breakpoints, request) };
  if (request.startsWith('D;')) return childGone(memory, Number.parseInt(request.slice(2), 16));
  return memory;
}

/** `Z0,401136,1;X3,220027` and `z0,401136,1` mean the same breakpoint. */
export const breakpointKey = (packet: string): string => packet.slice(1).split(';')[0]!;

function breakpointsAfter(breakpoints: string[], request: string): string[] {
  const key = breakpointKey(request);
  if (request.startsWith('z')) return breakpoints.filter((packet) => breakpointKey(packet) !== key);
  // Inserted anew, e.g. with another condition, it keeps its place.
  if (!breakpoints.some((packet) => breakpointKey(packet) === key)) return [...breakpoints, request];
  return breakpoints.map((packet) => (breakpointKey(packet) === key ? request : packet));
}

/** Would this packet make the memory larger than what travels with a job? */
export function exceeds({ breakpoints }: Memory, packet: string): boolean {
  if (!packet.startsWith('Z')) return false;
  const bytes = breakpoints.reduce((sum, { length }) => sum + length, packet.length);
  return breakpoints.length >= MAX_BREAKPOINTS || bytes > MAX_BREAKPOINT_BYTES;
}

function symbolAnswered(memory: Memory, request: string): Memory {
  const [, value, name] = request.split(':');
  if (!name) return { ...memory, offersSymbols: true };
  if (Object.keys(memory.symbols).length >= MAX_SYMBOLS) return memory;
  return { ...memory, symbols: { ...memory.symbols, [name]: value ?? '' } };
}

const childGone = (memory: Memory, child: number): Memory => ({
  ...memory,
  children: memory.children.filter((pid) => pid !== child),
});

/** The client lets the process run with `packet`. A vfork lasts until its child has let the parent go. */
export const resumed = (memory: Memory, packet: string): Memory => ({
  ...memory,
  running: true,
  resume: packet,
  event: memory.event === 'vfork' ? 'vfork' : null,
});

/** The resume with which the process runs on as it last ran. The signal that it was given then has been delivered. */
export const sameAgain = ({ resume }: Memory): string => withoutSignal(resume ?? 'vCont;c');

/** The memory after `stop` has been reported to the client. */
export function stopReported(memory: Memory, stop: Stop): Memory {
  const parsed = parseStopReply(stop.reply);
  const thread = parsed && 'thread' in parsed ? parsed.thread : undefined;
  const next: Memory = {
    ...memory,
    running: false,
    interrupted: false,
    stop,
    selected: thread === undefined ? memory.selected : { ...memory.selected, g: `Hg${thread}` },
  };
  if (parsed?.kind !== 'stop') return next;
  if (parsed.reason === 'exec') return { ...next, event: 'exec', breakpoints: [], symbols: {} };
  if (parsed.reason === 'vforkdone' || parsed.reason === 'syscall_entry')
    return { ...next, event: parsed.reason };
  if (parsed.reason !== 'fork' && parsed.reason !== 'vfork') return next;
  const child = parseThreadId(parsed.detail ?? '')?.process;
  const children = child === undefined ? next.children : [...next.children, child];
  return { ...next, event: parsed.reason, children };
}

/** Stops inside a system call, around which nothing can be parked: a child or a new program comes into being. */
export const isForkEvent = (stop: StopReply | null): boolean =>
  stop?.kind === 'stop' && ['fork', 'vfork', 'vforkdone', 'exec'].includes(stop.reason ?? '');

/** Stops that come again by themselves when the process runs on. */
export const comesAgain = (stop: StopReply | null): boolean =>
  stop?.kind === 'stop' && (stop.reason === 'swbreak' || stop.reason === 'hwbreak');

/** The signal of a stop that is the program's own (gdb's number), or null: traps and debuggers' stops are not. */
export function programSignal(stop: StopReply | null): number | null {
  if (stop?.kind !== 'stop' || stop.reason || stop.signal === 0) return null;
  return DEBUGGERS_SIGNALS.includes(stop.signal.toString(16)) ? null : stop.signal;
}

/**
 * `QPassSignals` and `QProgramSignals` as they are sent to the debug server: without SIGSTOP, which is how the stub stops
 * the process, so that it must always be reported and never be delivered on leaving.
 */
export function withoutStopSignal(packet: string): string {
  const [name, list = ''] = packet.split(':');
  const signals = list.split(';').filter((signal) => signal !== '' && signal.toLowerCase() !== STOP_SIGNAL);
  return `${name}:${signals.join(';')}`;
}

export const isSignalList = (packet: string): boolean => /^Q(Pass|Program)Signals/.test(packet);

/** Does the client want SIGSTOP to reach the program without hearing of it? */
export const passesStopSignal = (memory: Memory): boolean =>
  (memory.settings.QPassSignals ?? '').slice('QPassSignals:'.length).split(';').includes(STOP_SIGNAL);

/** gdb's own default: all signals but the debugger's. */
const DEFAULT_PROGRAM_SIGNALS = `QProgramSignals:${Array.from({ length: LAST_SIGNAL }, (_, index) =>
  (index + 1).toString(16),
)
  .filter((signal) => !DEBUGGERS_SIGNALS.includes(signal))
  .join(';')}`;

/** What a new debug server is sent before breakpoints are inserted, in this order. */
export function settingsPackets(memory: Memory): string[] {
  const settings = { QProgramSignals: DEFAULT_PROGRAM_SIGNALS, ...memory.settings };
  return Object.values(settings).map((packet) => (isSignalList(packet) ? withoutStopSignal(packet) : packet));
}

/** Thread ids in the way the client writes them. */
export const isMultiprocess = (memory: Memory): boolean =>
  memory.supported?.includes('multiprocess+') ?? false;
