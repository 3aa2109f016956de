/** One gdbserver beside a process: requests and replies over its standard input and output. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { GodwitError } from '../../api/errors';
import { ProgressDeadline } from '../../machine/progress-deadline';
import { encodePacket, expandRunLength, MAX_PACKET, PacketReader } from '../rsp/codec';
import { judge } from '../rsp/requests';
import { childrenOf } from './threads';

/** Milliseconds for an answer in which gdbserver gets nothing done: it has no processor, or waits for something. */
const ANSWER_LIMIT = 30_000;
/** An answer may take as many of them while it is at work: thousands of threads on a busy machine take some. */
const MOST_LIMITS = 6;
/** Milliseconds between two looks at whether it is at work. */
const LOOK = 250;
/** Milliseconds in which a killed process is reaped. */
const END_LIMIT = 30_000;
/** Characters of its standard error that are kept, for the error message. */
const STDERR_TAIL = 2048;

export const gdbserverGone = (stderr: string) =>
  new GodwitError({
    code: 'gdbserver-gone',
    message: `gdbserver ended unexpectedly${stderr ? `: ${stderr}` : ''}`,
    fix: 'attach the debugger anew',
  });

export const gdbserverSilent = (request: string, limit: number) =>
  new GodwitError({
    code: 'gdbserver-silent',
    message: `gdbserver did not answer ${request.slice(0, 40)} within ${limit} ms`,
  });

/** What no client's request becomes; asked on the stub's own account. */
const START_NO_ACK = 'QStartNoAckMode';

const notForIt = (packet: string) =>
  new GodwitError({
    code: 'gdbserver-spared',
    message: `gdbserver is not asked ${packet.slice(0, 40)}: it is malformed or too long`,
  });

interface Waiter {
  resolve(reply: string): void;
  reject(error: GodwitError): void;
}

export class Gdbserver {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #reader = new PacketReader();
  readonly #closed: Promise<unknown>;
  /** Bytes of the largest packet that it takes, once it has announced that. */
  packetSize = MAX_PACKET;
  #waiters: Waiter[] = [];
  #acking = true;
  #stderr = '';
  #gone = false;

  constructor(argv: string[]) {
    const [program, ...args] = argv as [string, ...string[]];
    // Its standard input stays open for as long as this object is there: at an end of file gdbserver would leave, and
    // a breakpoint that is in would kill the process.
    this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    this.#closed = new Promise((resolve) => {
      this.#child.once('close', resolve);
      this.#child.once('error', (error) => {
        this.#stderr = error.message;
        resolve(null);
      });
    }).then(() => this.#end(gdbserverGone(this.stderrTail)));
    this.#child.stdin.on('error', () => {});
    this.#child.stdout.on('data', (chunk: Buffer) => this.#take(chunk));
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_TAIL);
    });
  }

  /** Resolves when gdbserver has ended, however that came. */
  get closed(): Promise<unknown> {
    return this.#closed;
  }

  get gone(): boolean {
    return this.#gone;
  }

  /** The last of what it wrote to its standard error, as one line. */
  get stderrTail(): string {
    return this.#stderr.trim().replaceAll(/\s*\n\s*/g, '; ');
  }

  /** gdbserver itself, not what has entered the namespaces for it. @throws gdbserver-gone */
  get pid(): number {
    const innermost = this.#family().at(-1);
    if (innermost === undefined) throw gdbserverGone(this.stderrTail);
    return innermost;
  }

  /** Spares the acknowledgements from here on; needed before requests are sent without awaiting each reply. */
  async startNoAck(): Promise<void> {
    await this.ask(START_NO_ACK);
    this.#acking = false;
  }

  /**
   * `limit`: milliseconds in which it gets nothing done.
   * @throws gdbserver-gone, gdbserver-silent, gdbserver-spared
   */
  async ask(request: string, limit = ANSWER_LIMIT): Promise<string> {
    const reply = this.resume(request);
    const began = performance.now();
    // Progress is looked at only once an answer takes its time: most come within a millisecond.
    let deadline: ProgressDeadline | undefined;
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<never>((_, reject) => {
      timer = setInterval(() => {
        deadline ??= new ProgressDeadline(limit, () => this.#work());
        const waited = performance.now() - began;
        if (deadline.passed || waited > MOST_LIMITS * limit)
          reject(gdbserverSilent(request, Math.round(waited)));
      }, LOOK);
    });
    try {
      return await Promise.race([reply, silence]);
    } finally {
      clearInterval(timer);
    }
  }

  /** Something that changes while it is at work: its time on a processor (Documentation/scheduler/sched-stats.rst). */
  #work(): string {
    const pid = this.#family().at(-1);
    try {
      return readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]!;
    } catch {
      return '';
    }
  }

  /** Sends a packet whose reply, a stop, comes whenever it comes. @throws gdbserver-gone */
  resume(packet: string): Promise<string> {
    if (this.#gone) return Promise.reject(gdbserverGone(this.stderrTail));
    if (!this.#takes(packet)) return Promise.reject(notForIt(packet));
    const reply = new Promise<string>((resolve, reject) => this.#waiters.push({ resolve, reject }));
    // A caller that awaits it gets the failure; the last `vCont;c` of a park is not awaited.
    reply.catch(() => {});
    this.send(packet);
    return reply;
  }

  /** Also a packet that the stub sends itself, or has brought along from another node. */
  #takes(packet: string): boolean {
    return packet === START_NO_ACK || judge(packet, this.packetSize) === 'pass';
  }

  /** Sends a packet that has no reply. @throws gdbserver-spared */
  send(packet: string): void {
    if (!this.#takes(packet)) throw notForIt(packet);
    // What is asked in one go is written in one.
    if (this.#child.stdin.writableCorked === 0) {
      this.#child.stdin.cork();
      process.nextTick(() => this.#child.stdin.uncork());
    }
    this.#child.stdin.write(encodePacket(packet));
  }

  /** Ends gdbserver at once, without detaching; the kernel does that. */
  async kill(): Promise<void> {
    const family = this.#family();
    if (family.length === 0) return;
    // Only the innermost, gdbserver itself: what entered the namespaces for it must live to reap it, for as long as
    // its zombie is there the job's PID namespace, and with it the job's PID 1, can't end.
    signal(family.at(-1)!);
    await Promise.race([this.#closed, once(AbortSignal.timeout(END_LIMIT), 'abort')]);
    if (!this.#gone) for (const member of family.reverse()) signal(member);
  }

  #family(): number[] {
    const { pid } = this.#child;
    if (pid === undefined || this.#gone) return [];
    const family = [pid];
    for (const parent of family) family.push(...childrenOf(parent));
    return family;
  }

  #take(chunk: Buffer): void {
    try {
      for (const item of this.#reader.push(chunk)) {
        if (item.kind !== 'packet') continue;
        if (this.#acking) this.#child.stdin.write('+');
        const payload = expandRunLength(item.payload);
        // Output of the program, which comes on its own console here.
        if (/^O(?!K)/.test(payload)) continue;
        this.#waiters.shift()?.resolve(payload);
      }
    } catch (error) {
      this.#stderr = (error as Error).message;
      void this.kill();
    }
  }

  #end(error: GodwitError): void {
    this.#gone = true;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }
}

function signal(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It was faster.
  }
}
