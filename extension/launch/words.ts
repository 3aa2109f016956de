/** Arguments as people type them, in the manner of a shell: spaces part words, quotes and backslashes keep them whole. */

/** What is wrong with the text, as a sentence without its full stop. */
export class Unbalanced extends Error {}

/**
 * Nothing is expanded: `$HOME`, `*` and `~` are what they are.
 * @throws Unbalanced
 */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (/\s/.test(char)) {
      if (word !== null) words.push(word);
      word = null;
    } else if (char === "'" || char === '"') {
      const quoted = readQuoted(text, at, char);
      word = (word ?? '') + quoted.content;
      at = quoted.end;
    } else if (char === '\\') {
      at++;
      if (at === text.length) throw new Unbalanced('The backslash at the end has nothing to stand for');
      word = (word ?? '') + text[at];
    } else {
      word = (word ?? '') + char;
    }
  }
  if (word !== null) words.push(word);
  return words;
}

/** From the opening quote at `start`; `end` is where its closing one is. */
function readQuoted(text: string, start: number, quote: string): { content: string; end: number } {
  let content = '';
  for (let at = start + 1; at < text.length; at++) {
    const char = text[at]!;
    if (char === quote) return { content, end: at };
    // Between double quotes a backslash stands for itself but before a quote or another one.
    const escapes = quote === '"' && char === '\\' && /["\\]/.test(text[at + 1] ?? '');
    content += escapes ? text[++at] : char;
  }
  throw new Unbalanced(`A ${quote === '"' ? 'double' : 'single'} quote is not closed`);
}
