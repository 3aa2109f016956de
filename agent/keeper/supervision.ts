/** The messages of a job's supervisor (`godwit-helper launch` and `restore`) on its standard output, one a line, as JSON. */
import { z } from 'zod';
import { parseJson, parseWith } from '../api/schema';

/** As wait(2) has it: an exit status, or the number of the signal that ended it. */
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

const WHAT = "a supervisor's message";

/** @throws GodwitError `bad-message` */
export const readSupervision = (line: string): Supervision =>
  parseWith(Supervision, parseJson(WHAT, line), WHAT);

/** What the supervisor's report file has. @throws GodwitError `bad-message` */
export const readReport = (text: string): End => parseWith(End, parseJson(WHAT, text), WHAT);
