/** What gdb's Python is asked about values, and what it answers (`godwit_values/command.py`). */
import { z } from 'zod';
import type { Wanted } from './expression';

/** Where somebody looks from. */
export interface At {
  thread: number;
  level: number;
}

export type ScopeName = 'locals' | 'statics' | 'registers';

/** A scope of a frame, or something that was handed out open. */
export type Holder = { scope: ScopeName; at: At; returned?: string } | { reference: number };

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

export const Children = z.object({ variables: z.array(Value) });
export const Place = z.object({ address: Address, size: z.int() });
export type Place = z.infer<typeof Place>;
export const Nothing = z.object({});

export interface Questions {
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
  assign: ((Holder & { name: string }) | { expression: string; at?: At }) & { value: Wanted };
  place: (Holder & { name: string }) | { name: string; at?: At };
  /** Nothing: an answer says that gdb knows the command. */
  known: object;
}

export const ANSWERS = {
  frames: Frames,
  children: Children,
  evaluate: Value,
  assign: Value,
  place: Place,
  known: Nothing,
};
