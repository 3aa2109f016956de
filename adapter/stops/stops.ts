/** What gdb says when a program has stopped, in DAP's words. */
import { constants } from 'node:os';
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { Exit } from '../../agent/api/model';

/** Breakpoints are set as a whole, a group at a time: these, and each file's. */
export const FUNCTIONS = 'functions';
export const INSTRUCTIONS = 'instructions';
export const DATA = 'data';
export const EXCEPTIONS = 'exceptions';

/** A `*stopped` record. */
export interface Stopped {
  reason?: string;
  'thread-id'?: string;
  bkptno?: string;
  'signal-name'?: string;
  'signal-meaning'?: string;
  /** gdb's name for what was returned by a function that was left. */
  'gdb-result-var'?: string;
  /** Of a catchpoint's stop: what was caught. */
  'catch-type'?: string;
  newpid?: string;
  'new-exec'?: string;
  frame?: { func?: string };
  'return-value'?: string;
  /** Octal. */
  'exit-code'?: string;
}

export type StopReason = Pick<
  DebugProtocol.StoppedEvent['body'],
  'reason' | 'description' | 'text' | 'hitBreakpointIds'
>;

export interface StopContext {
  /** The client has asked for a stop. */
  pausing: boolean;
  /** gdb's number for the breakpoint at the program's entry. */
  entry: string | undefined;
  /** That the breakpoint belongs to which was hit. */
  group: string | undefined;
  /** What is caught by it, in a person's words. */
  caught?: string | undefined;
}

/** Reasons for stops that end a step. */
const STEPS: ReadonlySet<string> = new Set(['end-stepping-range', 'function-finished', 'location-reached']);
/** How gdb interrupts a program, and how that is reported by different stubs. */
const INTERRUPTS: ReadonlySet<string> = new Set(['SIGINT', 'SIGSTOP', 'SIGTRAP', '0']);

const BREAKPOINTS: Record<string, string> = {
  [FUNCTIONS]: 'function breakpoint',
  [INSTRUCTIONS]: 'instruction breakpoint',
};

/** How the process ended, if that is why it stopped. */
export function exitOf({ reason, 'exit-code': code, 'signal-name': signal = '' }: Stopped): Exit | undefined {
  if (reason === 'exited-normally') return { exit: 0, signal: null };
  if (reason === 'exited') return { exit: Number.parseInt(code ?? '0', 8), signal: null };
  if (reason !== 'exited-signalled') return undefined;
  return { exit: 128 + (constants.signals[signal as NodeJS.Signals] ?? 0), signal };
}

export function reasonOf(stopped: Stopped, { pausing, entry, group, caught }: StopContext): StopReason {
  const { reason = '', bkptno, 'signal-name': signal = '', 'signal-meaning': meaning = '' } = stopped;
  if (caught !== undefined)
    return { reason: 'exception', description: `Paused on ${caught}`, hitBreakpointIds: [Number(bkptno)] };
  if (reason === 'breakpoint-hit') {
    if (bkptno === entry) return { reason: 'entry' };
    if (group === undefined) return { reason: 'breakpoint' };
    return { reason: BREAKPOINTS[group] ?? 'breakpoint', hitBreakpointIds: [Number(bkptno)] };
  }
  if (reason.endsWith('watchpoint-trigger')) return { reason: 'data breakpoint' };
  if (STEPS.has(reason)) return { reason: 'step', ...returned(stopped) };
  if (pausing && INTERRUPTS.has(signal)) return { reason: 'pause' };
  if (reason !== 'signal-received') return { reason: 'pause', description: `Paused: ${reason}` };
  return { reason: 'exception', description: `Paused on ${signal}`, text: `${signal}: ${meaning}` };
}

/** Of a value that is shown beside a thread's name. */
const MAX_VALUE = 80;

function returned({ 'return-value': value }: Stopped): { description?: string } {
  if (value === undefined) return {};
  const short = value.length > MAX_VALUE ? `${value.slice(0, MAX_VALUE)}…` : value;
  return { description: `Paused after return of ${short}` };
}
