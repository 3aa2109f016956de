/** The shapes of JSON-RPC 2.0 that may come over the wire; all else never reaches the library. */
import { z } from 'zod';
import { isDictionary, list } from '../api/bounded';
import { asGodwitError, badMessage, type Failure, GodwitError } from '../api/errors';
import { MOST_OBSTACLES, Obstacle } from '../api/model';
import { parseJson, parseWith } from '../api/schema';

/** Its own request for that (LSP's, which the library implements). */
export const CANCEL = '$/cancelRequest';

const version = z.literal('2.0');
const id = z.int().min(0);
/** What is in them is the method's or the event's own to look at. */
const params = z.custom<Record<string, unknown>>(isDictionary, 'expected an object');
const method = z.string().max(200);

const Request = z.strictObject({ jsonrpc: version, id, method, params });
const Event = z.strictObject({
  jsonrpc: version,
  method: method.regex(/^[^$]/, 'names that begin with $ are the protocol’s own'),
  params,
});
const Cancel = z.strictObject({
  jsonrpc: version,
  method: z.literal(CANCEL),
  params: z.strictObject({ id }),
});
const Answer = z.strictObject({
  jsonrpc: version,
  id,
  result: z.unknown().refine((value) => value !== undefined),
});
const Refusal = z.strictObject({
  jsonrpc: version,
  id,
  error: z.strictObject({ code: z.int(), message: z.string(), data: z.unknown().optional() }),
});

export type Envelope = z.infer<
  typeof Request | typeof Event | typeof Cancel | typeof Answer | typeof Refusal
>;

/** No message has more fields. */
const MOST_FIELDS = 4;

/** One message of the wire. @throws GodwitError `bad-message` */
export function readEnvelope(text: string): Envelope {
  const value = parseJson(WHAT, text);
  if (!isDictionary(value)) throw badMessage(WHAT, 'expected an object');
  let fields = 0;
  for (const _ in value) if (++fields > MOST_FIELDS) throw badMessage(WHAT, 'it has too many fields');
  return parseWith(schemaFor(value), value, WHAT);
}

const WHAT = 'the message';

/** By what it has: to try one schema after the other would cost as much for each. */
function schemaFor(message: Record<string, unknown>) {
  const has = (field: string) => Object.hasOwn(message, field);
  if (!has('method')) return has('error') ? Refusal : Answer;
  if (has('id')) return Request;
  return message.method === CANCEL ? Cancel : Event;
}

const FailureShape = z.object({
  code: z.string(),
  message: z.string(),
  fix: z.string().optional(),
  obstacles: list(Obstacle, { most: MOST_OBSTACLES }).optional(),
});

/** JSON-RPC wants a number beside the failure itself, which travels as the error's data. */
const FAILURE = 1;

export const toWireError = (error: unknown): { code: number; message: string; data: Failure } => {
  const failure = asGodwitError(error).toFailure();
  return { code: FAILURE, message: failure.message, data: failure };
};

/** The other side's error as a GodwitError: whole if it was one there, else `internal`. */
export function fromWireError(error: unknown): GodwitError {
  const failure = FailureShape.safeParse((error as { data?: unknown } | undefined)?.data);
  return failure.success ? new GodwitError(failure.data) : asGodwitError(error);
}
