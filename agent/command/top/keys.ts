/** Keys as a terminal in raw mode sends them (ECMA-48; xterm's control sequences). */

export type Key =
  | { name: 'up' | 'down' | 'page-up' | 'page-down' | 'home' | 'end' }
  | { name: 'enter' | 'escape' | 'tab' | 'backspace' | 'interrupt' }
  | { name: 'character'; text: string };

const NAMED: Record<string, Key['name']> = {
  '\x1b[A': 'up',
  '\x1bOA': 'up',
  '\x1b[B': 'down',
  '\x1bOB': 'down',
  '\x1b[5~': 'page-up',
  '\x1b[6~': 'page-down',
  '\x1b[H': 'home',
  '\x1bOH': 'home',
  '\x1b[1~': 'home',
  '\x1b[F': 'end',
  '\x1bOF': 'end',
  '\x1b[4~': 'end',
  '\r': 'enter',
  '\n': 'enter',
  '\t': 'tab',
  '\x7f': 'backspace',
  '\b': 'backspace',
  '\x03': 'interrupt',
  '\x1b': 'escape',
};

/** A control sequence, a control character, or one character; what is not known is passed over. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what a terminal sends
const ONE = /\x1b(?:\[[0-9;?]*[ -/]*[@-~]|O[@-~])|[\s\S]/gu;

/** What was typed, as far as one read brought it: a terminal sends a control sequence in one piece. */
export function keysIn(typed: string): Key[] {
  return [...typed.matchAll(ONE)].flatMap(([text]): Key[] => {
    const name = NAMED[text];
    if (name) return [{ name } as Key];
    return text >= ' ' && text !== '\x7f' && !text.startsWith('\x1b') ? [{ name: 'character', text }] : [];
  });
}
