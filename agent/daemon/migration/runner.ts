import { GrowingPause } from '../../api/retry';
import { PAUSES } from './move-context';

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

/** Comes back after a pause that grows while nothing happens. One timer at a time. */
export class Backoff {
  readonly #pause = new GrowingPause(PAUSES);
  #timer: NodeJS.Timeout | undefined;

  again(work: () => void) {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      work();
    }, this.#pause.next());
  }

  reset() {
    this.#pause.reset();
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
