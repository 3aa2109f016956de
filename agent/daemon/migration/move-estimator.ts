/** How long a move will take: from the moves that this node has seen as home, and a guess until there are any. */
import type { MoveReport } from '../../api/model';

/** What a move of any size takes at least, and how fast memory travels, where nothing has been measured yet. */
const FIRST_BASE_MS = 400;
const FIRST_BYTES_PER_MS = 200_000;
/** From smaller moves the fixed time is learnt; from larger ones, how fast bytes travel. */
const SMALL_BYTES = 16 * 1024 * 1024;
/** Each new move counts for a third: a busy minute is forgotten after some moves. */
const WEIGHT = 1 / 3;

export class MoveEstimator {
  #baseMs = FIRST_BASE_MS;
  #bytesPerMs = FIRST_BYTES_PER_MS;

  /** Milliseconds from the beginning to the thaw. */
  estimate(bytes: number): number {
    return this.#baseMs + bytes / this.#bytesPerMs;
  }

  learn({ bytes, totalMs }: MoveReport): void {
    if (bytes < SMALL_BYTES) this.#baseMs = mixed(this.#baseMs, totalMs);
    else this.#bytesPerMs = mixed(this.#bytesPerMs, bytes / Math.max(1, totalMs - this.#baseMs));
  }
}

const mixed = (before: number, now: number) => before + WEIGHT * (now - before);
