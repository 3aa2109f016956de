/** What people type where values are: expressions with a format behind them, and what a value is to become. */
import type { WantedValue } from '../gdb/contract';

/** One expression, and how it is to be shown. */
export interface Watch {
  expression: string;
  /** A letter of gdb's `print/…`. */
  letter?: string;
  /** Not as a printer shows it, but as it is. */
  raw?: boolean;
  /** A pointer to so many, or so many of an array: an expression too. */
  elements?: string;
}

/** What is written behind a comma, and gdb's letter for it. */
const LETTERS: Record<string, string> = {
  x: 'x',
  h: 'x',
  b: 't',
  t: 't',
  o: 'o',
  d: 'd',
  u: 'u',
  c: 'c',
  a: 'a',
};

/** `what,x`, `what,[n]`, `what,raw`: the format is what stands behind the last comma that is in no brackets or quotes. */
export function parseWatch(text: string): Watch {
  let watch: Watch = { expression: text.trim() };
  for (let more = true; more; ) {
    const [expression, suffix] = lastComma(watch.expression);
    more = suffix !== undefined && expression !== '';
    const count = /^\[(.+)\]$/s.exec(suffix ?? '')?.[1];
    if (!more) break;
    if (suffix === 'raw') watch = { ...watch, expression, raw: true };
    else if (count) watch = { ...watch, expression, elements: count };
    else if (LETTERS[suffix!]) watch = { ...watch, expression, letter: LETTERS[suffix!]! };
    else more = false;
  }
  return watch;
}

function lastComma(text: string): [string, string | undefined] {
  const at = topLevel(text, ',').at(-1);
  return at === undefined ? [text, undefined] : [text.slice(0, at).trim(), text.slice(at + 1).trim()];
}

/** Where `character` stands in no brackets and no quotes. */
function topLevel(text: string, character: string): number[] {
  const found: number[] = [];
  let depth = 0;
  for (const { index, 0: token } of text.matchAll(TOKENS)) {
    if ('([{'.includes(token)) depth++;
    else if (')]}'.includes(token)) depth--;
    else if (depth === 0 && token === character) found.push(index);
  }
  return found;
}

/** Texts and characters as a whole, else one character. A quote without its end is a character. */
const TOKENS = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)'|'\\[^']{1,10}'|[\s\S]/g;

/**
 * Does it say that something is to be written? Operators that a class defines, and calls, are not seen here: gdb is kept
 * from calling anything where nothing may change.
 */
export function assigns(expression: string): boolean {
  const code = [...expression.matchAll(TOKENS)].map(([token]) => (token.length > 1 ? '""' : token)).join('');
  return /\+\+|--|(?<![=!<>])=(?!=)|<<=|>>=/.test(code.replaceAll('<=>', ''));
}

/** Does it call something? A name, or what is in brackets, before an opening bracket. */
export function calls(expression: string): boolean {
  const code = [...expression.matchAll(TOKENS)].map(([token]) => (token.length > 1 ? '""' : token)).join('');
  return /[\w)\]>]\s*\(/.test(code.replace(/\b(sizeof|alignof|_Alignof)\s*\(/g, '['));
}

/** No value is nested deeper than this by a person. */
const MAX_DEPTH = 32;

/** What a value is to become. */
export function parseWanted(text: string, depth = 0): WantedValue {
  const trimmed = text.trim();
  const inside = /^\{(.*)\}$/s.exec(trimmed)?.[1];
  if (inside === undefined || depth > MAX_DEPTH) return { text: trimmed };
  if (!inside.trim()) return { items: [] };
  const commas = topLevel(inside, ',');
  const parts = [...commas, inside.length].map((end, index) =>
    inside.slice(index === 0 ? 0 : commas[index - 1]! + 1, end),
  );
  // `{1, 2, }` is `{1, 2}`.
  if (!parts.at(-1)!.trim()) parts.pop();
  return { items: parts.map((part) => parsePart(part, depth)) };
}

function parsePart(part: string, depth: number): { name?: string; value: WantedValue } {
  const named = /^\s*\.?([A-Za-z_$][\w$]*)\s*[=:](?![=:])([\s\S]*)$/.exec(part);
  if (!named) return { value: parseWanted(part, depth + 1) };
  return { name: named[1]!, value: parseWanted(named[2]!, depth + 1) };
}
