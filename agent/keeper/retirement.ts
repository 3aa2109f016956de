/** The end of a keeper whose place another one takes: decided and begun in one step, so that nothing is asked in between. */
import type { Caller, Contract, Handlers } from '../api/contract';
import { connectionLost } from '../wire/errors';

/** They wait for a process, which goes on without; the next keeper answers in its own way. */
const WAITS: ReadonlySet<string> = new Set(['process.line', 'process.wait']);

export class Retirement {
  #underWay = 0;
  #begin = () => {};
  #begun = false;
  /** Resolves after the answer that says so. */
  readonly begun = new Promise<void>((resolve) => {
    this.#begin = resolve;
  });

  /** @param held what would be lost; null where nothing would */
  ask(held: () => string | null): { holds: string | null } {
    // This question is one of those.
    const holds = held() ?? (this.#underWay > 1 ? 'a request' : null);
    if (holds !== null) return { holds };
    this.#begun = true;
    setImmediate(this.#begin);
    return { holds: null };
  }

  /** The same answers, until it begins: what is asked then is for the next keeper. */
  until<C extends Contract>(answers: Handlers<C>): Handlers<C> {
    const wrapped = Object.entries(answers).map(([method, answer]) => [
      method,
      (params: never, caller: Caller) =>
        WAITS.has(method) ? this.#open(answer, params, caller) : this.#counted(answer, params, caller),
    ]);
    return Object.fromEntries(wrapped) as Handlers<C>;
  }

  #open<Answer>(answer: (params: never, caller: Caller) => Answer, params: never, caller: Caller): Answer {
    if (this.#begun) throw connectionLost('the keeper ends, for another one to take its place');
    return answer(params, caller);
  }

  /** Carried to its end, whatever becomes of the agent that has asked. */
  async #counted<Answer>(
    answer: (params: never, caller: Caller) => Answer,
    params: never,
    caller: Caller,
  ): Promise<Awaited<Answer>> {
    this.#underWay++;
    try {
      return await this.#open(answer, params, caller);
    } finally {
      this.#underWay--;
    }
  }
}
