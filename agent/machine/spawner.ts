/**
 * The process that starts programs for an agent (helper/run-programs.c). To start one itself, Node copies the page tables
 * of its process (fork(2)) while all else in it stands still: some ten milliseconds for each hundred megabytes, and some
 * thirty times a move.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import { signalName } from '../api/signals';
import { type Executed, type ExecutionError, type ExecutionOptions, executeBy } from './execution';

/** As in run-programs.c. */
const RUN = 1;
const KILL = 2;
const OUTPUT = 1;
const COMPLAINT = 2;
const NOT_STARTED = 4;
/** An answer's: its length, and behind it the program's number and the kind of answer. */
const HEAD_BYTES = 12;
/** As much as the kernel takes by default (execve(2)); an order may be twice as long. */
const MOST_WORDS = 2 * 1024 * 1024;
const MOST_PRINTED = 1024 * 1024;

const numbers = (...all: number[]): Buffer => {
  const words = Buffer.alloc(4 * all.length);
  for (const [at, number] of all.entries()) words.writeInt32LE(number, 4 * at);
  return words;
};

/** Why no program can be started with these words: the kernel takes no NUL in one (execve(2)). */
function whyNot(argv: string[], words: Buffer): [code: string, why: string] | null {
  if (argv.some((word) => word.includes('\0'))) return ['EINVAL', 'there is a NUL in its arguments'];
  return words.length > MOST_WORDS ? ['E2BIG', 'its arguments are too long'] : null;
}

/** A program that runs. */
class Execution {
  readonly ended: Promise<Executed>;
  readonly #printed = { [OUTPUT]: [] as Buffer[], [COMPLAINT]: [] as Buffer[] };
  readonly #counted = { [OUTPUT]: 0, [COMPLAINT]: 0 };
  readonly #timer: NodeJS.Timeout | undefined;
  #killed: { code: string | null } | null = null;
  #resolve!: (executed: Executed) => void;
  #reject!: (error: Error) => void;

  constructor(
    private readonly argv: string[],
    private readonly options: ExecutionOptions,
    private readonly send: (signal: number) => void,
  ) {
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (options.timeout) this.#timer = setTimeout(() => this.#kill(null), options.timeout);
  }

  prints(kind: typeof OUTPUT | typeof COMPLAINT, data: Buffer): void {
    this.#printed[kind].push(Buffer.from(data));
    this.#counted[kind] += data.length;
    if (this.#counted[kind] > (this.options.maxBuffer ?? MOST_PRINTED))
      this.#kill('ERR_CHILD_PROCESS_STDIO_MAXBUFFER');
  }

  ends(status: number, signal: number): void {
    const executed = this.#executed();
    const killed = this.#killed;
    clearTimeout(this.#timer);
    if (status === 0 && signal === 0 && !killed) {
      this.#resolve(executed);
      return;
    }
    const named = signal === 0 ? null : (signalName(signal) as NodeJS.Signals);
    const code = killed?.code ?? (named ? null : status);
    this.#fail(`Command failed: ${this.argv.join(' ')}\n${executed.stderr}`, code, named);
  }

  doesNotStart(code: string, why: string): void {
    clearTimeout(this.#timer);
    this.#fail(`${this.argv[0]} can't be started: ${why}`, code, null);
  }

  #kill(code: string | null): void {
    if (this.#killed) return;
    this.#killed = { code };
    this.send(constants.signals[this.options.killSignal ?? 'SIGTERM']);
  }

  #fail(message: string, code: ExecutionError['code'], signal: NodeJS.Signals | null): void {
    const about = { ...this.#executed(), code, signal, killed: this.#killed !== null };
    this.#reject(Object.assign(new Error(message), about) satisfies ExecutionError);
  }

  #executed(): Executed {
    const text = (kind: typeof OUTPUT | typeof COMPLAINT) => Buffer.concat(this.#printed[kind]).toString();
    return { stdout: text(OUTPUT), stderr: text(COMPLAINT) };
  }
}

/** Starts programs for this process. Its own process is started with the first, and again should it have ended. */
export class Spawner {
  readonly #running = new Map<number, Execution>();
  #process: ChildProcessByStdio<Socket, Socket, null> | null = null;
  #last = 0;

  /** @param helper the program godwit-helper */
  constructor(private readonly helper: string) {}

  /** As `execute` says. */
  execute = (program: string, args: string[], options: ExecutionOptions = {}): Promise<Executed> => {
    const argv = [program, ...args];
    const words = Buffer.from(argv.map((word) => `${word}\0`).join(''));
    const notWhole = whyNot(argv, words);
    const id = ++this.#last;
    const execution = new Execution(argv, options, (signal) => this.#order(numbers(id, KILL, signal)));
    if (notWhole) execution.doesNotStart(...notWhole);
    else {
      this.#running.set(id, execution);
      this.#order(Buffer.concat([numbers(id, RUN, argv.length), words]));
    }
    return execution.ended;
  };

  #order(order: Buffer): void {
    this.#process ??= this.#start();
    this.#process.stdin.write(Buffer.concat([numbers(order.length), order]));
  }

  #start() {
    const child = spawn(this.helper, ['run-programs'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    }) as ChildProcessByStdio<Socket, Socket, null>;
    let held: Buffer = Buffer.alloc(0);
    child.stdout.on('data', (data: Buffer) => {
      held = this.#take(held.length === 0 ? data : Buffer.concat([held, data]));
    });
    // It writes and reads nothing any more; what became of its programs is not known.
    child.stdin.on('error', () => {});
    const gone = (why: string) => {
      if (this.#process !== child) return;
      this.#process = null;
      const lost = [...this.#running.values()];
      this.#running.clear();
      for (const execution of lost) execution.doesNotStart('ESRCH', why);
    };
    child.once('error', ({ message }) => gone(message));
    child.once('close', () => gone('the process that starts programs has ended'));
    // It is no reason for this process to stay.
    child.unref();
    child.stdin.unref();
    child.stdout.unref();
    return child;
  }

  /** Returns what is left of an answer that is not whole yet. */
  #take(data: Buffer): Buffer {
    let at = 0;
    while (data.length - at >= HEAD_BYTES) {
      const end = at + 4 + data.readUInt32LE(at);
      if (end > data.length) break;
      this.#answer(data.readUInt32LE(at + 4), data.readUInt32LE(at + 8), data.subarray(at + HEAD_BYTES, end));
      at = end;
    }
    return data.subarray(at);
  }

  #answer(id: number, kind: number, said: Buffer): void {
    const execution = this.#running.get(id);
    if (!execution) return;
    if (kind === OUTPUT || kind === COMPLAINT) {
      execution.prints(kind, said);
      return;
    }
    this.#running.delete(id);
    if (kind === NOT_STARTED) {
      const number = -said.readInt32LE(0);
      const [code, why] = getSystemErrorMap().get(number) ?? [`errno ${-number}`, 'unknown error'];
      execution.doesNotStart(code, why);
    } else execution.ends(said.readInt32LE(0), said.readInt32LE(4));
  }
}

/** From now on all that this process executes is started by another. @param helper the program godwit-helper */
export const startProgramsBy = (helper: string): void => executeBy(new Spawner(helper).execute);
