/**
 * A person's end of a job's terminal: what they type arrives once and in order, also when agents end and the job moves.
 * One piece is under way at a time, with the number of bytes typed before it, and is sent again until it is answered:
 * the receiver's count is in PID 1 of the job (helper/terminal.c), which moves with it. So no end has a session to
 * hand over, as a debugger's has (debug/link/session.ts).
 */
import { randomBytes } from 'node:crypto';
import { asGodwitError } from '../api/errors';
import type { WindowSize } from '../api/model';
import { ask, askThroughRestarts, type Restarts } from './agent';
import { followConsole, type Write } from './console';

/** Bytes typed at once: half of what a frame takes, more than a person types while a job moves. */
const PIECE_BYTES = 2_000;
/** What may wait to be typed, say a pasted text; beyond that `type` returns false. */
const MOST_WAITING_BYTES = 64 * 1024;
/** How much of what was printed before is shown at first: some screens full. */
const BACKLOG_BYTES = 16 * 1024;

export interface TerminalOptions {
  /** The agent's. */
  socket: string;
  job: string;
  write: Write;
  size: WindowSize;
  restarts?: Restarts;
}

export interface Attachable {
  id: string;
  /** It can be typed into. */
  tty: boolean;
  /** Where in its console the last screens begin, and where they end for now. */
  from: number;
  size: number;
}

/** @throws GodwitError whatever the agent refuses */
export async function findTerminal(socket: string, job: string): Promise<Attachable> {
  const params = { job, offset: 0, follow: false };
  const { id, from, size, tty } = await ask(socket, (agent) => agent.call('jobs.console', params));
  return { id, tty, size, from: Math.max(from, size - BACKLOG_BYTES) };
}

export class JobTerminal {
  /** Chosen anew each time: PID 1 of the job counts by it. */
  readonly #client = randomBytes(6).toString('hex');
  readonly #left = new AbortController();
  #waiting = Buffer.alloc(0);
  #typed = 0;
  #size: WindowSize | null = null;
  #redraw = false;
  #wake: () => void = () => {};
  #drained: (() => void) | null = null;

  constructor(private readonly options: TerminalOptions) {
    this.#size = options.size;
  }

  /**
   * Shows what the job prints from byte `from` on, until it has ended or `leave` is called.
   * @param old where what is to be drawn anew ends; absent for a job that has only begun
   * @throws GodwitError whatever the agent refuses
   */
  async show(from: number, old?: number): Promise<'ended' | 'left'> {
    const { socket, job, write, restarts = { accepted: true } } = this.options;
    this.#redraw = old !== undefined;
    const shown = old === undefined ? write : afterBacklog(old - from, from > 0, write);
    const typing = this.#type();
    try {
      await followConsole(socket, job, shown, restarts, { from, signal: this.#left.signal });
      return 'ended';
    } catch (error) {
      if (this.#left.signal.aborted) return 'left';
      throw error;
    } finally {
      this.leave();
      await typing;
    }
  }

  /**
   * @returns false when so much waits that the next had better be kept until `drained`; what comes before that is
   * taken up to as much again, and then left out
   */
  type(bytes: Uint8Array): boolean {
    if (this.#waiting.length >= 2 * MOST_WAITING_BYTES) return false;
    this.#waiting = Buffer.concat([this.#waiting, bytes]);
    this.#wake();
    return this.#waiting.length < MOST_WAITING_BYTES;
  }

  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#drained = resolve;
    });
  }

  resize(size: WindowSize): void {
    this.#size = size;
    this.#wake();
  }

  /** The job goes on without this one. */
  leave(): void {
    this.#left.abort();
    this.#wake();
  }

  /** One piece after the other, the next when the terminal has the last. */
  async #type(): Promise<void> {
    const { signal } = this.#left;
    const { socket, job, restarts = { accepted: true } } = this.options;
    const options = { signal, timeoutMs: Number.POSITIVE_INFINITY };
    try {
      await askThroughRestarts(
        socket,
        async (agent) => {
          for (;;) {
            await this.#something();
            if (signal.aborted) return;
            const piece = this.#waiting.subarray(0, PIECE_BYTES);
            const [size, redraw] = [this.#size, this.#redraw];
            const typed = { client: this.#client, at: this.#typed, bytes: piece.toString('base64') };
            await agent.call('jobs.type', { job, ...typed, ...size, redraw }, options);
            this.#taken(piece.length, size);
          }
        },
        restarts,
      );
    } catch (error) {
      // Its console ends with the job, and shows what else is wrong.
      if (!signal.aborted && asGodwitError(error).code !== 'job-ended') this.leave();
    }
  }

  #taken(bytes: number, size: WindowSize | null): void {
    this.#waiting = this.#waiting.subarray(bytes);
    this.#typed += bytes;
    if (this.#size === size) this.#size = null;
    this.#redraw = false;
    if (this.#waiting.length === 0) this.#drained?.();
  }

  async #something(): Promise<void> {
    while (!this.#left.signal.aborted && this.#waiting.length === 0 && !this.#size && !this.#redraw)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }
}

/**
 * The first `size` bytes are old: shown from a line's beginning on if they are `cut`, and without the questions in
 * them, which a terminal would answer once more, to a program that does not expect it.
 */
function afterBacklog(size: number, cut: boolean, write: Write): Write {
  let old: Buffer | null = Buffer.alloc(0);
  return async (chunk) => {
    if (!old) return write(chunk);
    old = Buffer.concat([old, chunk]);
    if (old.length < size) return;
    const begin = cut ? old.indexOf('\n') + 1 : 0;
    const shown = withoutQuestions(old.subarray(begin, size).toString('latin1'));
    const rest = old.subarray(size);
    old = null;
    await write(Buffer.concat([Buffer.from(shown, 'latin1'), rest]));
  };
}

/** Requests for reports (ECMA-48 and xterm's): attributes, status, modes, colours, capabilities. */
export const withoutQuestions = (text: string): string =>
  text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: terminals are steered by them
    /\x1b\[[>=?]?[\d;]*[cn]|\x1b\[[>?]?[\d;]*\$p|\x1b\[>\d*q|\x1b\[\?u|\x1b\[1[3-9]t|\x1b\]\d+;(?:\d+;)?\?(?:\x07|\x1b\\)|\x1bP[+$]q[^\x1b]*\x1b\\/g,
    '',
  );
