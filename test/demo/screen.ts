/** The demonstration as it is seen in a terminal, or in a file when it goes to one. */
import type { MoveReport } from '../../agent/api/model';
import type { Teller } from '../support/teller';

/** What gdb says is shown so far; most of it fits. */
const MAX_ANSWER_LINES = 8;
const MAX_WIDTH = 110;
const TICK_MS = 100;

type Style = 'bold' | 'dim' | 'green' | 'red' | 'cyan' | 'yellow';
const CODES: Record<Style, number> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 };

export const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

/** As `godwit` shows sizes. */
export const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

export class Screen implements Teller {
  readonly #terminal = process.stdout.isTTY === true;
  readonly #colours = this.#terminal && !process.env.NO_COLOR && process.env.TERM !== 'dumb';
  /** Long paths, and what is shown for them. */
  readonly #short: [string, string][] = [];

  shorten(path: string, shown: string): void {
    this.#short.push([path, shown]);
  }

  title(text: string, below: string): void {
    this.#put('');
    this.#put(this.#in('bold', text));
    this.#put(below);
    this.#put('');
  }

  step(number: number, title: string): void {
    this.#put('');
    this.#put(this.#in('bold', `${number}  ${title}`));
  }

  shell(command: string): void {
    this.#put(`   ${this.#in('dim', '$')} ${this.#in('cyan', command)}`);
  }

  gdb(command: string, answer: string, who?: string): void {
    this.#put(`   ${this.#in('dim', who ? `(${who})` : '(gdb)')} ${this.#in('cyan', command)}`);
    this.#said(answer);
  }

  answer(answer: string, who = 'gdb'): void {
    this.#put(`   ${this.#in('dim', `(${who})`)}`);
    this.#said(answer);
  }

  #said(answer: string): void {
    const lines = answer.split('\n').filter((line) => line.trim());
    for (const line of lines.slice(0, MAX_ANSWER_LINES)) this.#put(`         ${line.replaceAll('\t', '  ')}`);
    const left = lines.length - MAX_ANSWER_LINES;
    if (left > 0) this.#put(this.#in('dim', `         … and ${left} lines more`));
  }

  moved({ from, to, freezeMs, totalMs, bytes, phases }: MoveReport): void {
    const figures = `frozen ${Math.round(freezeMs)} ms, ${Math.round(totalMs)} ms in all, ${megabytes(bytes)}`;
    this.#put(`   ${this.#in('yellow', `${from} → ${to}`)}  ${figures}`);
    const parts = Object.entries(phases).map(([phase, ms]) => `${phase} ${Math.round(ms)}`);
    this.#put(this.#in('dim', `         ${parts.join(' · ')} ms`));
  }

  saw(fact: string): void {
    this.#put(`   ${this.#in('green', '✓')} ${fact}`);
  }

  /** What a command printed, whole: a terminal breaks lines that are too long for it. */
  lines(text: string): void {
    for (const line of text.trimEnd().split('\n')) this.say(`   ${line}`);
  }

  say(text = ''): void {
    process.stdout.write(`${text}\n`);
  }

  took(ms: number): void {
    this.#put(this.#in('dim', `   ${seconds(ms)}`));
  }

  failed(text: string): void {
    this.#put('');
    // Whole: here is what a person needs.
    process.stdout.write(`${this.#in('red', '✗')} ${this.#shortened(text)}\n`);
  }

  /** In a terminal the time that passes is seen; elsewhere one line says what is waited for. */
  async waiting<T>(what: string, work: Promise<T>): Promise<T> {
    const began = Date.now();
    const show = () => {
      const text = clipped(`   … ${what}, ${seconds(Date.now() - began)}`);
      process.stdout.write(`\r\x1b[K${this.#in('dim', text)}`);
    };
    if (!this.#terminal) this.#put(`   … ${what}`);
    const timer = this.#terminal ? setInterval(show, TICK_MS) : undefined;
    try {
      return await work;
    } finally {
      clearInterval(timer);
      if (this.#terminal) process.stdout.write('\r\x1b[K');
    }
  }

  #put(line: string): void {
    process.stdout.write(`${clipped(this.#shortened(line))}\n`);
  }

  #shortened(text: string): string {
    return this.#short.reduce((sofar, [path, shown]) => sofar.replaceAll(path, shown), text);
  }

  #in(style: Style, text: string): string {
    return this.#colours ? `\x1b[${CODES[style]}m${text}\x1b[0m` : text;
  }
}

/** Colours take no room, and a line that is cut ends without one. */
function clipped(line: string): string {
  const width = Math.max(40, Math.min(process.stdout.columns ?? MAX_WIDTH, MAX_WIDTH));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escapes of colours
  const parts = line.split(/(\x1b\[\d+m)/);
  let room = width;
  let out = '';
  for (const part of parts) {
    if (part.startsWith('\x1b[')) out += part;
    else if (part.length <= room) {
      out += part;
      room -= part.length;
    } else {
      if (room > 0) out += `${part.slice(0, room - 1)}…`;
      room = 0;
    }
  }
  return out;
}
