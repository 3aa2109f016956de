/** Signals that end a command which has something to put away first. */
import { once } from 'node:events';
import { exitStatusOf } from '../api/signals';

const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export class Interrupted extends Error {
  readonly status: number;

  constructor(signal: (typeof ENDING)[number]) {
    super(signal);
    this.status = exitStatusOf(signal);
  }
}

/** Waits for `work` as long as no signal asks to end. @throws Interrupted */
export async function unlessInterrupted<T>(work: Promise<T>): Promise<T> {
  const done = new AbortController();
  const signalled = ENDING.map(async (name): Promise<never> => {
    await once(process, name, { signal: done.signal });
    throw new Interrupted(name);
  });
  try {
    return await Promise.race([work, ...signalled]);
  } finally {
    done.abort();
    // The waits that were given up fail, which is ignored.
    await Promise.allSettled(signalled);
  }
}

/** For work that can end only where nothing is half done: the first signal ends it there, the second at once. */
export class EndingSignals {
  #first: (typeof ENDING)[number] | undefined;
  readonly #cut = new AbortController();

  constructor() {
    for (const signal of ENDING) process.on(signal, this.#take);
  }

  /** For what takes long and may be cut off. */
  get cut(): AbortSignal {
    return this.#cut.signal;
  }

  /** @throws Interrupted */
  throwIfAny(): void {
    if (this.#first) throw new Interrupted(this.#first);
  }

  end(): void {
    for (const signal of ENDING) process.off(signal, this.#take);
  }

  readonly #take = (signal: NodeJS.Signals): void => {
    if (this.#first) process.exit(exitStatusOf(signal));
    this.#first = signal as (typeof ENDING)[number];
    this.#cut.abort(new Interrupted(this.#first));
  };
}
