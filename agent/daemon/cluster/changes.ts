import { randomInt, randomUUID } from 'node:crypto';

/** A node without changes answers after this time, so that its callers see that it is there. */
export const ANSWER_WITHIN_MS = 20_000;

/** As few figures as tell one state from the next in a load record, of which a datagram holds many. */
const MARKS = 2 ** 16;

/** How often something of this node's jobs has changed, for those who wait for the next time. */
export class Changes {
  /** Counters start anew with each run of the agent. */
  readonly #life = randomUUID();
  readonly #first = randomInt(MARKS);
  #count = 0;
  readonly #waiting = new Set<() => void>();

  get seen(): string {
    return `${this.#life}.${this.#count}`;
  }

  /** Another one than before the latest change, and most likely than in an earlier life. */
  get mark(): number {
    return (this.#first + this.#count) % MARKS;
  }

  notify(): void {
    this.#count++;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const answer of waiting) answer();
  }

  /** Resolves when there is more than `seen`, or after `withinMs`. Rejects when the caller has gone. */
  after(seen: string, signal: AbortSignal, withinMs = ANSWER_WITHIN_MS): Promise<string> {
    return new Promise((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer);
        this.#waiting.delete(answer);
        signal.removeEventListener('abort', give);
      };
      const answer = () => {
        stop();
        resolve(this.seen);
      };
      const give = () => {
        stop();
        reject(signal.reason);
      };
      const timer = setTimeout(answer, withinMs);
      if (signal.aborted) give();
      else if (seen !== this.seen) answer();
      else {
        this.#waiting.add(answer);
        signal.addEventListener('abort', give);
      }
    });
  }
}
