/** A stub as a value: what a debugger has set at its server, in a form that travels with the job's image. */
import { z } from 'zod';
import { SessionState } from '../link/session';
import { MAX_PACKET } from '../rsp/codec';

/** Packets of a client that may wait for a stub. A debugger waits for each answer before it asks on. */
export const MAX_WAITING = 64;
/** Open files of a client: gdb has a handful, the program and what it links to. */
export const MAX_FILES = 256;
/** Kinds of settings (memory.ts). */
const MAX_SETTINGS = 16;
/** More threads than this would take a park longer than anyone waits. */
export const MAX_THREADS = 65_536;
/** gdb inserts one for each location of each breakpoint. */
export const MAX_BREAKPOINTS = 16_384;
/** Of all their packets: conditions are some dozens of bytes long. */
export const MAX_BREAKPOINT_BYTES = 4 << 20;
/** thread_db asks for some sixty symbols. */
export const MAX_SYMBOLS = 1000;
/** Of hexadecimal text: names of C, and paths. */
const MAX_NAME = 8192;

const Packet = z.string().max(MAX_PACKET);
/** `pPID.TID` or `TID` in hex, as the client writes them. */
const ThreadName = z.string().max(64);

/** An object with so many keys at the most. */
const few = <T extends z.ZodType>(most: number, value: T) =>
  z
    .record(z.string().max(MAX_NAME), value)
    .refine((all) => Object.keys(all).length <= most, `more than ${most}`);

/** A stop of a thread; `siginfo` is its siginfo_t as `qXfer:siginfo:read` gave it, if it could be read. */
export const Stop = z.strictObject({ reply: Packet, siginfo: Packet.nullable() });
export type Stop = z.infer<typeof Stop>;

/** A thread's general registers, in the form that registers.ts gives them. */
export const ThreadRegisters = z.strictObject({ thread: ThreadName, general: z.string().max(4096) });
export type ThreadRegisters = z.infer<typeof ThreadRegisters>;

/** A signal that the client wants delivered to a thread when that runs next; in gdb's numbering. */
export const OwedSignal = z.strictObject({ thread: ThreadName, signal: z.int().min(1).max(255) });
export type OwedSignal = z.infer<typeof OwedSignal>;

/** What the stub remembers of the conversation between the client and its debug server. */
export const Memory = z.strictObject({
  /** The process, as it is numbered inside the job. */
  pid: z.int().min(1),
  /** The client's `qSupported`, whole. */
  supported: Packet.nullable(),
  /** `QPassSignals` and the like by their names, whole. */
  settings: few(MAX_SETTINGS, Packet),
  /** The last `Hg` and `Hc`, whole; a stop selects its thread for `Hg`. */
  selected: z.strictObject({ g: Packet.nullable(), c: Packet.nullable() }),
  /** `Z` packets in the order of insertion. */
  breakpoints: z.array(Packet).max(MAX_BREAKPOINTS),
  /** Did the client offer to look up symbols, and what it answered: hex value by hex name. */
  offersSymbols: z.boolean(),
  symbols: few(MAX_SYMBOLS, z.string().max(MAX_NAME)),
  /** Open files by their `vFile` descriptor. */
  files: few(MAX_FILES, z.string().max(MAX_NAME)),
  /** The last stop that the client knows of. */
  stop: Stop.nullable(),
  /** Does the process run, as the client knows it; and the packet that made it run last. */
  running: z.boolean(),
  resume: Packet.nullable(),
  /** The client has asked for a stop and has not seen one. */
  interrupted: z.boolean(),
  /** A stop inside a system call that the client has not dealt with to its end. */
  event: z.enum(['fork', 'vfork', 'vforkdone', 'exec', 'syscall_entry']).nullable(),
  /** Its child processes that its debug server still traces. */
  children: z.array(z.int()).max(1024),
  /** Stops that have not been reported to the client yet. */
  pending: z.array(Stop).max(MAX_THREADS),
  owedSignals: z.array(OwedSignal).max(MAX_THREADS),
  /** The client wants a debugger for each child that it lets go. */
  followsChildren: z.literal(true).optional(),
});
export type Memory = z.infer<typeof Memory>;

export const ParkedStub = z.strictObject({
  session: z.string().min(1).max(200),
  link: SessionState.nullable(),
  memory: Memory,
  /** Registers of every thread, read when they were last stopped; none before the first attach. */
  registers: z.array(ThreadRegisters).max(MAX_THREADS),
  /** Packets of the client that came while the stub was on its way. */
  waiting: z.array(Packet).max(MAX_WAITING),
  /** The client has sent its bye. */
  bye: z.boolean(),
});
export type ParkedStub = z.infer<typeof ParkedStub>;

/** The stub of a client that has sent nothing yet; `pid` as inside the job. */
export const freshStub = (session: string, pid: number): ParkedStub => ({
  session,
  link: null,
  memory: freshMemory(pid),
  registers: [],
  waiting: [],
  bye: false,
});

export const freshMemory = (pid: number): Memory => ({
  pid,
  supported: null,
  settings: {},
  selected: { g: null, c: null },
  breakpoints: [],
  offersSymbols: false,
  symbols: {},
  files: {},
  stop: null,
  running: false,
  resume: null,
  interrupted: false,
  event: null,
  children: [],
  pending: [],
  owedSignals: [],
});
