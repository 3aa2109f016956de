/** What gdb's Python can be asked, by the name of its function in `godwit/`, and what it answers. */
import { z } from 'zod';

/** The thread and frame in which a value is read. */
export interface At {
  thread: number;
  level: number;
}

export type ScopeName = 'locals' | 'statics' | 'registers';

/** A scope of a frame, or something that was handed out open. */
export type Holder = { scope: ScopeName; at: At; returned?: string } | { reference: number };

/** What a value is to become: an expression, or parts in braces, by their order or by their names. */
export type WantedValue = { text: string } | { items: { name?: string; value: WantedValue }[] };

/** Which hits of a breakpoint count. */
export interface Hits {
  kind: 'at' | 'from' | 'until' | 'each';
  count: number;
}

export interface Questions {
  // ---- Processes, threads and steps
  /** From now on the stub keeps each child that gdb lets go. Does it know how to? */
  follow_children: object;
  /** Its file is read once more when there is another process. */
  forget_program: object;
  /** What was enabled when the program was forgotten. */
  enable_again: object;
  /** The number of the signal that ended a program of which there is a core file. */
  ended_by: object;
  threads: object;
  /** The thread is about to step. */
  remember_step: { thread: number };
  /** How many frames are above the one that the step began in; 0 if that one has returned. */
  frames_above_step: { thread: number };

  // ---- Breakpoints
  /** `parts`: texts and (`true`) expressions. */
  log_point: {
    location: string;
    parts: [string, boolean][];
    condition?: string | undefined;
    hits?: Hits | undefined;
  };
  stop_at_each: { number: number; count: number };
  /** Its hits are counted from the first. */
  log_anew: { number: number };
  /** `what`: as gdb's command `catch` has it. */
  catch: { what: string; condition?: string | undefined };
  /** What was thrown, at a stop for the filter. */
  thrown: { thread: number; filter: string };

  // ---- Places
  lines_with_code: { path: string; first: number; last: number };
  addresses_of_line: { path: string; line: number };
  go_to: { thread: number; address: string };
  calls_of_line: { at: At };
  complete: { text: string; at?: At };

  // ---- Values
  frames: { thread: number; start: number; count: number; names: boolean; values: boolean };
  children: Holder & { start?: number; count?: number; only?: 'indexed' | 'named'; letter?: string };
  evaluate: {
    expression: string;
    at?: At;
    letter?: string;
    raw?: boolean;
    elements?: string;
    /** Nothing may be called or written. */
    harmless?: boolean;
    /** All of it, for the clipboard. */
    whole?: boolean;
  };
  assign: ((Holder & { name: string }) | { expression: string; at?: At }) & { value: WantedValue };
  place: (Holder & { name: string }) | { name: string; at?: At };
}

const Address = z.string().regex(/^0x[0-9a-f]{1,16}$/);

export const Frames = z.object({
  frames: z.array(
    z.object({
      level: z.int(),
      name: z.string(),
      pc: Address,
      path: z.string().optional(),
      /** The source is on this machine. */
      there: z.boolean().optional(),
      line: z.int().optional(),
      module: z.string().optional(),
    }),
  ),
  /** How many frames have been seen so far, and whether these are all. */
  known: z.int(),
  whole: z.boolean(),
});
export type Frames = z.infer<typeof Frames>;

export const Value = z.object({
  name: z.string(),
  value: z.string(),
  type: z.string().optional(),
  reference: z.int().optional(),
  /** Parts by a number and by a name; absent where that can't be said without a walk. */
  indexed: z.int().optional(),
  named: z.int().optional(),
  memory: Address.optional(),
  /** In the program's language. */
  expression: z.string().optional(),
  kind: z.string().optional(),
  attributes: z.array(z.string()).optional(),
  failed: z.boolean().optional(),
});
export type Value = z.infer<typeof Value>;

/** Where a value is in memory, and how many bytes it has. */
export const MemoryRange = z.object({ address: Address, size: z.int() });
export type MemoryRange = z.infer<typeof MemoryRange>;

/** A function with lines of its own. */
export const Call = z.object({ function: z.string(), path: z.string() });
export type Call = z.infer<typeof Call>;

const Nothing = z.null();
const BreakpointNumber = z.int();

export const ANSWERS = {
  follow_children: z.boolean(),
  forget_program: Nothing,
  enable_again: Nothing,
  ended_by: z.int().nullable(),
  threads: z.array(z.object({ id: z.int(), name: z.string() })),
  remember_step: Nothing,
  frames_above_step: z.int(),
  log_point: BreakpointNumber,
  stop_at_each: Nothing,
  log_anew: Nothing,
  catch: BreakpointNumber,
  thrown: z.object({ type: z.string(), message: z.string() }).nullable(),
  lines_with_code: z.array(z.int()),
  addresses_of_line: z
    .object({ line: z.int(), at: z.array(z.object({ function: z.string(), address: Address })) })
    .nullable(),
  go_to: Nothing,
  calls_of_line: z.array(Call),
  complete: z.array(z.string()),
  frames: Frames,
  children: z.object({ variables: z.array(Value) }),
  evaluate: Value,
  assign: Value,
  place: MemoryRange,
} satisfies Record<keyof Questions, z.ZodType>;

export type Answer<Q extends keyof Questions> = z.output<(typeof ANSWERS)[Q]>;
