/** How a process ended, as a stop reply (GDB manual, "Stop Reply Packets", `W` and `X`). */
import type { Exit } from '../../api/model';
import { signalName } from '../../api/signals';
import { isMultiprocess } from './memory';
import type { Memory } from './parked';

/** gdb's numbers (include/gdb/signals.def) where they are not the kernel's. */
const GDB_SIGNALS: Record<string, number> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGBUS: 10,
  SIGSEGV: 11,
  SIGSYS: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGURG: 16,
  SIGSTOP: 17,
  SIGTSTP: 18,
  SIGCONT: 19,
  SIGCHLD: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGIO: 23,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGWINCH: 28,
  SIGUSR1: 30,
  SIGUSR2: 31,
  SIGPWR: 32,
};
const UNKNOWN_SIGNAL = 143;

const twoDigits = (value: number): string => value.toString(16).padStart(2, '0');

export function exitReply(memory: Memory, { exit, signal }: Exit): string {
  const end = signal === null ? `W${twoDigits(exit)}` : `X${twoDigits(gdbSignal(signal, exit))}`;
  return isMultiprocess(memory) ? `${end};process:${memory.pid.toString(16)}` : end;
}

function gdbSignal(name: string, exit: number): number {
  const known = GDB_SIGNALS[name];
  if (known !== undefined) return known;
  return GDB_SIGNALS[signalName(exit - 128)] ?? UNKNOWN_SIGNAL;
}
