/**
 * What gdb's Python does for the adapter (`gdb/*.py`): one call where MI would take one a thread, a frame or a
 * breakpoint. Each file is given to gdb as text when it starts; they share one namespace.
 */
import type { z } from 'zod';
import { noPython } from './errors';
import breakpoints from './gdb/breakpoints.py';
import call from './gdb/call.py';
import completions from './gdb/completions.py';
import exceptions from './gdb/exceptions.py';
import places from './gdb/places.py';
import steps from './gdb/steps.py';
import threads from './gdb/threads.py';
import { literal, quoted } from './quoting';

/** What comes later uses what came before. */
const PROGRAMS = { call, threads, steps, breakpoints, exceptions, completions, places };

interface Commands {
  sendCommand<T>(command: string): Promise<T>;
}

const python = (text: string) => `-interpreter-exec console ${quoted(`python ${text}`)}`;

/** @throws GodwitError `no-python` */
export async function loadPython(gdb: Commands): Promise<void> {
  try {
    await gdb.sendCommand(python('import types; godwit = types.ModuleType("godwit")'));
    for (const [name, text] of Object.entries(PROGRAMS)) {
      const compiled = `compile(${literal(text)}, ${literal(`godwit/${name}.py`)}, "exec")`;
      await gdb.sendCommand(python(`exec(${compiled}, godwit.__dict__)`));
    }
  } catch (error) {
    throw noPython((error as Error).message);
  }
}

/** Calls a function of gdb's side by name. @throws Error with gdb's words */
export async function ask<S extends z.ZodType>(
  gdb: Commands,
  name: string,
  args: object,
  answer: S,
): Promise<z.output<S>> {
  const told = await gdb.sendCommand<{ answer: string }>(`-godwit ${name} ${quoted(literal(args))}`);
  return answer.parse(JSON.parse(told.answer));
}
