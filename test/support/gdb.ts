/** gdb's command line, driven through pipes: one answer for each command. */
import type { ChildProcess } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { end, launch } from './processes';

/** A stop, a list, a step: all but a wait for the program itself. */
const ANSWER_MS = 120_000;
/** Kept for a failure's report. */
const MAX_TRANSCRIPT = 200_000;

/** A command that gdb is busy with. */
export interface Running {
  readonly answered: boolean;
  /** What gdb said, without its prompts. @throws Error after `limitMs`, or when gdb has ended */
  result(limitMs?: number): Promise<string>;
}

export class Gdb {
  readonly #process: ChildProcess;
  #text = '';
  #transcript = '';
  #marks = 0;
  #ended = false;
  /** `news`: it said something, or it has ended. */
  readonly #events = new EventEmitter();
  #idle: Promise<unknown> = Promise.resolve();

  /** `argv` starts a gdb that reads commands from its standard input. */
  constructor(argv: readonly string[], env: Record<string, string> = {}) {
    this.#process = launch(argv, { env: { LC_ALL: 'C.UTF-8', DEBUGINFOD_URLS: '', ...env } });
    for (const stream of [this.#process.stdout, this.#process.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => this.#heard(text));
    const gone = () => {
      this.#ended = true;
      this.#events.emit('news');
    };
    this.#process.once('close', gone).once('error', gone);
  }

  /** What went both ways, the last part of it. */
  get transcript(): string {
    return this.#transcript.replace(/\n<answered \d+>\n|\(gdb\) (?=\n|\(gdb\))/g, '');
  }

  /** Waits until gdb takes commands and sets it up to be read by a program. */
  async ready(limitMs = ANSWER_MS): Promise<string> {
    const greeting = await this.start('set pagination off').result(limitMs);
    for (const setting of ['confirm off', 'width 0', 'height 0', 'style enabled off'])
      await this.do(`set ${setting}`);
    return greeting;
  }

  /** Sends a command and returns at once; the next command may be sent only when it has been answered. */
  start(command: string): Running {
    const mark = `<answered ${++this.#marks}>`;
    const before = this.#idle;
    let answered = false;
    const answer = before.then(async () => {
      this.#note(`(gdb) ${command}\n`);
      // gdb reads the second command when the first one's work is done: the program has stopped.
      this.#process.stdin?.write(`${command}\necho \\n${mark}\\n\n`);
      const text = await this.#until(mark, command);
      answered = true;
      return text;
    });
    this.#idle = answer.catch(() => {});
    return {
      get answered() {
        return answered;
      },
      result: (limitMs = ANSWER_MS) => this.#within(limitMs, command, answer),
    };
  }

  do(command: string, limitMs = ANSWER_MS): Promise<string> {
    return this.start(command).result(limitMs);
  }

  /** The value of an expression as `print` shows it, without `$1 = `. */
  async print(expression: string): Promise<string> {
    const answer = await this.do(`print ${expression}`);
    const value = /^\$\d+ = (.*)$/s.exec(answer)?.[1];
    if (value === undefined) throw new Error(`gdb answered \`print ${expression}\` with: ${answer}`);
    return value;
  }

  /** Lets gdb leave by itself, as a person would; what does not leave is killed. */
  async quit(limitMs = 60_000): Promise<void> {
    this.#process.stdin?.end('quit\n');
    const left = await Promise.race([this.#gone(), after(limitMs).then(() => 'too long')]);
    if (left) this.kill();
  }

  kill(): void {
    end(this.#process);
  }

  async #gone(): Promise<void> {
    while (!this.#ended) await once(this.#events, 'news');
  }

  #heard(text: string): void {
    this.#text += text;
    this.#note(text);
    this.#events.emit('news');
  }

  #note(text: string): void {
    this.#transcript = (this.#transcript + text).slice(-MAX_TRANSCRIPT);
  }

  async #until(mark: string, command: string): Promise<string> {
    for (;;) {
      const at = this.#text.indexOf(`\n${mark}\n`);
      if (at >= 0) {
        const answer = this.#text.slice(0, at);
        this.#text = this.#text.slice(at + mark.length + 2);
        return answer.replaceAll('(gdb) ', '').trim();
      }
      if (this.#ended) throw new Error(`gdb ended during \`${command}\`, saying: ${this.#text.trim()}`);
      await once(this.#events, 'news');
    }
  }

  async #within<T>(limitMs: number, command: string, answer: Promise<T>): Promise<T> {
    const timer = new AbortController();
    const late = after(limitMs, timer.signal).then(() => {
      const said = this.#text.trim().slice(-1000) || 'nothing';
      throw new Error(`gdb did not answer \`${command}\` within ${limitMs} ms; it said ${said}`);
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      timer.abort();
    }
  }
}

/** Like a timer of node:timers/promises, but never settles when it is given up. */
function after(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    timer.unref();
    signal?.addEventListener('abort', () => clearTimeout(timer));
  });
}
