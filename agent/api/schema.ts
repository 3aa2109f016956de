/** Reading what others wrote: JSON and zod, with an error that says where it is wrong. */
import type { ZodError, ZodType, z } from 'zod';
import { badMessage } from './errors';

/** The first thing that is wrong, with its path: `job.pid: expected number`. */
function explain(error: ZodError): string {
  const [issue] = error.issues;
  if (!issue) return 'it does not fit its schema';
  const path = issue.path.map(String).join('.');
  return path ? `${path}: ${issue.message}` : issue.message;
}

/** @throws GodwitError `bad-message`, naming `what` and the path */
export function parseWith<S extends ZodType>(schema: S, value: unknown, what: string): z.output<S> {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw badMessage(what, explain(parsed.error));
  return parsed.data;
}

/** @throws GodwitError `bad-message` */
export function parseJson(what: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw badMessage(what, 'it is not JSON');
  }
}
