/** The shapes of JSON-RPC 2.0 that may come over the wire; whatever is not one of them never reaches the library. */
import { z } from 'zod';
import { asGodwitError, type Failure, GodwitError } from './errors';

const version = z.literal('2.0');
const id = z.int().min(0);

const Request = z.strictObject({
  jsonrpc: version,
  id,
  method: z.string().max(200),
  params: z.record(z.string(), z.unknown()),
});
const Event = z.strictObject({
  jsonrpc: version,
  method: z.string().max(200).regex(/^[^$]/, 'names that begin with $ are the protocol’s own'),
  params: z.record(z.string(), z.unknown()),
});
const Cancel = z.strictObject({
  jsonrpc: version,
  method: z.literal('$/cancelRequest'),
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

export const Envelope = z.union([Answer, Request, Refusal, Event, Cancel]);
export type Envelope = z.infer<typeof Envelope>;

export const isRequest = (message: Envelope): message is z.infer<typeof Request> =>
  'id' in message && 'method' in message;

const FailureShape = z.object({ code: z.string(), message: z.string(), fix: z.string().optional() });

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
