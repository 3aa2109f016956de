/** The first frame of each side: who it is, and which protocol. Nothing else is read before it. */
import { z } from 'zod';
import { version } from '../../package.json';
import { badMessage, wrongVersion } from '../api/errors';
import { parseJson, parseWith } from '../api/schema';
import { wrongName } from './errors';

/** Goes up with each change of a contract that an older agent would misread. */
export const PROTOCOL = 1;

/** Long enough for a loaded machine, short enough that silent strangers don't pile up. */
export const HELLO_TIMEOUT_MS = 5_000;

export const Kind = z.enum(['agent', 'client', 'keeper']);
export type Kind = z.infer<typeof Kind>;

/** Far above any hello's length: nothing longer is read from an unknown side. */
const MOST_HELLO_BYTES = 4_096;

const Protocol = z.object({ hello: z.looseObject({ protocol: z.int() }) });

export const Hello = z.object({
  protocol: z.literal(PROTOCOL),
  version: z.string().max(100),
  kind: Kind,
  name: z.string().min(1).max(200),
});
export type Hello = z.infer<typeof Hello>;

const HelloFrame = z.strictObject({ hello: Hello });

export const writeHello = (self: { kind: Kind; name: string }): string =>
  JSON.stringify({ hello: { protocol: PROTOCOL, version, ...self } });

/**
 * @param expected the name that the other side's certificate proves; undefined where there is none
 * @throws GodwitError `wrong-version`, `wrong-name`, `bad-message`
 */
export function readHello(text: string, expected: string | undefined): Hello {
  if (text.length > MOST_HELLO_BYTES)
    throw badMessage('the hello', `it is longer than ${MOST_HELLO_BYTES} bytes`);
  const frame = parseJson('the hello', text);
  // The protocol's number is read before all else: the rest may differ in another version.
  const theirs = Protocol.safeParse(frame);
  if (!theirs.success) throw badMessage('the hello', 'the first message must be {"hello": {"protocol": …}}');
  const { protocol } = theirs.data.hello;
  if (protocol !== PROTOCOL) throw wrongVersion(protocol, PROTOCOL);
  const { hello } = parseWith(HelloFrame, frame, 'the hello');
  if (expected !== undefined && hello.name !== expected) throw wrongName(expected, hello.name);
  return hello;
}
