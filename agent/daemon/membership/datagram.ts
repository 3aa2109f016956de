/**
 * A message as it goes over the network: with the public key of its sender's certificate and signed with the private
 * one. Whose it is follows from the key, which must be pinned for a member; nothing else in it is believed before.
 *
 *     GWM1 | length of the key, 2 bytes | key | message, JSON | signature | its length, 2 bytes
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { SHA256 } from '../../api/pinned-key';
import { Message } from './message';

/** What every network carries whole (IPv6 promises 1,280 bytes for all). */
export const DATAGRAM_BYTES = 1_200;
/** A certificate's key must leave so much to say; RSA keys of more than 3,072 bits don't. */
const LEAST_ROOM = 380;

/** No TLS handshake, certificate or request that the same key signs begins like this. */
const MARK = Buffer.from('GWM1');
const LENGTH_BYTES = 2;
const FRAME_BYTES = MARK.length + 2 * LENGTH_BYTES;

/** Checks of signatures, each of some 0.1 ms: of one member, and in all. A member sends ten a second when much happens. */
const CHECKS = { ofOne: { perSecond: 30, burst: 90 }, inAll: { perSecond: 500, burst: 1_000 } };

/** With how it signs, which is asked of a key once. */
interface Key {
  key: KeyObject;
  algorithm: 'sha256' | null;
}
const keyOf = (key: KeyObject): Key => ({
  key,
  algorithm: key.asymmetricKeyType === 'ed25519' || key.asymmetricKeyType === 'ed448' ? null : 'sha256',
});
/** Of one length for all signatures of a key. */
const dsaEncoding = 'ieee-p1363';

export class Seal {
  readonly #key: Key;
  readonly #shown: Buffer;
  /** Bytes that a message may have. */
  readonly room: number;

  private constructor(key: Key, shown: Buffer, signatureBytes: number) {
    this.#key = key;
    this.#shown = shown;
    this.room = DATAGRAM_BYTES - FRAME_BYTES - shown.length - signatureBytes;
  }

  /** @param pem of the private key; null where it is too large */
  static of(pem: Buffer): Seal | null {
    const key = keyOf(createPrivateKey(pem));
    const shown = createPublicKey(key.key).export({ type: 'spki', format: 'der' });
    const seal = new Seal(key, shown, signed(key, MARK).length);
    return seal.room < LEAST_ROOM ? null : seal;
  }

  /** Null for one that is too long. */
  seal(message: Message): Buffer | null {
    const keyLength = Buffer.alloc(LENGTH_BYTES);
    keyLength.writeUInt16BE(this.#shown.length);
    const text = Buffer.from(JSON.stringify(message));
    const content = Buffer.concat([MARK, keyLength, this.#shown, text]);
    const signature = signed(this.#key, content);
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt16BE(signature.length);
    const datagram = Buffer.concat([content, signature, length]);
    return datagram.length > DATAGRAM_BYTES ? null : datagram;
  }
}

const signed = ({ key, algorithm }: Key, content: Buffer) => sign(algorithm, content, { key, dsaEncoding });

/** Members by their pinned keys. */
export type Pins = ReadonlyMap<string, string>;

export interface Opened {
  from: string;
  message: Message;
}

export class Opener {
  #pins: Pins = new Map();
  readonly #keys = new Map<string, Key>();
  readonly #checks = new Map<string, Checks>();
  readonly #allChecks = new Checks(CHECKS.inAll);

  review(pins: Pins): void {
    this.#pins = pins;
    for (const kept of [this.#keys, this.#checks]) kept.clear();
  }

  /** What is cheap is looked at first. Null for whatever is not a member's, whole and unchanged. */
  open(datagram: Buffer, now: number): Opened | null {
    const parts = partsOf(datagram);
    if (!parts) return null;
    const pin = SHA256 + createHash('sha256').update(parts.key).digest('hex');
    const from = this.#pins.get(pin);
    if (from === undefined || !this.#mayCheck(pin, now)) return null;
    const { key, algorithm } = this.#keyOf(pin, parts.key);
    if (!verify(algorithm, parts.content, { key, dsaEncoding }, parts.signature)) return null;
    const message = read(parts.text);
    return message && { from, message };
  }

  #keyOf(pin: string, shown: Buffer): Key {
    const key = this.#keys.get(pin) ?? keyOf(createPublicKey({ key: shown, type: 'spki', format: 'der' }));
    this.#keys.set(pin, key);
    return key;
  }

  #mayCheck(pin: string, now: number): boolean {
    const checks = this.#checks.get(pin) ?? new Checks(CHECKS.ofOne);
    this.#checks.set(pin, checks);
    return checks.take(now) && this.#allChecks.take(now);
  }
}

function partsOf(datagram: Buffer) {
  const { length } = datagram;
  if (length < FRAME_BYTES || length > DATAGRAM_BYTES || !datagram.subarray(0, MARK.length).equals(MARK))
    return null;
  const keyAt = MARK.length + LENGTH_BYTES;
  const textAt = keyAt + datagram.readUInt16BE(MARK.length);
  const end = length - LENGTH_BYTES;
  const signatureAt = end - datagram.readUInt16BE(end);
  if (textAt > signatureAt || signatureAt < 0) return null;
  return {
    key: datagram.subarray(keyAt, textAt),
    text: datagram.subarray(textAt, signatureAt),
    content: datagram.subarray(0, signatureAt),
    signature: datagram.subarray(signatureAt, end),
  };
}

/** 1,200 bytes have no room for what is too deep or too much. */
function read(text: Buffer): Message | null {
  try {
    return Message.safeParse(JSON.parse(text.toString('utf8'))).data ?? null;
  } catch {
    return null;
  }
}

/** So many a second, saved up to `burst`. */
class Checks {
  #left: number;
  #at = Number.NEGATIVE_INFINITY;

  constructor(private readonly rate: { perSecond: number; burst: number }) {
    this.#left = rate.burst;
  }

  take(now: number): boolean {
    const { perSecond, burst } = this.rate;
    const passed = Number.isFinite(this.#at) ? Math.max(0, now - this.#at) : 0;
    this.#left = Math.min(burst, this.#left + (passed * perSecond) / 1_000);
    this.#at = now;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
