/** The program's values, asked of the Python that is loaded into gdb. */
import type { z } from 'zod';
import { literal, quoted } from '../quoting';
import { ANSWERS, type Questions } from './contract';

/** gdb: answers one command at a time. */
export interface Commands {
  sendCommand<T>(command: string): Promise<T>;
}

/** What gdb is started with, so that it knows the command. Nothing is written beside the Python's sources. */
export function loadingArguments(folder: string): string[] {
  const lines = [
    'import sys',
    `sys.path.append(${JSON.stringify(folder)})`,
    'kept = sys.dont_write_bytecode',
    'sys.dont_write_bytecode = True',
    'import godwit_values',
    'sys.dont_write_bytecode = kept',
  ];
  return ['-iex', `python exec(${JSON.stringify(lines.join('\n'))})`];
}

export class Values {
  /** What was read or handed out at one stop is good until the next one. */
  private stop = 1;

  constructor(private readonly gdb: Commands) {}

  /** The program has stopped anew. */
  stopped(): void {
    this.stop++;
  }

  /** @throws Error with gdb's words */
  async ask<Q extends keyof Questions>(
    ask: Q,
    question: Questions[Q],
  ): Promise<z.infer<(typeof ANSWERS)[Q]>> {
    const { answer } = await this.gdb.sendCommand<{ answer: string }>(
      `-godwit-values ${quoted(literal({ ask, stop: this.stop, ...question }))}`,
    );
    return ANSWERS[ask].parse(JSON.parse(answer)) as z.infer<(typeof ANSWERS)[Q]>;
  }
}
