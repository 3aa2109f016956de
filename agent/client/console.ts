/** A job's console, copied: each byte once, in order, also when the agent ends meanwhile. */
import type { Duplex } from 'node:stream';
import { asGodwitError } from '../api/errors';
import { type Agent, ask, askThroughRestarts, type Restarts } from './agent';
import { left } from './errors';

/** Resolves when the bytes are taken; the next ones are read only then. */
export type Write = (chunk: Buffer) => Promise<void>;

export interface Part {
  /** The first byte that is wanted. */
  from?: number;
  /** Aborting it ends the copy with the error `left`. */
  signal?: AbortSignal;
  /** Called with the number of bytes that are not kept any more, where some that would come next are not. */
  cut?: (bytes: number) => void;
}

/** All that there is now. @throws GodwitError whatever the agent refuses */
export function copyConsole(socket: string, job: string, write: Write, part: Part = {}): Promise<void> {
  return ask(socket, (agent) => new Copy(job, write, false, part).goOn(agent));
}

/**
 * All that there is and will be, until the job has ended.
 * @throws GodwitError `agent-gone`, and whatever the agent refuses
 */
export function followConsole(
  socket: string,
  job: string,
  write: Write,
  restarts: Restarts = {},
  part: Part = {},
): Promise<void> {
  const copy = new Copy(job, write, true, part);
  return askThroughRestarts(socket, (agent) => copy.goOn(agent), restarts);
}

class Copy {
  /** Bytes that have been taken, were not wanted, or are not kept. */
  private offset: number;

  constructor(
    private job: string,
    private readonly write: Write,
    private readonly follow: boolean,
    private readonly part: Part,
  ) {
    this.offset = part.from ?? 0;
  }

  /** Copies from where it has got to. */
  async goOn(agent: Agent): Promise<void> {
    for (;;) {
      const ticket = await this.ask(agent);
      try {
        return await this.copy(await agent.openStream(ticket));
      } catch (error) {
        // A program that prints faster than this is read may have had the next bytes cut.
        const before = this.offset;
        if (asGodwitError(error).code !== 'stream-cut') throw error;
        await this.ask(agent);
        if (this.offset === before) throw error;
      }
    }
  }

  private async ask(agent: Agent): Promise<string> {
    const { job, offset, follow } = this;
    const { ticket, id, from } = await agent.call('jobs.console', { job, offset, follow });
    // A name may mean another job later on.
    this.job = id;
    if (from > offset) {
      this.part.cut?.(from - offset);
      this.offset = from;
    }
    return ticket;
  }

  private async copy(stream: Duplex): Promise<void> {
    const { signal } = this.part;
    const leave = () => stream.destroy(left());
    signal?.addEventListener('abort', leave, { once: true });
    if (signal?.aborted) leave();
    // At its end the stream is still this side's to end.
    for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      await this.write(chunk);
      this.offset += chunk.length;
    }
    signal?.removeEventListener('abort', leave);
    await new Promise<void>((resolve) => stream.end(() => resolve()));
  }
}
