import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { GodwitError } from '../api/errors';
import { killPid } from '../machine/proc/identity';
import { type KeptProcess, MOST_PROCESSES, type ProcessEnd } from './contract';

/** A job's supervisor prints three lines in all. */
const MAX_LINES = 64;
const MAX_LINE_BYTES = 64 * 1024;
/** Characters of a program's standard error that are kept for error messages; CRIU's own log is a file. */
const STDERR_TAIL = 4096;

export interface Start {
  key: string;
  argv: string[];
  env: Record<string, string>;
  cwd?: string | undefined;
}

/** How long the streams of a process that has ended are read. */
const LEFT_OPEN_MS = 1_000;

/** One process that must not end with the agent: its exit and the lines of its output. */
class Kept {
  readonly lines: string[] = [];
  end: ProcessEnd | null = null;
  #partial = '';
  #stderr = '';
  #waiters = new Set<() => void>();

  constructor(
    readonly key: string,
    readonly child: ChildProcess,
  ) {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_TAIL);
    });
    // 'close' comes after the last line has been read; 'exit' may come before it.
    child.once('close', (code, signal) => this.#ended({ code, signal, stderr: this.#stderr }));
    child.once('exit', () => void setTimeout(() => this.#endLeftOvers(), LEFT_OPEN_MS));
  }

  #read(text: string) {
    this.#partial += text;
    for (let at = this.#partial.indexOf('\n'); at >= 0; at = this.#partial.indexOf('\n')) {
      if (this.lines.length < MAX_LINES) this.lines.push(this.#partial.slice(0, at));
      this.#partial = this.#partial.slice(at + 1);
    }
    if (this.#partial.length > MAX_LINE_BYTES) this.#partial = '';
    this.#wake();
  }

  /**
   * CRIU tests the kernel with child processes. One that is left stopped would keep the output streams open, and the
   * end of a process is known by theirs.
   */
  #endLeftOvers() {
    if (!this.end && this.child.pid !== undefined) killGroup(this.child.pid);
  }

  #ended(end: ProcessEnd) {
    this.end = end;
    this.#wake();
  }

  #wake() {
    for (const wake of this.#waiters) wake();
  }

  /** Resolves when `ready` holds; looks again after each line of output, and after the end. */
  async until<T>(ready: () => T | undefined, signal: AbortSignal): Promise<T> {
    for (;;) {
      const value = ready();
      if (value !== undefined) return value;
      await new Promise<void>((resolve, reject) => {
        const wake = () => {
          this.#waiters.delete(wake);
          signal.removeEventListener('abort', give);
          resolve();
        };
        const give = () => {
          this.#waiters.delete(wake);
          reject(new GodwitError({ code: 'cancelled', message: `no longer waiting for ${this.key}` }));
        };
        if (signal.aborted) return give();
        this.#waiters.add(wake);
        signal.addEventListener('abort', give, { once: true });
      });
    }
  }
}

/** Starts it as the leader of a session, and so of a process group, of its own. Some errors are thrown at once. */
function begin(program: string, args: string[], where: Pick<Start, 'env' | 'cwd'>): ChildProcess {
  try {
    return spawn(program, args, { ...where, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    throw cannotStart(program, (error as Error).message);
  }
}

const cannotStart = (program: string, why: string) =>
  new GodwitError({ code: 'cannot-start', message: `${program} can't be started: ${why}` });

const killGroup = (leader: number): void => killPid(-leader);

export class Processes {
  readonly #kept = new Map<string, Kept>();

  async start({ key, argv, env, cwd }: Start): Promise<{ pid: number }> {
    const known = this.#kept.get(key);
    // Asked again after a cut connection: the first answer stands.
    if (known?.child.pid !== undefined) return { pid: known.child.pid };
    if (this.#kept.size >= MOST_PROCESSES)
      throw new GodwitError({
        code: 'keeper-full',
        message: `the keeper has ${MOST_PROCESSES} processes already`,
      });
    const [program, ...args] = argv as [string, ...string[]];
    const child = begin(program, args, { env, cwd });
    // At once, so that the next request finds it.
    this.#kept.set(key, new Kept(key, child));
    await Promise.race([
      once(child, 'spawn'),
      once(child, 'error').then(([error]) => {
        this.#kept.delete(key);
        throw cannotStart(program, error.message);
      }),
    ]);
    return { pid: child.pid! };
  }

  async line(key: string, index: number, signal: AbortSignal): Promise<{ line: string | null }> {
    const kept = this.#get(key);
    const line = await kept.until(() => kept.lines[index] ?? (kept.end ? null : undefined), signal);
    return { line };
  }

  async wait(key: string, signal: AbortSignal): Promise<ProcessEnd> {
    const kept = this.#get(key);
    return kept.until(() => kept.end ?? undefined, signal);
  }

  /** SIGKILL goes to its whole process group. */
  signal(key: string, signal: NodeJS.Signals) {
    const { child, end } = this.#get(key);
    if (end) return {};
    if (signal === 'SIGKILL') killGroup(child.pid!);
    else child.kill(signal);
    return {};
  }

  list(): { processes: KeptProcess[] } {
    const processes = [...this.#kept.values()].map(({ key, child, end }) => ({ key, pid: child.pid!, end }));
    return { processes };
  }

  /** One that runs and is none of these; null where there is none. */
  runningBut(others: ReadonlySet<string>): string | null {
    const found = [...this.#kept.values()].find(({ key, end }) => !end && !others.has(key));
    return found?.key ?? null;
  }

  forget(key: string) {
    const kept = this.#kept.get(key);
    if (kept && !kept.end)
      throw new GodwitError({
        code: 'still-running',
        message: `${key} has not ended, so it can't be forgotten`,
      });
    this.#kept.delete(key);
    return {};
  }

  #get(key: string): Kept {
    const kept = this.#kept.get(key);
    if (!kept)
      throw new GodwitError({ code: 'no-such-process', message: `the keeper has no process ${key}` });
    return kept;
  }
}
