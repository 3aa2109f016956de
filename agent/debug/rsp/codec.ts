/**
 * Framing of the remote serial protocol (GDB manual, appendix "Remote Protocol", "Overview"): `$payload#cs`, where
 * cs is the sum of the payload's bytes modulo 256 in two hex digits; `%` in place of `$` makes it a notification;
 * `+`, `-` and 0x03 stand alone.
 *
 * A payload is a latin1 string: one character a byte, exactly as it stands between `$` and `#`.
 */
import { GodwitError } from '../../api/errors';

/** Bytes of a payload. gdb and gdbserver agree on some 18 KiB, lldb on at most 128 KiB; more is no debugger. */
export const MAX_PACKET = 128 << 10;

export type WireItem =
  | { kind: 'packet'; payload: string }
  | { kind: 'notification'; payload: string }
  | { kind: 'ack' }
  | { kind: 'nak' }
  | { kind: 'interrupt' }
  | { kind: 'bad-checksum' };

const DOLLAR = 0x24;
const PERCENT = 0x25;
const HASH = 0x23;
const CHECKSUM_DIGITS = 2;

const LONE_BYTES = new Map<number, WireItem>([
  [0x2b, { kind: 'ack' }],
  [0x2d, { kind: 'nak' }],
  [0x03, { kind: 'interrupt' }],
]);

export const packetTooLong = () =>
  new GodwitError({
    code: 'rsp-too-long',
    message: `a remote-protocol packet is longer than ${MAX_PACKET} bytes`,
    fix: 'is the other side a debugger?',
  });

export const malformedPacket = (what: string) =>
  new GodwitError({ code: 'rsp-malformed', message: `a remote-protocol packet is malformed: ${what}` });

/** Cuts a byte stream into its frames, whatever pieces it arrives in. */
export class PacketReader {
  /** Bytes seen outside of any frame. Debuggers skip them, and so does this reader; its owner may lose patience. */
  skipped = 0;

  private start = 0;
  private body: Buffer[] = [];
  private bodyBytes = 0;
  private checksum = '';
  private part: 'outside' | 'body' | 'checksum' = 'outside';

  /** The frames completed by `chunk`, in order. @throws rsp-too-long, after which the stream is good for nothing. */
  push(chunk: Buffer): WireItem[] {
    const items: WireItem[] = [];
    let at = 0;
    while (at < chunk.length) {
      if (this.part === 'outside') this.begin(chunk[at++]!, items);
      else if (this.part === 'body') at = this.takeBody(chunk, at);
      else this.takeDigit(chunk[at++]!, items);
    }
    return items;
  }

  private begin(byte: number, items: WireItem[]): void {
    const lone = LONE_BYTES.get(byte);
    if (lone) items.push(lone);
    else if (byte === DOLLAR || byte === PERCENT) {
      this.start = byte;
      this.part = 'body';
    } else this.skipped++;
  }

  private takeBody(chunk: Buffer, at: number): number {
    const hash = chunk.indexOf(HASH, at);
    const end = hash < 0 ? chunk.length : hash;
    this.bodyBytes += end - at;
    if (this.bodyBytes > MAX_PACKET) throw packetTooLong();
    // A copy: the chunk may be a slice of a pool that its stream writes again.
    if (end > at) this.body.push(Buffer.from(chunk.subarray(at, end)));
    if (hash < 0) return end;
    this.part = 'checksum';
    return hash + 1;
  }

  private takeDigit(byte: number, items: WireItem[]): void {
    this.checksum += String.fromCharCode(byte);
    if (this.checksum.length < CHECKSUM_DIGITS) return;
    const payload = Buffer.concat(this.body);
    const good =
      /^[0-9a-f]{2}$/i.test(this.checksum) && Number.parseInt(this.checksum, 16) === checksumOf(payload);
    if (!good) items.push({ kind: 'bad-checksum' });
    else {
      const kind = this.start === DOLLAR ? 'packet' : 'notification';
      items.push({ kind, payload: payload.toString('latin1') });
    }
    this.body = [];
    this.bodyBytes = 0;
    this.checksum = '';
    this.part = 'outside';
  }
}

function checksumOf(payload: Uint8Array): number {
  let sum = 0;
  for (const byte of payload) sum = (sum + byte) & 0xff;
  return sum;
}

/** A payload with its frame around it. @throws rsp-malformed for characters that a payload cannot hold. */
export function encodePacket(payload: string): Buffer {
  if (!isPayload(payload)) throw malformedPacket('its payload holds # or something that is not a byte');
  const body = Buffer.from(payload, 'latin1');
  const checksum = checksumOf(body).toString(16).padStart(CHECKSUM_DIGITS, '0');
  return Buffer.concat([Buffer.from('$'), body, Buffer.from(`#${checksum}`)]);
}

/** Can this string stand between `$` and `#`? */
export const isPayload = (text: string): boolean => !/[#\u0100-\uffff]/.test(text);

/** The character that stands for n repetitions is n + 29: printable, from 3 repetitions (a space) to 97 (a tilde). */
const RUN_BIAS = 29;

/**
 * A payload with its run-length encoding undone (`0* ` is `0000`). Only replies are encoded so; in a binary reply the
 * runs are undone first, the escapes after. @throws rsp-malformed, rsp-too-long
 */
export function expandRunLength(payload: string): string {
  if (!payload.includes('*')) return payload;
  const parts: string[] = [];
  let length = 0;
  let last = '';
  for (let at = 0; at < payload.length; ) {
    const star = payload.indexOf('*', at);
    const end = star < 0 ? payload.length : star;
    parts.push(payload.slice(at, end));
    // Where one run follows another at once, the character is still the same.
    if (end > at) last = payload[end - 1]!;
    length += end - at;
    at = end;
    if (star >= 0) {
      const repeats = payload.charCodeAt(star + 1) - RUN_BIAS;
      if (!last || !(repeats >= 3 && repeats <= 97)) throw malformedPacket('a run without its length');
      parts.push(last.repeat(repeats));
      length += repeats;
      at = star + 2;
    }
    if (length > MAX_PACKET) throw packetTooLong();
  }
  return parts.join('');
}

/** Bytes as binary data of a payload: `#`, `$`, `}` and `*` become `}` and themselves xor 0x20. */
export const escapeBinary = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    .toString('latin1')
    .replace(/[#$}*]/g, (character) => `}${flipped(character)}`);

/** The bytes that binary data of a payload (its runs already expanded) stands for. @throws rsp-malformed */
export function unescapeBinary(data: string): Buffer {
  const plain = data.replace(/\}([\s\S]?)/g, (_, escaped: string) => {
    if (!escaped) throw malformedPacket('an escape at its end');
    return flipped(escaped);
  });
  return Buffer.from(plain, 'latin1');
}

const flipped = (character: string): string => String.fromCharCode(character.charCodeAt(0) ^ 0x20);
