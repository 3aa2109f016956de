/** Ended jobs are kept for a while, within bounds for each user; then they are removed with their consoles. */
import { rm, stat } from 'node:fs/promises';
import type { PerUser } from '../../api/per-user';
import { SerialQueue } from '../../machine/serial-queue';
import type { Journal } from '../journal/journal';
import type { Layout } from './layout';

/** As stat(2) counts (st_blocks). */
const BLOCK_BYTES = 512;

export interface RetentionOptions {
  journal: Journal;
  layout: Layout;
  perUser: PerUser;
  log: (line: string) => void;
}

export class Retention {
  /** What is over does not grow any more. */
  readonly #bytes = new Map<string, number>();
  readonly #reviews = new SerialQueue();

  constructor(private readonly options: RetentionOptions) {}

  /** After the end of one of this user's jobs; without a user, for all of them. */
  review(uid?: number): Promise<void> {
    const { journal, log } = this.options;
    const work = async () => {
      const users = uid === undefined ? await journal.users() : [uid];
      for (const user of users) await this.#review(user);
    };
    return this.#reviews
      .take(work)
      .catch((error: Error) => log(`ended jobs were not removed: ${error.message}`));
  }

  async #review(uid: number): Promise<void> {
    const { endedJobs, endedBytes } = this.options.perUser;
    let [jobs, bytes] = [0, 0];
    for (const job of await this.options.journal.forgettable(uid)) {
      jobs++;
      bytes += await this.#size(job);
      // The latest stays, whatever it has printed.
      if (jobs > 1 && (jobs > endedJobs || bytes > endedBytes)) await this.#forget(job);
    }
  }

  async #size(job: string): Promise<number> {
    const known = this.#bytes.get(job);
    if (known !== undefined) return known;
    const { blocks } = await stat(this.options.layout.console(job)).catch(() => ({ blocks: 0 }));
    this.#bytes.set(job, blocks * BLOCK_BYTES);
    return blocks * BLOCK_BYTES;
  }

  /** The journal's entry goes last: an agent that ends in between finds the job again. */
  async #forget(job: string): Promise<void> {
    const { journal, layout } = this.options;
    await rm(layout.job(job), { recursive: true, force: true });
    await journal.forget(job);
    this.#bytes.delete(job);
  }
}
