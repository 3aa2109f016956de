/** The Python that is loaded into gdb (`godwit/`), and what is asked of it. */
import { noPython } from '../errors';
import { ANSWERS, type Answer, type Questions } from './contract';
import { GIVEN_UP, wish } from './given-up';
import { literal, quoted } from './quoting';

/** gdb: answers one command at a time. */
export interface Commands {
  sendCommand<T>(command: string): Promise<T>;
  /** The question of that number need not be answered. */
  giveUp(question: number): void;
}

/** Nothing is written beside the Python's sources. */
const loading = (folder: string) =>
  [
    'import sys',
    `sys.path.append(${literal(folder)})`,
    'kept = sys.dont_write_bytecode',
    'sys.dont_write_bytecode = True',
    'import godwit',
    'sys.dont_write_bytecode = kept',
  ].join('\n');

export class Python {
  /** What was read or handed out at one stop is good until the next one. */
  private stop = 1;
  private asked = 0;

  constructor(private readonly gdb: Commands) {}

  /** @throws GodwitError `no-python` */
  async load(folder: string): Promise<void> {
    try {
      const load = `python exec(${literal(loading(folder))})`;
      await this.gdb.sendCommand(`-interpreter-exec console ${quoted(load)}`);
    } catch (error) {
      throw noPython((error as Error).message);
    }
  }

  /** The program has stopped anew. */
  stopped(): void {
    this.stop++;
  }

  /** @throws Error with gdb's words, or where the answer is not as the contract has it, or it was given up */
  async ask<Q extends keyof Questions>(name: Q, question: Questions[Q]): Promise<Answer<Q>> {
    const signal = wish();
    if (signal?.aborted) throw new Error(GIVEN_UP);
    const ask = ++this.asked;
    const giveUp = () => this.gdb.giveUp(ask);
    signal?.addEventListener('abort', giveUp, { once: true });
    const told = await this.gdb
      .sendCommand<{ answer: string }>(
        `-godwit ${name} ${quoted(literal({ stop: this.stop, ask, ...question }))}`,
      )
      .finally(() => signal?.removeEventListener('abort', giveUp));
    return ANSWERS[name].parse(JSON.parse(told.answer)) as Answer<Q>;
  }
}
