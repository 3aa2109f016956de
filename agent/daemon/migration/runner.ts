import { setTimeout as sleep } from 'node:timers/promises';

/** Keeps a role's state, feeds it one input at a time, and has each effect begun before the next input is looked at. */
export class Runner<State, Input, Effect> {
  #inputs: Input[] = [];
  #draining = false;

  constructor(
    public state: State,
    private readonly step: (state: State, input: Input) => { state: State; effects: Effect[] },
    /** Long work is begun, not awaited: it reports by an input. */
    private readonly perform: (effect: Effect) => Promise<void> | void,
    private readonly failed: (error: Error) => void,
  ) {}

  feed(input: Input): void {
    this.#inputs.push(input);
    if (!this.#draining) void this.#drain();
  }

  async #drain() {
    this.#draining = true;
    for (let input = this.#inputs.shift(); input !== undefined; input = this.#inputs.shift()) {
      const { state, effects } = this.step(this.state, input);
      this.state = state;
      for (const effect of effects) {
        try {
          await this.perform(effect);
        } catch (error) {
          this.failed(error as Error);
        }
      }
    }
    this.#draining = false;
  }
}

/**
 * Waits until all of them are over, also when one has failed: what undoes them may then be begun.
 * @throws what the first of them, in this order, has failed with
 */
export async function allOver(works: Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(works)).find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}

/** A time to come back that grows while nothing happens: 100 ms, doubled up to 5 s. One timer at a time. */
export class Backoff {
  #wait = FIRST_MS;
  #timer: NodeJS.Timeout | undefined;

  again(work: () => void) {
    if (this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      work();
    }, this.#wait);
    this.#wait = Math.min(2 * this.#wait, LAST_MS);
  }

  reset() {
    this.#wait = FIRST_MS;
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

const FIRST_MS = 100;
const LAST_MS = 5_000;

/** Does what must be done, again and again until it is. */
export async function insist(work: () => Promise<void>, log: (line: string) => void): Promise<void> {
  for (let wait = FIRST_MS; ; wait = Math.min(2 * wait, LAST_MS)) {
    try {
      return await work();
    } catch (error) {
      log(`${(error as Error).message}; trying again`);
      await sleep(wait);
    }
  }
}

/** Callers who wait for a role's answer about an epoch. */
export class Answers<Message extends { epoch: number }> {
  readonly #waiting = new Map<number, Set<(message: Message) => void>>();

  next(epoch: number, signal: AbortSignal): Promise<Message> {
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(epoch) ?? new Set();
      this.#waiting.set(epoch, waiting.add(resolve));
      signal.addEventListener('abort', () => {
        waiting.delete(resolve);
        reject(new Error('the home no longer waits'));
      });
    });
  }

  give(message: Message) {
    const waiting = this.#waiting.get(message.epoch);
    this.#waiting.delete(message.epoch);
    for (const resolve of waiting ?? []) resolve(message);
  }
}
