/**
 * What lets one machine join a cluster, once: one line, for people to copy. It says where the cluster's authority is to be
 * found and how it is known, and holds a secret that both sides prove to have without ever sending it.
 *
 *     godwit1.ADDRESSES.FINGERPRINT.ID-SECRET
 *
 * `ID-SECRET` alone will do where the authority is found by its announcement on the local network.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { GodwitError } from './errors';
import { PinnedKey, SHA256 } from './pinned-key';

const FORMAT = 'godwit1';
/** The service under which it is announced: `_godwit._tcp`. */
export const ANNOUNCED_AS = 'godwit';
/** Of one machine: it may have several networks. */
const MOST_ADDRESSES = 16;
const MOST_CHARACTERS = 4_096;

export const TokenId = z.string().regex(/^[0-9a-f]{8}$/);
/** 128 bits: it can't be guessed, nor found from a proof. */
export const TokenSecret = z.string().regex(/^[0-9a-f]{32}$/);

export const Place = z.object({ host: z.string().min(1).max(255), port: z.int().min(1).max(65_535) });
export type Place = z.infer<typeof Place>;

const Token = z.object({
  /** Where it is good; empty where that has to be found. */
  places: z.array(Place).max(MOST_ADDRESSES),
  /** Of the authority's certificate; null where the proof alone tells the right one. */
  authority: PinnedKey.nullable(),
  id: TokenId,
  secret: TokenSecret,
});
export type Token = z.infer<typeof Token>;

export const newSecret = (): Pick<Token, 'id' | 'secret'> => ({
  id: randomBytes(4).toString('hex'),
  secret: randomBytes(16).toString('hex'),
});

export function writeToken({ places, authority, id, secret }: Token & { authority: string }): string {
  const where = Buffer.from(JSON.stringify(places.map(({ host, port }) => [host, port])));
  const digest = Buffer.from(authority.slice(SHA256.length), 'hex');
  return [FORMAT, where.toString('base64url'), digest.toString('base64url'), `${id}-${secret}`].join('.');
}

/** @throws GodwitError `bad-token` */
export function readToken(text: string): Token {
  const parts = text.trim().split('.');
  const [id, secret] = parts.at(-1)!.split('-');
  const whole = parts.length === 4 && parts[0] === FORMAT;
  if (text.length > MOST_CHARACTERS || (!whole && parts.length !== 1)) throw badToken();
  try {
    return Token.parse({
      places: whole ? readPlaces(parts[1]!) : [],
      authority: whole ? SHA256 + Buffer.from(parts[2]!, 'base64url').toString('hex') : null,
      ...{ id, secret },
    });
  } catch {
    throw badToken();
  }
}

function readPlaces(text: string): Place[] {
  const pairs = JSON.parse(Buffer.from(text, 'base64url').toString()) as [string, number][];
  return pairs.map(([host, port]) => ({ host, port }));
}

/** Which side of the connection proves that it has the secret. */
export type Side = 'authority' | 'joiner';

/**
 * Good on one connection only, whose keying material is in it (RFC 5705, RFC 9266): who is in the middle of two has two
 * others, and what they pass on proves nothing.
 * @param binding of the connection, see `bindingOf`
 */
export const proofOf = (secret: string, side: Side, binding: Buffer): string =>
  createHmac('sha256', Buffer.from(secret, 'hex')).update(`${side}\0`).update(binding).digest('hex');

export const Proof = z.string().regex(/^[0-9a-f]{64}$/);

const badToken = () =>
  new GodwitError({
    code: 'bad-token',
    message: 'this is no token, or not all of one',
    fix: 'paste the whole line that `godwit cluster token` has printed',
  });
