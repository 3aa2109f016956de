/** What single payloads of the remote serial protocol mean (GDB manual, "Packets", "Stop Reply Packets"). Pure. */
import { expandRunLength } from './codec';

/** -1 means all, 0 any. Without `process` the client does not speak the multiprocess extensions. */
export interface ThreadId {
  process?: number;
  thread: number;
}

const ID = '-1|[0-9a-f]{1,8}';
const THREAD_ID = new RegExp(`^(?:p(${ID})(?:\\.(${ID}))?|(${ID}))$`, 'i');

/** `pPID.TID`, `pPID` (all its threads) or `TID`, in hex; null for anything else. */
export function parseThreadId(text: string): ThreadId | null {
  const match = THREAD_ID.exec(text);
  if (!match) return null;
  const [, process, thread, lone] = match;
  if (process === undefined) return { thread: parseHex(lone!) };
  return { process: parseHex(process), thread: thread === undefined ? -1 : parseHex(thread) };
}

export const formatThreadId = ({ process, thread }: ThreadId): string =>
  process === undefined ? formatId(thread) : `p${formatId(process)}.${formatId(thread)}`;

const parseHex = (text: string): number => Number.parseInt(text, 16);
const formatId = (id: number): string => (id === -1 ? '-1' : id.toString(16));
const twoDigits = (value: number): string => value.toString(16).padStart(2, '0');

/** Why a thread stopped, where the reply says more than a signal. */
export const STOP_REASONS = [
  'swbreak',
  'hwbreak',
  'watch',
  'rwatch',
  'awatch',
  'fork',
  'vfork',
  'vforkdone',
  'exec',
  'syscall_entry',
  'syscall_return',
  'create',
  'library',
  'replaylog',
] as const;
export type StopReason = (typeof STOP_REASONS)[number];

export type StopReply =
  | {
      kind: 'stop';
      /** In gdb's numbering, not the kernel's. */
      signal: number;
      /** As in the reply: `pPID.TID` or `TID`. */
      thread?: string;
      reason?: StopReason;
      /** What the reply says with the reason: an address, the child's thread id, the new program in hex. */
      detail?: string;
      raw: string;
    }
  | { kind: 'exited'; status: number; process?: number; raw: string }
  | { kind: 'signalled'; signal: number; process?: number; raw: string }
  | { kind: 'thread-exited'; status: number; thread: string; raw: string }
  /** No resumed thread is left (`N`). */
  | { kind: 'none'; raw: string };

const STOP = /^[TS]([0-9a-f]{2})((?:[^:;]+:[^;]*(?:;|$))*)$/i;
const ENDED = /^([WX])([0-9a-f]+)(?:;process:([0-9a-f]+))?;?$/i;
const THREAD_ENDED = /^w([0-9a-f]+);(p?[0-9a-f.]+)$/i;

/** A stop reply's meaning, or null if the payload is none. `raw` is the payload as it came. */
export function parseStopReply(raw: string): StopReply | null {
  if (!/^[TSWXwN]/.test(raw)) return null;
  const payload = expandRunLength(raw);
  if (payload === 'N') return { kind: 'none', raw };
  const stop = STOP.exec(payload);
  if (stop) return { kind: 'stop', signal: parseHex(stop[1]!), ...parsePairs(stop[2]!), raw };
  const threadEnded = THREAD_ENDED.exec(payload);
  if (threadEnded) {
    return { kind: 'thread-exited', status: parseHex(threadEnded[1]!), thread: threadEnded[2]!, raw };
  }
  const ended = ENDED.exec(payload);
  if (!ended) return null;
  const process = ended[3] === undefined ? {} : { process: parseHex(ended[3]) };
  const number = parseHex(ended[2]!);
  return ended[1] === 'W'
    ? { kind: 'exited', status: number, ...process, raw }
    : { kind: 'signalled', signal: number, ...process, raw };
}

function parsePairs(pairs: string): { thread?: string; reason?: StopReason; detail?: string } {
  const found: { thread?: string; reason?: StopReason; detail?: string } = {};
  for (const pair of pairs.split(';')) {
    const colon = pair.indexOf(':');
    const name = pair.slice(0, colon);
    const value = pair.slice(colon + 1);
    const reason = STOP_REASONS.find((known) => known === name);
    if (name === 'thread') found.thread = value;
    else if (reason) Object.assign(found, { reason, detail: value });
  }
  return found;
}

/** The thread that a stop reply names, as the reply writes it. */
export function threadOfStop(stopReply: string): string | undefined {
  const stop = parseStopReply(stopReply);
  return stop?.kind === 'stop' ? stop.thread : undefined;
}

export const isStopReply = (payload: string): boolean => parseStopReply(payload) !== null;

/** A `T` or `S` reply with another signal (in gdb's numbering); any other payload as it is. */
export function replaceSignal(stopReply: string, signal: number): string {
  if (parseStopReply(stopReply)?.kind !== 'stop') return stopReply;
  const payload = expandRunLength(stopReply);
  return `${payload[0]}${twoDigits(signal)}${payload.slice(3)}`;
}

const PLAIN_RESUME = /^(?:[cs][0-9a-f]*|[CS][0-9a-f]{2}(?:;[0-9a-f]+)?)$/;

/** Does this packet let threads run? (`vCont?` only asks.) */
export const isResume = (payload: string): boolean =>
  payload.startsWith('vCont;') || PLAIN_RESUME.test(payload);

/** The same resume packet, delivering no signal: `C` as `c`, `S` as `s`, also in the actions of `vCont`. */
export function withoutSignal(resume: string): string {
  if (!resume.startsWith('vCont;')) {
    return resume.replace(/^([CS])[0-9a-f]{2}(?:;([0-9a-f]+))?$/, (_, action: string, address?: string) => {
      return action.toLowerCase() + (address ?? '');
    });
  }
  return resume.replace(/;([CS])[0-9a-f]{2}(?=[:;]|$)/g, (_, action: string) => `;${action.toLowerCase()}`);
}
