/**
 * The first frame of each side: who it is, and which protocols it speaks. Nothing else is read before it. Each side finds
 * the number that both know by itself, so neither waits for the other.
 */
import { z } from 'zod';
import { version } from '../../package.json';
import { badMessage, wrongVersion } from '../api/errors';
import { parseJson, parseWith } from '../api/schema';
import { common, PROTOCOL, Versions } from '../api/versions';
import { wrongName } from './errors';

/** Long enough for a loaded machine, short enough that silent strangers don't pile up. */
export const HELLO_TIMEOUT_MS = 5_000;

export const Kind = z.enum(['agent', 'client', 'keeper']);
export type Kind = z.infer<typeof Kind>;

/** Far above any hello's length: nothing longer is read from an unknown side. */
const MOST_HELLO_BYTES = 4_096;

/**
 * `protocol` is the oldest one that is spoken. The newest came later: who does not give it speaks the one alone, and takes
 * `protocol` for the one that is spoken.
 */
const Protocols = z.object({
  hello: z.looseObject({ protocol: z.int(), newest: z.int().optional() }),
});

const Greeting = z.object({
  version: z.string().max(100),
  kind: Kind,
  name: z.string().min(1).max(200),
});

const HelloFrame = z.strictObject({ hello: Greeting });

export interface Hello extends z.infer<typeof Greeting> {
  /** The newest that both sides know: what is said on this connection. */
  protocol: number;
}

export const writeHello = (self: { kind: Kind; name: string }): string =>
  JSON.stringify({ hello: { protocol: PROTOCOL.oldest, newest: PROTOCOL.newest, version, ...self } });

/**
 * @param expected the name that the other side's certificate proves; undefined where there is none
 * @throws GodwitError `wrong-version`, `wrong-name`, `bad-message`
 */
export function readHello(text: string, expected: string | undefined): Hello {
  if (text.length > MOST_HELLO_BYTES)
    throw badMessage('the hello', `it is longer than ${MOST_HELLO_BYTES} bytes`);
  const frame = parseJson('the hello', text);
  // The protocol's numbers are read before all else: the rest may differ in another version.
  const protocol = agreedOn(frame);
  const { hello } = parseWith(HelloFrame, frame, 'the hello');
  if (expected !== undefined && hello.name !== expected) throw wrongName(expected, hello.name);
  return { ...hello, protocol };
}

/** @throws GodwitError `wrong-version`, `bad-message` */
function agreedOn(frame: unknown): number {
  const said = Protocols.safeParse(frame);
  if (!said.success) throw badMessage('the hello', 'the first message must be {"hello": {"protocol": …}}');
  const { protocol: oldest, newest = oldest } = said.data.hello;
  const theirs = parseWith(Versions, { oldest, newest }, 'the hello');
  const both = common(theirs, PROTOCOL);
  if (both === null) throw wrongVersion(theirs, PROTOCOL);
  return both;
}
