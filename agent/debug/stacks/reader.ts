/**
 * Reads where the threads of a job's processes stand. The helper holds each process still for a moment and copies what it
 * takes (helper/take-stacks.c); then gdb, as the job's user, makes names and lines of the copies (stacks.py).
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { GodwitError } from '../../api/errors';
import type { JobStacks } from '../../api/stacks';
import { type Owner, whose, yamaAsks } from '../attach/tools';
import { Said } from './said';

/** Seconds in which names are found; threads that are not come to by then are said to be late. */
const SECONDS = 25;
/** Seconds after which a reader that is still at work is ended. */
const MOST_SECONDS = 40;
/** The helper's exit status then. */
const LATE = 124;
/** Bytes of all that is said. */
const MOST_SAID = 64 * 1024 * 1024;
/** Characters of its standard error that are kept, for the error message. */
const STDERR_TAIL = 500;

export interface StackTools {
  /** The program godwit-helper. */
  helper: string;
  /** What is preloaded into gdb: see confined.c. */
  preload: string;
  /** For gdb's Python. */
  script: string;
  /** Its name. */
  gdb: string;
}

/** From the folder `built` (dist). */
export const stackTools = (built: string): StackTools => ({
  helper: join(built, 'godwit-helper'),
  preload: join(built, 'godwit-confined.so'),
  script: join(built, 'godwit-stacks.py'),
  gdb: 'gdb',
});

export interface Standing {
  owner: Owner;
  /** The job's PID 1 as this node numbers it. */
  init: number;
  /** The processes, as the job numbers them. */
  pids: readonly number[];
}

function argvOf(tools: StackTools, { owner, init, pids }: Standing): [string, ...string[]] {
  const ptrace = owner.uid !== 0 && yamaAsks() ? ['--ptrace'] : [];
  const settings = ['set auto-load off', 'set debuginfod enabled off', `python SECONDS = ${SECONDS}`];
  return [
    ...([tools.helper, 'take-stacks', '--init', `${init}`] as const),
    ...[...whose(owner), ...ptrace, '--preload', tools.preload, '--script', tools.script],
    ...['--seconds', `${MOST_SECONDS}`, ...pids.flatMap((pid) => ['--process', `${pid}`])],
    // No settings file is read, and nothing that a program brings along is run.
    ...['--', tools.gdb, '-nx', '-nh', '-q', '-batch'],
    ...[...settings.flatMap((setting) => ['-iex', setting])],
    ...['-ex', 'python exec(open("/script").read())'],
  ];
}

/** @param taken called when the processes are let alone @throws GodwitError `stacks-unread`, `cancelled` */
export async function readStacks(
  tools: StackTools,
  standing: Standing,
  signal: AbortSignal,
  taken: () => void,
): Promise<JobStacks> {
  const said = new Said();
  const [program, ...args] = argvOf(tools, standing);
  // Its parent ends it should it not end by itself, and must live to reap it: it is a process of the job's namespace.
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, cwd: '/' });
  const end = () => void child.kill('SIGTERM');
  signal.addEventListener('abort', end, { once: true });
  try {
    const [stderr, [code]] = await Promise.all([listen(child, said, taken, end), once(child, 'close')]);
    if (signal.aborted) throw new GodwitError({ code: 'cancelled', message: 'the stacks are not read' });
    if (!said.done) throw unread(whyOf(code, stderr));
    return said.result();
  } finally {
    signal.removeEventListener('abort', end);
  }
}

/** Takes what is said, until the end of it; returns the last of its complaints. */
async function listen(
  child: ChildProcessByStdio<null, Readable, Readable>,
  said: Said,
  taken: () => void,
  end: () => void,
): Promise<string> {
  let tail = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    tail = (tail + text).slice(-STDERR_TAIL);
  });
  let bytes = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MOST_SAID) end();
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const before = said.taken;
    said.take(line);
    if (said.taken && !before) taken();
  }
  return tail;
}

/** The exit status of what was ended by a signal is beyond this. */
const BY_SIGNAL = 128;

function whyOf(code: number | null, stderr: string): string {
  if (code === LATE) return `it took longer than ${MOST_SECONDS} s`;
  if (code === null || code > BY_SIGNAL) return 'what read it was ended';
  const said = stderr.split('\n').filter((line) => line.trim() && !/warning: /.test(line));
  return said.join('; ') || `it ended with status ${code}`;
}

const unread = (why: string) =>
  new GodwitError({
    code: 'stacks-unread',
    message: `where its threads stand could not be read: ${why}`,
    fix: 'is gdb installed on the node that it runs on? `godwit doctor` says so',
  });
