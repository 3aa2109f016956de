/** Where the threads of several jobs stand, equal stacks together. */
import type { Frame, JobStacks, StandingThread, WhyUnread } from '../api/stacks';

export interface GroupedThread extends StandingThread {
  /** The job's id. */
  job: string;
}

/** Threads that stand alike. */
export interface StackGroup {
  stack: Frame[];
  threads: GroupedThread[];
}

/**
 * Those that most threads have come first. Stacks are equal where they have the same functions, called from the same
 * lines. Where the innermost function stands in itself may differ: then that frame has no line.
 */
export function groupStacks(jobs: readonly { job: string; stacks: JobStacks }[]): StackGroup[] {
  const groups = new Map<string, StackGroup>();
  for (const { job, stacks } of jobs) {
    for (const { frames, threads } of stacks.stacks) {
      const key = keyOf(frames);
      const group = groups.get(key) ?? { stack: [...frames], threads: [] };
      groups.set(key, group);
      const [innermost] = group.stack;
      if (innermost!.line !== frames[0]!.line) group.stack[0] = { ...innermost!, line: null };
      group.threads.push(...threads.map((thread) => ({ job, ...thread })));
    }
  }
  return [...groups.values()].sort((a, b) => b.threads.length - a.threads.length);
}

const keyOf = ([innermost, ...outer]: readonly Frame[]): string =>
  JSON.stringify([
    [innermost!.function, innermost!.file],
    ...outer.map(({ function: name, file, line }) => [name, file, line]),
  ]);

/** What people call a stack: the program's own function that is innermost, or, without one, the innermost of all. */
export function titleOf(stack: readonly Frame[]): string {
  const { function: name, file } = stack.find(({ own }) => own) ?? stack[0]!;
  // One without a name is a place in a file.
  return file === null && /[+(? ]/.test(name) ? name : `${name}()`;
}

const REASONS: Record<WhyUnread, string> = {
  debugged: 'it stands in a debugger, which shows where',
  refused: 'its user may not look into it',
  narrow: 'it is no program of 64 bits',
  many: 'it has too many threads',
  room: 'its stacks take too much room',
  asleep: 'it sleeps in the kernel, where nothing stops it',
  late: 'its symbols took too long to read',
  unreadable: 'gdb could not read it',
};

/** One line for each process or thread of which it is not known where it stands, and for those that are too many. */
export function unreadLines(job: string, { unread, more }: JobStacks): string[] {
  const lines = unread.map(({ pid, tid, why }) => {
    const what = tid === null || tid === pid ? `process ${pid}` : `thread ${tid} of process ${pid}`;
    return `${what} of job ${job} is not shown: ${REASONS[why]}`;
  });
  return more > 0
    ? [...lines, `${more} more threads of job ${job} are not shown: there are too many`]
    : lines;
}
