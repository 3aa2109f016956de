/**
 * Text that others chose (names, commands, messages, paths), made fit to be shown: it reads as it is, and means nothing
 * to what shows it.
 */

/** Characters of one text; the editor cuts its messages there too. */
export const LONGEST_TEXT = 1000;

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

declare const made: unique symbol;
/** A text that the editor shows as it is. `plain` alone makes it. */
export type Plain = string & { readonly [made]: true };

/** Not seen, and no place where a line may be broken (Unicode's word joiner). */
const JOINER = '\u2060';

/**
 * One line that the editor takes for text. In messages it would make links of `[text](command:…)` (VS Code's
 * linkedText.ts), in labels icons of `$(name)` (iconLabels.ts), and neither knows an escape that the other one, and
 * every place that has no such thing, would not show. Something unseen between the two signs parts them everywhere.
 */
export function plain(text: string): Plain {
  const parted = cut(text)
    .split(/(?<=[\]$])\u2060?(?=\()/)
    .map(printable)
    .join(JOINER);
  return cut(parted) as Plain;
}

/** Of a longer text its beginning, never amid a character. */
export function cut(text: string): string {
  if (text.length <= LONGEST_TEXT) return text;
  return `${text.slice(0, LONGEST_TEXT - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

/**
 * The same as Markdown in which nothing is markup, and no address becomes a link: all but letters and digits are
 * numeric character references, which never stand for a sign of markup (CommonMark 0.31, section 2.5).
 */
export const markdown = (text: string): string =>
  printable(cut(text)).replace(/[^\p{L}\p{N}]/gu, (sign) => `&#${sign.codePointAt(0)};`);
