/** What a job's supervisor (`godwit-helper launch` and `restore`) says on its standard output, a JSON value a line. */
import { z } from 'zod';
import { parseJson, parseWith } from '../api/schema';

/** As wait(2) tells it: an exit status, or the number of the signal that ended it. */
export const End = z.union([
  z.object({ code: z.int().min(0).max(255) }),
  z.object({ signal: z.int().min(1).max(64) }),
]);
export type End = z.infer<typeof End>;

export const Supervision = z.union([
  z.object({ init: z.int(), program: z.int() }),
  z.object({ restored: z.object({ init: z.int() }) }),
  z.object({ failed: z.object({ code: z.int().nullable().optional() }).loose() }),
  z.object({ error: z.object({ stage: z.string(), errno: z.int(), message: z.string() }) }),
  z.object({ exited: End }),
]);
export type Supervision = z.infer<typeof Supervision>;

/** @throws GodwitError if it is none of its words */
export function readSupervision(line: string): Supervision {
  const words = "a supervisor's words";
  return parseWith(Supervision, parseJson(words, line), words);
}
