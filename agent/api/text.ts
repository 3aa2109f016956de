/** Texts of others, brought to a length. None is cut amid a character. */

/** The end of a text that goes on. */
const ELLIPSIS = '…';

/** The first `most` UTF-16 code units at most, with an ellipsis behind them where there was more. */
export function cut(text: string, most: number): string {
  if (text.length <= most) return text;
  const last = text.charCodeAt(most - 1);
  const amidPair = last >= 0xd800 && last <= 0xdbff;
  return text.slice(0, amidPair ? most - 1 : most) + ELLIPSIS;
}

/** As much as `most` bytes of UTF-8 hold. Half a pair of surrogates would take three bytes, so it never fits. */
export function cutToBytes(text: string, most: number): string {
  // No code unit takes less than one byte: of a long text the rest is not even looked at.
  const bytes = new TextEncoder().encode(text.slice(0, most));
  let end = Math.min(most, bytes.length);
  while (end < bytes.length && isContinuation(bytes[end]!)) end--;
  return new TextDecoder().decode(bytes.subarray(0, end));
}

export const utf8Length = (text: string): number => new TextEncoder().encode(text).length;

/** A byte of a character after its first (RFC 3629, 3). */
const isContinuation = (byte: number): boolean => (byte & 0xc0) === 0x80;

/**
 * Control characters, line ends, signs that turn the direction of writing, and what is not seen at all (Unicode's
 * default ignorable code points); but for those that join letters and emoji, or choose an emoji's look.
 */
const HIDDEN =
  /(?!\u200c|\u200d|[\ufe00-\ufe0f]|[\u{e0100}-\u{e01ef}])[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/** In one line, hidden characters as a C program would have them: `\n`, `\x1b`, `\u{202e}`. */
export const printable = (text: string): string => text.replace(HIDDEN, escaped);

function escaped(character: string): string {
  const named = { '\n': '\\n', '\t': '\\t', '\r': '\\r' }[character];
  if (named) return named;
  const code = character.codePointAt(0)!;
  const figures = code.toString(16);
  return code < 0x100 ? `\\x${figures.padStart(2, '0')}` : `\\u{${figures}}`;
}

export const isPrintable = (text: string): boolean => text.search(HIDDEN) < 0;

/** Enough to recognize a program by its arguments; an argument list may have megabytes. */
const COMMAND_SHOWN = 300;

/** A command as lists show it: what is left out of it is an ellipsis. */
export function shortCommand(command: readonly string[]): string[] {
  let left = COMMAND_SHOWN;
  const shown: string[] = [];
  for (const word of command) {
    if (left <= 0) break;
    shown.push(cut(word, left));
    left -= word.length + 1;
  }
  return shown.length < command.length ? [...shown, ELLIPSIS] : shown;
}

/** Puts names in the order in which people count: node2 before node10. */
export const { compare: compareNames } = new Intl.Collator('en', { numeric: true });
