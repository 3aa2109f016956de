/** Every thread's registers as gdb shows them. */
import type { Gdb } from './gdb';

/** By thread, then by register; the thread's number and id name it. */
export type Registers = Map<string, Map<string, string>>;

const THREAD = /^Thread (\d+) \(Thread ([\w.]+)/;
const REGISTER = /^(\w+) +(\S.*)$/;
/**
 * gdb before version 14 knows one layout of the XSAVE area, Intel's with MPX. On other processors the area is shorter,
 * and for these it shows what happens to be in gdbserver's memory behind it.
 */
const UNKNOWN_TO_GDB = /^zmm(28|29|30|31)$/;

export function parseRegisters(text: string): Registers {
  const threads: Registers = new Map();
  let thread: Map<string, string> | undefined;
  for (const line of text.split('\n')) {
    const [, number, id] = THREAD.exec(line) ?? [];
    if (number && id) {
      const name = `${number} (${id})`;
      thread = threads.get(name) ?? new Map();
      threads.set(name, thread);
      continue;
    }
    const [, name, value] = REGISTER.exec(line) ?? [];
    if (thread && name && value && !UNKNOWN_TO_GDB.test(name)) thread.set(name, value);
  }
  return threads;
}

/** What gdb remembers is forgotten first: it asks for all of them anew. */
export async function readRegisters(gdb: Gdb): Promise<Registers> {
  await gdb.do('maintenance flush register-cache');
  // Neither of the two shows all that the other does.
  const general = await gdb.do('thread apply all info registers');
  const all = await gdb.do('thread apply all info all-registers');
  const threads = parseRegisters(`${general}\n${all}`);
  const counts = [...threads.values()].map((registers) => registers.size);
  if (counts.length === 0 || Math.min(...counts) < 16) throw new Error('gdb did not show the registers');
  return threads;
}

/** One line for each register that is not the same. */
export function registerDifferences(before: Registers, after: Registers): string[] {
  const threads = new Set([...before.keys(), ...after.keys()]);
  return [...threads].flatMap((thread) => {
    const [old, now] = [before.get(thread), after.get(thread)];
    if (!old || !now) return [`thread ${thread} is ${old ? 'gone' : 'new'}`];
    const names = new Set([...old.keys(), ...now.keys()]);
    return [...names].flatMap((name) => {
      const [was, is] = [old.get(name), now.get(name)];
      return was === is ? [] : [`thread ${thread}: ${name} was ${was}, is ${is}`];
    });
  });
}
