/**
 * General registers in the `g` packet, and what a thread's may rightly have become between a park and an unpark.
 * Layout: gdb's features/i386/64bit-core.xml, -sse.xml, -linux.xml; aarch64-core.xml. Values are little-endian hex.
 */

interface Layout {
  /** Byte ranges of the `g` packet that hold the general registers. */
  general: [number, number][];
  pc: number;
  sp: number;
  /** gdb's numbers of both, by which a stop reply tells them. */
  told: { sp: number; pc: number };
  /** Where a system call's number and result are; absent where the protocol does not carry them. */
  syscall?: { number: number; result: number };
}

const X64: Layout = {
  // rax … r15, rip, eflags, segments; orig_rax.
  general: [
    [0, 164],
    [536, 544],
  ],
  pc: 128,
  sp: 56,
  told: { sp: 7, pc: 16 },
  syscall: { number: 536, result: 0 },
};
// x0 … x30, sp, pc, cpsr.
const ARM64: Layout = { general: [[0, 268]], pc: 256, sp: 248, told: { sp: 31, pc: 32 } };

const layout = process.arch === 'arm64' ? ARM64 : X64;
const WORD = 8;

const hexSlice = (g: string, from: number, to: number): string => g.slice(2 * from, 2 * to);
const word = (g: string, at: number): bigint =>
  Buffer.from(hexSlice(g, at, at + WORD), 'hex').readBigInt64LE();

function replaced(g: string, at: number, hex: string): string {
  return g.slice(0, 2 * at) + hex + g.slice(2 * at + hex.length);
}

export const pcOf = (g: string): number => Number(word(g, layout.pc));

export interface Places {
  sp: bigint;
  pc: bigint;
}

/** Where a thread's stack and code are, from its `g` packet. */
export const placesOf = (g: string): Places => ({
  sp: BigInt.asUintN(64, word(g, layout.sp)),
  pc: BigInt.asUintN(64, word(g, layout.pc)),
});

const TOLD = /(?:^T..|;)([0-9a-f]{1,4}):([0-9a-f]{16})(?=;)/gi;

/** The same from a stop reply; null where it does not tell both. */
export function placesTold(stop: string): Places | null {
  const found = [...stop.matchAll(TOLD)].map(
    ([, number, value]) => [Number.parseInt(number!, 16), value!] as const,
  );
  const [sp, pc] = [layout.told.sp, layout.told.pc].map(
    (wanted) => found.find(([number]) => number === wanted)?.[1],
  );
  return sp === undefined || pc === undefined ? null : { sp: unsigned(sp), pc: unsigned(pc) };
}

const unsigned = (hex: string): bigint => Buffer.from(hex, 'hex').readBigUInt64LE();

export const withPc = (g: string, pc: number): string => replaced(g, layout.pc, bytesOf(BigInt(pc)));

function bytesOf(value: bigint): string {
  const bytes = Buffer.alloc(WORD);
  bytes.writeBigInt64LE(value);
  return bytes.toString('hex');
}

/** The general registers of a `g` packet, one piece of hex. */
export const generalOf = (g: string): string =>
  layout.general.map(([from, to]) => hexSlice(g, from, to)).join('');

/** The `g` packet with these general registers in it. */
export function withGeneral(g: string, general: string): string {
  let at = 0;
  let merged = g;
  for (const [from, to] of layout.general) {
    merged = replaced(merged, from, general.slice(at, at + 2 * (to - from)));
    at += 2 * (to - from);
  }
  return merged;
}

/** ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK of the kernel: interrupted, to be restarted. */
const RESTARTS = [-512n, -513n, -514n, -516n];
/** To be made anew as it was, if no handler of a signal runs. */
const RESTART_NO_HANDLER = -514n;
/** Continued by the kernel's restart block, which can't be read or restored: no copy of the thread has it. */
const RESTART_BLOCK = -516n;
const EINTR = -4n;
/** What the kernel shows as a call's result until there is one: at the stops inside of a call. */
const NO_RESULT = -38n;

/** restart_syscall(2), by which the kernel goes on with a call from its restart block. */
const RESTART_SYSCALL = 219n;
/** Those that have a restart block (linux/restart_block.h): poll, nanosleep, futex, clock_nanosleep. */
const RESTARTED_BY_BLOCK = [7n, 35n, 202n, 230n];
/** `mov $NUMBER,%eax; syscall` */
const CALL = { opcode: 0xb8, instruction: 0x050f, bytes: 7 };

/**
 * A thread whose call has been interrupted before makes restart_syscall(2) in its place, and the registers no longer say
 * which call that is. Where is the code that says it (`callNumber`)? Null for every other thread.
 */
export function codeOfRestart(g: string, general: string): { address: number; length: number } | null {
  if (!layout.syscall) return null;
  const before = withGeneral(g, general);
  const [number, result] = [word(before, layout.syscall.number), word(before, layout.syscall.result)];
  const isInterrupted = number === RESTART_SYSCALL && result === RESTART_BLOCK;
  // Stopped before it makes the call: `pc` is at the instruction and not behind it.
  const isAboutTo = result === RESTART_SYSCALL;
  if (!isInterrupted && !isAboutTo) return null;
  const end = pcOf(before) + (isAboutTo ? 2 : 0);
  return { address: end - CALL.bytes, length: CALL.bytes };
}

/** The number of the call that this code makes, if it is one that the kernel restarts by a block; or null. */
export function callNumber(code: Buffer): bigint | null {
  if (code.length !== CALL.bytes || code[0] !== CALL.opcode || code.readUInt16LE(5) !== CALL.instruction)
    return null;
  const number = BigInt(code.readUInt32LE(1));
  return RESTARTED_BY_BLOCK.includes(number) ? number : null;
}

/**
 * The registers a thread must have, or null if those it has are right. A thread that was in an interrupted system
 * call comes back at the call's instruction, or with EINTR: its old registers make the kernel restart it all the
 * same, a call with a relative timeout anew. But one whose call has come to its end meanwhile keeps the result.
 *
 * @param restarted the call that restart_syscall(2) was made for, where that is known
 */
export function restoredRegisters(
  g: string,
  general: string,
  restarted: bigint | null = null,
): string | null {
  const before = withGeneral(g, general);
  if (layout.syscall && restarted !== null && word(before, layout.syscall.result) === RESTART_SYSCALL)
    return replaced(before, layout.syscall.result, bytesOf(restarted));
  if (generalOf(g) === general) return null;
  if (layout.syscall) {
    const { number, result } = layout.syscall;
    const wasInterrupted = word(before, number) >= 0n && RESTARTS.includes(word(before, result));
    const wasInside = word(before, number) >= 0n && word(before, result) === NO_RESULT;
    const hasReturned = pcOf(g) === pcOf(before) && ![...RESTARTS, EINTR].includes(word(g, result));
    if ((wasInterrupted || wasInside) && hasReturned) return null;
    // With RESTART_BLOCK a copy's call would return early, with EINTR.
    if (wasInterrupted && word(before, result) === RESTART_BLOCK) {
      const anew = replaced(before, result, bytesOf(RESTART_NO_HANDLER));
      return restarted === null ? anew : replaced(anew, number, bytesOf(restarted));
    }
  }
  return before;
}
