/**
 * Text that others chose (names, commands, messages, paths), made fit to be shown: it reads as it is, and means nothing
 * to what shows it.
 */

import { cut, printable } from './text';

/** Characters of one text; the editor cuts its messages there too. */
export const LONGEST_TEXT = 1000;

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
  const parted = shortened(text)
    .split(/(?<=[\]$])\u2060?(?=\()/)
    .map(printable)
    .join(JOINER);
  return shortened(parted) as Plain;
}

/** Of a longer text its beginning, never amid a character. */
export const shortened = (text: string): string =>
  text.length > LONGEST_TEXT ? cut(text, LONGEST_TEXT - 1) : text;

/**
 * The same as Markdown in which nothing is markup, and no address becomes a link: all but letters and digits are
 * numeric character references, which never stand for a sign of markup (CommonMark 0.31, section 2.5).
 */
export const markdown = (text: string): string =>
  printable(shortened(text)).replace(/[^\p{L}\p{N}]/gu, (sign) => `&#${sign.codePointAt(0)};`);
