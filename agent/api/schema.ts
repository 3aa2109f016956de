/** Reading what others wrote: JSON and zod, with an error that says where it is wrong. */
import type { ZodError, ZodType, z } from 'zod';
import { firstOf } from './bounded';
import { badMessage } from './errors';
import { cut } from './text';

/** Of a path within a message: its names are whatever the other side has written. */
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

/** Lists in lists in lists: whatever goes down into them runs out of stack, and nothing has happened yet. */
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

/** @throws GodwitError `bad-message` */
export function parseJson(what: string, text: string): unknown {
  if (isDeep(text)) throw badMessage(what, 'it is too deep');
  try {
    return JSON.parse(text);
  } catch {
    throw badMessage(what, 'it is not JSON');
  }
}

const [QUOTE, BACKSLASH, LIST, LIST_END, OBJECT, OBJECT_END] = [...'"\\[]{}'].map((mark) =>
  mark.charCodeAt(0),
);

/** Has a text of JSON more lists and objects in each other than may be? */
function isDeep(text: string): boolean {
  if (text.length <= MOST_DEPTH) return false;
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (quoted) {
      if (code === BACKSLASH) at++;
      else if (code === QUOTE) quoted = false;
    } else if (code === QUOTE) quoted = true;
    else if (code === LIST || code === OBJECT) {
      if (++depth > MOST_DEPTH) return true;
    } else if (code === LIST_END || code === OBJECT_END) depth--;
  }
  return false;
}
