/** Where the threads of a job stand, as its host tells it. */
import { z } from 'zod';
import { list } from './bounded';
import { Span } from './model';

/** Processes and threads of one job that are read at once. */
export const MOST_PROCESSES_READ = 1_024;
export const MOST_THREADS_READ = 16_384;
/** Of one stack: those that are looked at, and one that stands for the rest. */
const MOST_FRAMES = 257;
const MOST_TEXT = 1_000;
const Text = z.string().max(MOST_TEXT);

export const Frame = z.object({
  /** Its name; without one, where it is in its program or library. */
  function: Text,
  file: Text.nullable(),
  line: z.int().nullable(),
  /** Of the program itself, and of no library of the machine's. */
  own: z.boolean(),
});
export type Frame = z.infer<typeof Frame>;

/** Numbers are the job's own. */
export const StandingThread = z.object({
  pid: z.int().min(1),
  tid: z.int().min(1),
  name: z.string().max(64),
});
export type StandingThread = z.infer<typeof StandingThread>;

/** Why it is not known where a process or a thread stands. */
export const WhyUnread = z.enum([
  'debugged',
  'refused',
  'narrow',
  'many',
  'room',
  'asleep',
  'late',
  'unreadable',
]);
export type WhyUnread = z.infer<typeof WhyUnread>;

/** `tid`: null where it is the whole process. */
export const Unread = z.object({ pid: z.int().min(1), tid: z.int().min(1).nullable(), why: WhyUnread });
export type Unread = z.infer<typeof Unread>;

export const Stack = z.object({
  /** The innermost first. */
  frames: list(Frame, { least: 1, most: MOST_FRAMES }),
  threads: list(StandingThread, { least: 1, most: MOST_THREADS_READ }),
});
export type Stack = z.infer<typeof Stack>;

export const JobStacks = z.object({
  /** Those that most threads have come first. */
  stacks: list(Stack, { most: MOST_THREADS_READ }),
  unread: list(Unread, { most: MOST_THREADS_READ }),
  /** Threads that there was no room for here. */
  more: z.int().min(0),
  /** How long a process stood still while it was read: the longest of them. */
  standstillMs: Span,
});
export type JobStacks = z.infer<typeof JobStacks>;
