/** What a program can be stopped for besides breakpoints: what is thrown, signals, new processes and programs. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { Wanted } from './breakpoints';

interface Filter {
  label: string;
  /** In the middle of a sentence. */
  words: string;
  description: string;
  /** What gdb catches; a breakpoint where it is a function; absent for signals, which are settings of gdb's. */
  at?: Wanted['at'];
  signals?: readonly string[];
}

/** Those that end a program which does not expect them. */
const FATAL = ['SIGSEGV', 'SIGBUS', 'SIGFPE', 'SIGILL', 'SIGABRT', 'SIGSYS'];
/** Others at which gdb stops by itself. */
const OTHERS = [
  'SIGHUP',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGPIPE',
  'SIGTERM',
  'SIGTSTP',
  'SIGTTIN',
  'SIGTTOU',
  'SIGXCPU',
  'SIGXFSZ',
  'SIGPWR',
];

export const FILTERS: Readonly<Record<string, Filter>> = {
  throw: {
    label: 'C++: throw',
    words: 'a C++ exception that is thrown',
    description: 'Stops where an exception is thrown.',
    at: { caught: 'throw' },
  },
  rethrow: {
    label: 'C++: rethrow',
    words: 'a C++ exception that is thrown on',
    description: 'Stops where an exception that was caught is thrown on.',
    at: { caught: 'rethrow' },
  },
  catch: {
    label: 'C++: catch',
    words: 'a C++ exception that is caught',
    description: 'Stops where an exception is caught.',
    at: { caught: 'catch' },
  },
  'rust-panic': {
    label: 'Rust: panic',
    words: 'a Rust panic',
    description: 'Stops where a thread panics.',
    at: { function: 'rust_panic' },
  },
  'fatal-signals': {
    label: 'Fatal signals',
    words: 'a fatal signal',
    description: `Stops at ${FATAL.join(', ')}.`,
    signals: FATAL,
  },
  'other-signals': {
    label: 'Other signals',
    words: 'a signal',
    description: `Stops at ${OTHERS.join(', ')}.`,
    signals: OTHERS,
  },
  fork: {
    label: 'fork',
    words: 'a fork',
    description: 'Stops where a new process is made. A move waits until the program goes on.',
    at: { caught: 'fork' },
  },
  vfork: {
    label: 'vfork',
    words: 'a vfork',
    description: 'Stops where a new process is made that another program is to run in.',
    at: { caught: 'vfork' },
  },
  exec: {
    label: 'exec',
    words: 'an exec',
    description: 'Stops where the process begins to run another program.',
    at: { caught: 'exec' },
  },
};

/** As the editor lists them. gdb stops at signals by itself. */
export const exceptionFilters = (): DebugProtocol.ExceptionBreakpointsFilter[] =>
  Object.entries(FILTERS).map(([filter, { label, description, signals }]) => ({
    filter,
    label,
    description,
    default: signals !== undefined,
    supportsCondition: true,
    conditionDescription: signals
      ? 'an expression, for instance $_siginfo.si_code == 1'
      : 'an expression that must hold',
  }));

export interface WantedFilter {
  filter: string;
  condition: string | undefined;
}

/** What the client wants, each once. */
export function wantedFilters({
  filters,
  filterOptions = [],
}: DebugProtocol.SetExceptionBreakpointsArguments): WantedFilter[] {
  const options = filterOptions.map(({ filterId, condition }) => ({ filter: filterId, condition }));
  return [...filters.map((filter) => ({ filter, condition: undefined })), ...options];
}

/** The breakpoint that stands for it; a signal without a condition needs none. */
export function breakpointFor({ filter, condition }: WantedFilter): Wanted {
  const known = FILTERS[filter];
  if (!known) return { at: { caught: filter } };
  const at = known.at ?? { caught: `signal ${known.signals!.join(' ')}` };
  return { at, condition: condition?.trim() || undefined };
}

/** gdb's settings of signals: stopped at unless they are not wanted, or a condition decides. */
export function signalCommands(wanted: WantedFilter[]): string[] {
  return Object.entries(FILTERS).flatMap(([filter, { signals }]) => {
    if (!signals) return [];
    const stop = wanted.some((one) => one.filter === filter && !one.condition?.trim());
    return [`handle ${signals.join(' ')} ${stop ? 'stop print' : 'nostop noprint'} pass`];
  });
}

/** A signal without a condition is gdb's own affair. */
export const needsBreakpoint = ({ filter, condition }: WantedFilter): boolean =>
  FILTERS[filter]?.signals === undefined || Boolean(condition?.trim());
