/** How a process of a job is, at the price of one small file. */
import { statOf } from './identity';
import { nodePid, type ProcessSource } from './processes';

export class Program {
  #known: { pid: number; started: string } | null = null;

  /** @param inner its number as the job has it */
  constructor(
    private readonly job: ProcessSource,
    private readonly inner: number,
  ) {}

  /** As in `JobProcess`; null where there is none: it is being restored, or has ended. */
  async state(): Promise<string | null> {
    const known = this.#known && (await statOf(this.#known.pid));
    // Its number may be another process's by now.
    if (known && known.started === this.#known?.started) return known.state;
    const pid = await nodePid(this.job, this.inner).catch(() => null);
    const found = pid === null ? null : await statOf(pid);
    this.#known = found && { pid: pid!, started: found.started };
    return found?.state ?? null;
  }
}
