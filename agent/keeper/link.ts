import { setTimeout as sleep } from 'node:timers/promises';
import type { CallOptions, Method, Result, SentParams } from '../api/contract';
import { Link } from '../wire/link';
import type { KeeperContract } from './contract';

/** As long as a keeper may take to start (watch.ts); what waits then fails by itself. */
const READY_MS = 60_000;
const POLL_MS = 50;

/** The agent's way to its keeper, and to the one that takes its place. */
export class KeeperLink extends Link<KeeperContract> {
  #replacing: Promise<void> | null = null;

  override async call<M extends Method<KeeperContract>>(
    method: M,
    params: SentParams<KeeperContract, M>,
    options?: CallOptions,
  ): Promise<Result<KeeperContract, M>> {
    if (this.#replacing) await this.#replacing;
    return super.call(method, params, options);
  }

  /**
   * Has the keeper end, if these are all the processes that it holds. What was asked of it before goes before this, on
   * the same connection; what is asked meanwhile is asked of the keeper that is there afterwards.
   * @returns what it holds still; null when another one is there
   */
  async replace(but: string[]): Promise<string | null> {
    const asked = super.call('keeper.retire', { but });
    const over = asked.then(({ holds }) => (holds === null ? this.#another() : undefined));
    this.#replacing = over.catch(() => {});
    try {
      await over;
      return (await asked).holds;
    } finally {
      this.#replacing = null;
    }
  }

  /** Waits for it, or until it must be taken for one that does not come. */
  async #another(): Promise<void> {
    const until = performance.now() + READY_MS;
    while (performance.now() < until) {
      const identity = await super.call('keeper.identity', {}).catch(() => null);
      if (identity) return;
      await sleep(POLL_MS);
    }
  }
}
