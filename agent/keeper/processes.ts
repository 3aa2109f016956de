import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { GodwitError } from '../api/errors';
import { killPid } from '../machine/proc/identity';
import { type HeldProcess, MOST_HELD, type ProcessEnd } from './contract';

/** A job's supervisor says three lines in its life; whoever says more is broken. */
const MAX_LINES = 64;
const MAX_LINE_BYTES = 64 * 1024;
/** Enough for the last words of a program; CRIU's long story is in its log file. */
const STDERR_TAIL = 4096;

export interface Start {
  key: string;
  argv: string[];
  env: Record<string, string>;
  cwd?: string | undefined;
}

/** In which the streams of a process that has ended are read to their end. */
const LEFT_OPEN_MS = 1_000;

/** One process that must not die with the agent: its exit and its words. */
class Held {
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
   * CRIU tries the kernel out with children of its own, and one that is left stopped would keep the streams open by
   * whose end this one's end is known.
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

  /** Resolves when `ready` holds; looks again each time the process has said or done something. */
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

/** Each is started as the leader of a session, so of a group, of its own. */
/** Errors for which the program is not to blame are thrown at once. */
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
  readonly #held = new Map<string, Held>();

  async start({ key, argv, env, cwd }: Start): Promise<{ pid: number }> {
    const known = this.#held.get(key);
    // Asked again after a cut connection: the first answer stands.
    if (known?.child.pid !== undefined) return { pid: known.child.pid };
    if (this.#held.size >= MOST_HELD)
      throw new GodwitError({
        code: 'keeper-full',
        message: `the keeper holds ${MOST_HELD} processes already`,
      });
    const [program, ...args] = argv as [string, ...string[]];
    const child = begin(program, args, { env, cwd });
    // At once, so that whatever is asked of it next finds it.
    this.#held.set(key, new Held(key, child));
    await Promise.race([
      once(child, 'spawn'),
      once(child, 'error').then(([error]) => {
        this.#held.delete(key);
        throw cannotStart(program, error.message);
      }),
    ]);
    return { pid: child.pid! };
  }

  async line(key: string, index: number, signal: AbortSignal): Promise<{ line: string | null }> {
    const held = this.#get(key);
    const line = await held.until(() => held.lines[index] ?? (held.end ? null : undefined), signal);
    return { line };
  }

  async wait(key: string, signal: AbortSignal): Promise<ProcessEnd> {
    const held = this.#get(key);
    return held.until(() => held.end ?? undefined, signal);
  }

  /** SIGKILL goes to its whole process group. */
  signal(key: string, signal: NodeJS.Signals) {
    const { child, end } = this.#get(key);
    if (end) return {};
    if (signal === 'SIGKILL') killGroup(child.pid!);
    else child.kill(signal);
    return {};
  }

  list(): { processes: HeldProcess[] } {
    const processes = [...this.#held.values()].map(({ key, child, end }) => ({ key, pid: child.pid!, end }));
    return { processes };
  }

  forget(key: string) {
    const held = this.#held.get(key);
    if (held && !held.end)
      throw new GodwitError({
        code: 'still-running',
        message: `${key} has not ended, so it can't be forgotten`,
      });
    this.#held.delete(key);
    return {};
  }

  #get(key: string): Held {
    const held = this.#held.get(key);
    if (!held) throw new GodwitError({ code: 'no-such-process', message: `the keeper holds no ${key}` });
    return held;
  }
}
