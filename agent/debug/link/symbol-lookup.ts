/** The client is asked for symbols here, where that costs no way to the stub, before the debug server asks for them. */
import { encodeSymbols, LOOKED_UP } from '../rsp/symbols';

const OFFER = 'qSymbol::';
const ANSWER = /^qSymbol:([0-9a-f]*):([0-9a-f]+)$/i;

/** The client is answered that; or the stub is asked, and told `first` before. */
type Step = { answer: string } | { ask: string; first: string[] };

export class SymbolLookup {
  /** What the client has answered so far; null where it is not being asked. */
  #found: Map<string, string> | null = null;
  /** The stub has been told: the debug server asks once. */
  #told = false;

  /** null: the packet is not about that. */
  take(packet: string): Step | null {
    if (packet === OFFER && !this.#told) {
      this.#found = new Map();
      return this.#ask();
    }
    const [, value = '', name = ''] = (this.#found && ANSWER.exec(packet)) ?? [];
    if (!this.#found || name !== LOOKED_UP[this.#found.size]) return null;
    this.#found.set(name, value);
    const isOver = value === '' && this.#found.size === 1;
    return !isOver && this.#found.size < LOOKED_UP.length ? this.#ask() : this.#offer(isOver);
  }

  /** Another program: its symbols are elsewhere. */
  forget(): void {
    this.#found = null;
    this.#told = false;
  }

  #ask(): Step {
    return { answer: `qSymbol:${LOOKED_UP[this.#found!.size]}` };
  }

  #offer(isOver: boolean): Step {
    const first = isOver ? [] : [encodeSymbols(this.#found!)];
    this.#told = !isOver;
    this.#found = null;
    return { ask: OFFER, first };
  }
}
