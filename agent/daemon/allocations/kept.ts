/** Answers that are kept for a moment; each question is asked only once at a time. */
import { setTimeout as sleep } from 'node:timers/promises';

/** So old may an answer be: a move asks several times for the same. */
const KEPT_MS = 3_000;
/** What was not there may have come since; so often is that looked for, however often it is asked for. */
const AGAIN_MS = 500;
/** Of what has been asked about lately; more is asked about anew. */
const MOST_KEPT = 1_000;

export class Kept<Key, Answer> {
  readonly #kept = new Map<Key, { at: number; answer: Promise<Answer> }>();
  readonly #again = new Map<Key, Promise<Answer>>();

  constructor(private readonly ask: (key: Key) => Promise<Answer>) {}

  get(key: Key): Promise<Answer> {
    const kept = this.#kept.get(key);
    return kept && performance.now() - kept.at < KEPT_MS ? kept.answer : this.#ask(key);
  }

  /** One that will do, or the latest. */
  async that(does: (answer: Answer) => boolean, key: Key): Promise<Answer> {
    const answer = await this.get(key);
    return does(answer) ? answer : this.latest(key);
  }

  latest(key: Key): Promise<Answer> {
    const known = this.#again.get(key);
    if (known) return known;
    const since = performance.now() - (this.#kept.get(key)?.at ?? Number.NEGATIVE_INFINITY);
    const again = sleep(Math.max(0, AGAIN_MS - since), undefined, { ref: false })
      .then(() => this.#ask(key))
      .finally(() => this.#again.delete(key));
    this.#again.set(key, again);
    return again;
  }

  #ask(key: Key): Promise<Answer> {
    const answer = this.ask(key);
    if (this.#kept.size >= MOST_KEPT) this.#kept.clear();
    this.#kept.set(key, { at: performance.now(), answer });
    // A failure is no answer.
    answer.catch(() => this.#kept.delete(key));
    return answer;
  }
}
