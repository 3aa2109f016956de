/** What the helper and gdb say while they read the stacks of a job (helper/take-stacks.c, stacks.py), line by line. */
import { z } from 'zod';
import { list } from '../../api/bounded';
import { fitting } from '../../api/lists';
import {
  Frame,
  type JobStacks,
  MOST_THREADS_READ,
  type Stack,
  type Unread,
  WhyUnread,
} from '../../api/stacks';

const Number_ = z.int().min(1);
/** Its state: 0 was read, 1 did not stop, 2 has gone. */
const SaidThread = z.tuple([Number_, z.int().min(0).max(2), z.string().regex(/^([0-9a-f]{2}){0,16}$/)]);
const [DID_NOT_STOP, HAS_GONE] = [1, 2];

const Line = z.union([
  z.object({ taken: z.literal(true) }),
  z.object({ done: z.literal(true), late: z.boolean() }),
  z.object({
    process: Number_,
    ms: z.number().min(0),
    threads: list(SaidThread, { most: MOST_THREADS_READ }),
  }),
  z.object({
    process: Number_,
    ms: z.number().min(0),
    failure: z.union([WhyUnread, z.literal('gone')]),
  }),
  z.object({ process: Number_, problem: z.string() }),
  z.object({
    stack: list(z.tuple([Frame.shape.function, Frame.shape.file, Frame.shape.line, Frame.shape.own]), {
      least: 1,
      most: 300,
    }),
    threads: list(z.tuple([Number_, Number_]), { least: 1, most: MOST_THREADS_READ }),
  }),
]);

interface Seen {
  pid: number;
  tid: number;
  name: string;
}

const keyOf = (pid: number, tid: number) => `${pid}.${tid}`;

/** All that has been said so far; who says it is a process of the job's user, so nothing is taken for granted. */
export class Said {
  /** The processes run on: what follows is about their copies. */
  taken = false;
  done = false;
  readonly #threads = new Map<string, Seen>();
  readonly #stacks: Stack[] = [];
  readonly #unread: Unread[] = [];
  #late = false;
  #standstillMs = 0;

  /** Lines that are none of these are passed over. */
  take(line: string): void {
    const parsed = Line.safeParse(parsedJson(line));
    if (parsed.success) this.#take(parsed.data);
  }

  #take(said: z.infer<typeof Line>): void {
    if ('taken' in said) this.taken = true;
    else if ('done' in said) [this.done, this.#late] = [true, said.late];
    else if ('stack' in said) this.#takeStack(said);
    else if ('problem' in said) return;
    else if ('failure' in said) {
      this.#stood(said.ms);
      if (said.failure !== 'gone') this.#unread.push({ pid: said.process, tid: null, why: said.failure });
    } else {
      this.#stood(said.ms);
      for (const [tid, state, name] of said.threads) this.#takeThread(said.process, tid, state, name);
    }
  }

  #stood(ms: number): void {
    this.#standstillMs = Math.max(this.#standstillMs, ms);
  }

  #takeThread(pid: number, tid: number, state: number, name: string): void {
    if (state === HAS_GONE || this.#threads.size + this.#unread.length >= MOST_THREADS_READ) return;
    if (state === DID_NOT_STOP) this.#unread.push({ pid, tid, why: 'asleep' });
    else this.#threads.set(keyOf(pid, tid), { pid, tid, name: Buffer.from(name, 'hex').toString() });
  }

  /** Each thread has one stack: the first that is said of it. */
  #takeStack({ stack, threads: standing }: Extract<z.infer<typeof Line>, { stack: unknown }>): void {
    const threads = standing.flatMap(([pid, tid]) => {
      const thread = this.#threads.get(keyOf(pid, tid));
      this.#threads.delete(keyOf(pid, tid));
      return thread ? [thread] : [];
    });
    const frames = stack.map(([name, file, line, own]) => ({ function: name, file, line, own }));
    if (threads.length > 0) this.#stacks.push({ frames, threads });
  }

  /** As it goes into one message. */
  result(): JobStacks {
    const stacks = this.#stacks.sort((a, b) => b.threads.length - a.threads.length);
    const shown = fitting(stacks);
    const more = stacks.slice(shown.length).reduce((sum, { threads }) => sum + threads.length, 0);
    const untold = [...this.#threads.values()].map(({ pid, tid }): Unread => {
      return { pid, tid, why: this.#late ? 'late' : 'unreadable' };
    });
    const unread = [...this.#unread, ...untold].slice(0, MOST_THREADS_READ);
    return { stacks: shown, unread, more, standstillMs: this.#standstillMs };
  }
}

function parsedJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
