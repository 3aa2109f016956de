/** Programs that a test or the demonstration starts: bounded in time and output, and none outlives it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** More than any program here prints; what prints without end is cut off, not kept. */
const MAX_OUTPUT = 16 * 1024 * 1024;

const running = new Set<ChildProcess>();

export interface Launch {
  cwd?: string | undefined;
  env?: Record<string, string> | undefined;
}

/** Starts a program in a session of its own: a Ctrl-C in the terminal is this process's affair alone. */
export function launch(argv: readonly string[], { cwd, env }: Launch = {}): ChildProcess {
  const child = spawn(argv[0]!, argv.slice(1), {
    cwd,
    env: { ...process.env, ...env },
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  running.add(child);
  child.once('close', () => running.delete(child));
  child.once('error', () => running.delete(child));
  // It may end before it has read all.
  child.stdin?.on('error', () => {});
  return child;
}

/** Kills a program that was launched here, with all that it started in its session's first group. */
export function end(child: ChildProcess): void {
  if (child.pid === undefined || !running.has(child)) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** Kills all that was launched here and still runs. */
export function endAll(): void {
  for (const child of running) end(child);
}

export interface Outcome {
  /** 128 + the signal's number where one ended it, as shells have it; -1 where it could not start. */
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end. @throws Error when it takes longer than `limitMs` or can't be started */
export function run(
  argv: readonly string[],
  { limitMs = 180_000, ...options }: Launch & { limitMs?: number | undefined } = {},
): Promise<Outcome> {
  const child = launch(argv, options);
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      if (output[name].length < MAX_OUTPUT) output[name] += text;
    });
  child.stdin?.end();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      end(child);
      const said = `${output.stdout}${output.stderr}`.trim().slice(-1000);
      reject(new Error(`\`${argv.join(' ')}\` did not end within ${limitMs} ms; it said: ${said}`));
    }, limitMs);
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve({ status: code ?? 128, ...output });
    });
  });
}

/** The processes of this machine that run the file at `program`. */
export function copiesOf(program: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && runs(name, program))
    .map(Number);
}

/** A process's command line, its words separated by zeros; empty if it has ended. */
export function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

function isAlive(pid: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/exe`) !== '';
  } catch {
    return false;
  }
}

function runs(pid: string, program: string): boolean {
  try {
    // A job sees the file through a root of its own; the path in there is the same.
    return readlinkSync(`/proc/${pid}/exe`).endsWith(program);
  } catch {
    return false;
  }
}

/** The arguments of each process that on this machine that is given something in the folder. */
export function processesOf(folder: string): string[][] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isAlive(name));
  return pids.map(argumentsOf).filter((argv) => argv.some((argument) => argument.includes(folder)));
}

function argumentsOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
