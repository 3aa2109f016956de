/** A job's console, copied: each byte once, in order, whatever becomes of the agent meanwhile. */

import { type Agent, ask, askThroughRestarts, type Restarts } from './agent';
import { left } from './errors';

/** Resolves when the bytes are taken; the next ones are read only then. */
export type Write = (chunk: Buffer) => Promise<void>;

export interface Part {
  /** The first byte that is wanted. */
  from?: number;
  /** Aborting it ends the copy with the error `left`. */
  signal?: AbortSignal;
}

/** All that there is now. @throws GodwitError whatever the agent refuses */
export function copyConsole(socket: string, job: string, write: Write): Promise<void> {
  return ask(socket, (agent) => new Copy(job, write, false).goOn(agent));
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
  /** Bytes that have been taken, or were not wanted. */
  private offset: number;

  constructor(
    private job: string,
    private readonly write: Write,
    private readonly follow: boolean,
    private readonly part: Part = {},
  ) {
    this.offset = part.from ?? 0;
  }

  /** Copies from where it has got to. */
  async goOn(agent: Agent): Promise<void> {
    const { job, offset, follow } = this;
    const { ticket, id } = await agent.call('jobs.console', { job, offset, follow });
    // A name may stand for several jobs later on.
    this.job = id;
    const stream = await agent.openStream(ticket);
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
