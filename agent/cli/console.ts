/** A job's console, copied to stdout: each byte once, whatever becomes of the agent meanwhile. */
import { type Agent, ask, askThroughRestarts } from './agent';
import { write } from './output';

/** All that there is now. @throws GodwitError whatever the agent refuses */
export function printConsole(socket: string, job: string): Promise<void> {
  return ask(socket, (agent) => new Copy(job, false).goOn(agent));
}

/**
 * All that there is and will be, until the job has ended.
 * @param accepted the job is known to exist
 * @throws GodwitError `agent-gone`, and whatever the agent refuses
 */
export function followConsole(socket: string, job: string, accepted = false): Promise<void> {
  const copy = new Copy(job, true);
  return askThroughRestarts(socket, (agent) => copy.goOn(agent), { accepted });
}

class Copy {
  /** Bytes that stdout has taken. */
  private offset = 0;

  constructor(
    private job: string,
    private readonly follow: boolean,
  ) {}

  /** Copies from where it has got to. */
  async goOn(agent: Agent): Promise<void> {
    const { job, offset, follow } = this;
    const { ticket, id } = await agent.call('jobs.console', { job, offset, follow });
    // A name may stand for several jobs later on.
    this.job = id;
    const stream = await agent.openStream(ticket);
    // At its end the stream is still this side's to end.
    for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      await write(chunk);
      this.offset += chunk.length;
    }
    await new Promise<void>((resolve) => stream.end(() => resolve()));
  }
}
