/** Reading what others wrote: JSON and zod, with an error that says where it is wrong. */
import { randomInt } from 'node:crypto';
import type { ZodError, ZodType, z } from 'zod';
import { firstOf } from './bounded';
import { badMessage } from './errors';
import { cut } from './text';

/** Of a path within a message: its names are written by the other side. */
const PATH_SHOWN = 100;

/** The first thing that is wrong, with its path: `job.pid: expected number`. */
function explain(error: ZodError): string {
  const { path, message } = firstOf(error);
  const where = cut(path.map(String).join('.'), PATH_SHOWN);
  return where ? `${where}: ${message}` : message;
}

/** @throws GodwitError `bad-message`, naming `what` and the path */
export function parseWith<S extends ZodType>(schema: S, value: unknown, what: string): z.output<S> {
  const parsed = safely(() => schema.safeParse(value), what);
  if (!parsed.success) throw badMessage(what, explain(parsed.error));
  return parsed.data;
}

/** Lists in lists in lists: code that recurses into them would run out of stack. */
function safely<T>(work: () => T, what: string): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof RangeError) throw badMessage(what, 'it is too deep');
    throw error;
  }
}

/** No message is nearly as deep, and to read a million lists in each other takes ten times as long as to read a text. */
const MOST_DEPTH = 500;
/**
 * Different names of fields. An environment may have 65,536; 300,000 would fit into the largest message, and take ten
 * times as long to read as as many that are alike.
 */
const MOST_NAMES = 70_000;
/** Values, in all lists and objects: a launch has 131,072 words at most, and a message to a keeper 400,000. */
const MOST_VALUES = 1_000_000;
/** Another one in each process, so that no sender can choose names with equal hashes. Odd, for no bit to be lost. */
const FACTOR = randomInt(2 ** 31) * 2 + 1;

/** @throws GodwitError `bad-message` */
export function parseJson(what: string, text: string): unknown {
  const excess = excessOf(text);
  if (excess) throw badMessage(what, excess);
  try {
    return JSON.parse(text);
  } catch {
    throw badMessage(what, 'it is not JSON');
  }
}

const [QUOTE, BACKSLASH, LIST, LIST_END, OBJECT, OBJECT_END, COLON, COMMA] = [...'"\\[]{}:,'].map((mark) =>
  mark.charCodeAt(0),
);

/** What a text of JSON has too much of: lists and objects in each other, names, or values; null where it has not. */
function excessOf(text: string): string | null {
  if (text.length <= MOST_DEPTH) return null;
  const names = new Set<number>();
  let depth = 0;
  let values = 0;
  let quoted = false;
  /** Of the last text between quotes. Two names may have the same: then one of them is not counted. */
  let hash = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (quoted) {
      if (code === QUOTE) quoted = false;
      else {
        hash = (Math.imul(hash, FACTOR) + code) | 0;
        if (code === BACKSLASH) at++;
      }
    } else if (code === QUOTE) {
      quoted = true;
      hash = 0;
    } else if (code === LIST || code === OBJECT) {
      if (++depth > MOST_DEPTH) return 'it is too deep';
      values++;
    } else if (code === LIST_END || code === OBJECT_END) depth--;
    else if (code === COMMA && ++values > MOST_VALUES) return 'it has too many values';
    else if (code === COLON && names.add(hash).size > MOST_NAMES) return 'it has too many names';
  }
  return null;
}
