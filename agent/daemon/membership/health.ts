/**
 * How far this node can trust what it sees. A node that is slow, or cut off, finds everybody silent; it must not accuse
 * them. What speaks for a fault of its own makes it more patient, what it does in time less so.
 */
import { HEALTH_WORST, LATE_MS } from './timing';

export class Health {
  #score = 0;

  /** By which it multiplies its patience. */
  get factor(): number {
    return 1 + this.#score;
  }

  better(): void {
    this.#score = Math.max(0, this.#score - 1);
  }

  /** It ran late; helpers kept silent, too; it was accused itself. */
  worse(): void {
    this.#score = Math.min(HEALTH_WORST, this.#score + 1);
  }
}

/**
 * Time in which this node ran. A process that stood still, or a machine that slept, has heard nothing, and its clock has
 * gone on: answers that came meanwhile are still to be read.
 */
export class OwnTime {
  #last: number;
  #lived = 0;
  /** When it is to wake, on the clock. */
  #next: number;

  constructor(now: number) {
    this.#last = now;
    this.#next = now;
  }

  /** @param now of a monotonic clock; one that goes back stands still */
  at(now: number): number {
    const counted = Math.min(now, Math.max(this.#next, this.#last) + LATE_MS);
    if (counted > this.#last) this.#lived += counted - this.#last;
    this.#last = now;
    return this.#lived;
  }

  /** Nothing is to be done until then. */
  sleepUntil(next: number): void {
    this.#next = next;
  }

  /** Should it have run long before? */
  isLate(now: number): boolean {
    return now > this.#next + LATE_MS;
  }
}
