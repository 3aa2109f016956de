import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  encodePacket,
  escapeBinary,
  expandRunLength,
  MAX_PACKET,
  PacketReader,
  unescapeBinary,
  type WireItem,
} from '../../agent/debug/rsp/codec';
import {
  formatThreadId,
  isResume,
  isStopReply,
  parseStopReply,
  parseThreadId,
  replaceSignal,
  withoutSignal,
} from '../../agent/debug/rsp/packets';

const fixture = (name: string) => readFileSync(new URL(`../fixtures/rsp/${name}`, import.meta.url));

interface Recorded {
  direction: '>' | '<';
  bytes: Buffer;
}

function transcript(name: string): Recorded[] {
  const text = gunzipSync(fixture(name)).toString('latin1');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => ({
      direction: line[0] as '>' | '<',
      bytes: Buffer.from(
        line.slice(2).replace(/\\x(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
        'latin1',
      ),
    }));
}

const oneWay = (recorded: Recorded[], direction: string) =>
  Buffer.concat(recorded.filter((one) => one.direction === direction).map(({ bytes }) => bytes));

/** Each request with the replies up to the next one. */
function exchanges(recorded: Recorded[]): { request: string; replies: string[] }[] {
  const readers = { '>': new PacketReader(), '<': new PacketReader() };
  const found: { request: string; replies: string[] }[] = [];
  for (const { direction, bytes } of recorded) {
    for (const item of readers[direction].push(bytes)) {
      if (item.kind !== 'packet') continue;
      if (direction === '>') found.push({ request: item.payload, replies: [] });
      else found.at(-1)!.replies.push(item.payload);
    }
  }
  return found;
}

function encodeItem(item: WireItem): Buffer {
  switch (item.kind) {
    case 'packet':
      return encodePacket(item.payload);
    case 'notification': {
      const frame = encodePacket(item.payload);
      frame[0] = '%'.charCodeAt(0);
      return frame;
    }
    case 'ack':
      return Buffer.from('+');
    case 'nak':
      return Buffer.from('-');
    case 'interrupt':
      return Buffer.from([3]);
    case 'bad-checksum':
      return Buffer.from('$damaged#00');
  }
}

/** Bytes in pieces of the given sizes, over and over. */
function pieces(bytes: Buffer, sizes: number[]): Buffer[] {
  const cut: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length]!;
    cut.push(bytes.subarray(at, at + size));
    at += size;
  }
  return cut;
}

function readAll(chunks: Buffer[]): { items: WireItem[]; skipped: number } {
  const reader = new PacketReader();
  const items = chunks.flatMap((chunk) => reader.push(chunk));
  return { items, skipped: reader.skipped };
}

const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 });
const payload = fc
  .uint8Array({ maxLength: 60 })
  .map((bytes) => Buffer.from(bytes.filter((byte) => byte !== 0x23)).toString('latin1'));
const item: fc.Arbitrary<WireItem> = fc.oneof(
  fc.record({ kind: fc.constantFrom('packet' as const, 'notification' as const), payload }),
  fc.record({
    kind: fc.constantFrom('ack' as const, 'nak' as const, 'interrupt' as const, 'bad-checksum' as const),
  }),
);

describe.each(['ack.rsp.gz', 'noack.rsp.gz', 'lldb.rsp.gz'])('the recorded session %s', (name) => {
  const recorded = transcript(name);

  it.each(['>', '<'])('is read whole and written back byte for byte (%s)', (direction) => {
    const bytes = oneWay(recorded, direction);
    fc.assert(
      fc.property(sizes, (some) => {
        const { items, skipped } = readAll(pieces(bytes, some));
        expect(skipped).toBe(0);
        expect(items.filter(({ kind }) => kind === 'bad-checksum')).toEqual([]);
        expect(Buffer.concat(items.map(encodeItem)).equals(bytes)).toBe(true);
      }),
      { numRuns: 10 },
    );
  });

  it('has a stop reply, and nothing more, after each resume', () => {
    const resumes = exchanges(recorded).filter(({ request }) => isResume(request));
    expect(resumes.length).toBeGreaterThan(2);
    for (const { replies } of resumes) {
      expect(replies).toHaveLength(1);
      expect(isStopReply(replies[0]!)).toBe(true);
    }
  });
});

describe.each(['ack.rsp.gz', 'noack.rsp.gz'])('the session of gdb in %s', (name) => {
  const recorded = transcript(name);

  it('has memory reads whose runs expand to the bytes asked for', () => {
    let encoded = 0;
    for (const { request, replies } of exchanges(recorded)) {
      const asked = /^m[0-9a-f]+,([0-9a-f]+)$/.exec(request);
      if (!asked || /^E..$/.test(replies[0]!)) continue;
      if (replies[0]!.includes('*')) encoded++;
      const bytes = expandRunLength(replies[0]!);
      expect(bytes).toMatch(/^[0-9a-f]+$/);
      expect(bytes.length).toBe(2 * Number.parseInt(asked[1]!, 16));
    }
    expect(encoded).toBeGreaterThan(5);
  });

  it('has a binary write with every byte value, escaped as we would', () => {
    const write = exchanges(recorded).find(({ request }) => /^X[0-9a-f]+,200:/.test(request))!;
    const data = write.request.slice(write.request.indexOf(':') + 1);
    expect(unescapeBinary(data).equals(fixture('bytes.bin'))).toBe(true);
    expect(data).toBe(escapeBinary(fixture('bytes.bin')));
    expect(write.replies).toEqual(['OK']);
  });

  it('has no stop reply to anything that asks for memory, files or features', () => {
    for (const { request, replies } of exchanges(recorded)) {
      if (/^(?:m|g|vFile|qXfer|qSupported|Z|z|H)/.test(request)) {
        expect(replies.filter((reply) => isStopReply(reply))).toEqual([]);
      }
    }
  });
});

it('reads the files that gdb was sent, runs first and escapes after', () => {
  const reads = exchanges(transcript('noack.rsp.gz')).filter(({ request }) =>
    request.startsWith('vFile:pread:'),
  );
  const contents = reads.map(({ replies }) => {
    const reply = expandRunLength(replies[0]!);
    const [, length, data] = /^F([0-9a-f]+);([\s\S]*)$/.exec(reply)!;
    const bytes = unescapeBinary(data!);
    expect(bytes.length).toBe(Number.parseInt(length!, 16));
    return bytes;
  });
  expect(contents.some((bytes) => bytes.equals(fixture('bytes.bin')))).toBe(true);
});

it('sees the breakpoint, the watchpoint and the end in the recorded session', () => {
  const replies = exchanges(transcript('noack.rsp.gz'))
    .filter(({ request }) => isResume(request))
    .map((exchange) => parseStopReply(exchange.replies[0]!)!);
  const reasons = replies.map((reply) => (reply.kind === 'stop' ? reply.reason : reply.kind));
  expect(reasons).toContain('swbreak');
  expect(reasons).toContain('watch');
  expect(reasons.at(-1)).toBe('exited');
  expect(replies.at(-1)).toMatchObject({ kind: 'exited', status: 0 });
  for (const reply of replies.slice(0, -1)) {
    expect(reply).toMatchObject({
      kind: 'stop',
      signal: 5,
      thread: expect.stringMatching(/^p[0-9a-f]+\.[0-9a-f]+$/),
    });
  }
});

describe('framing', () => {
  it('reads any frames back, in whatever pieces they come', () => {
    fc.assert(
      fc.property(fc.array(item, { maxLength: 20 }), sizes, (items, some) => {
        const bytes = Buffer.concat(items.map(encodeItem));
        expect(readAll(pieces(bytes, some))).toEqual({ items, skipped: 0 });
      }),
    );
  });

  it('takes any bytes without failing and finds the next packet', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), sizes, (junk, some) => {
        // The first packet ends whatever the junk began.
        const bytes = Buffer.concat([junk, encodePacket('one'), encodePacket('two')]);
        expect(readAll(pieces(bytes, some)).items.at(-1)).toEqual({ kind: 'packet', payload: 'two' });
      }),
    );
  });

  it.each(['$abc#00', '$abc#2', '$abc#zz', '$#01', '$abc# 6', '$abc#-1'])('finds %s damaged', (frame) => {
    expect(readAll([Buffer.from(`${frame}+`)]).items[0]).toEqual({ kind: 'bad-checksum' });
  });

  it('reads checksums in either case', () => {
    const bytes = Buffer.from(
      encodePacket('vCont?')
        .toString('latin1')
        .replace(/#.*/, (sum) => sum.toUpperCase()),
    );
    expect(readAll([bytes]).items).toEqual([{ kind: 'packet', payload: 'vCont?' }]);
  });

  it('counts what it skips', () => {
    expect(readAll([Buffer.from('GET / HTTP/1.1\r\n\r\n')])).toEqual({ items: [], skipped: 18 });
  });

  it('takes the longest packet, and refuses a longer one before its end', () => {
    const longest = 'a'.repeat(MAX_PACKET);
    expect(readAll([encodePacket(longest)]).items).toEqual([{ kind: 'packet', payload: longest }]);
    expect(() => readAll([Buffer.from(`$${longest}b`)])).toThrow(
      expect.objectContaining({ code: 'rsp-too-long' }),
    );
  });

  it('does not keep chunks that their stream will write again', () => {
    const reader = new PacketReader();
    const chunk = Buffer.from('$ab');
    reader.push(chunk);
    chunk.fill(0);
    expect(reader.push(encodePacket('ab').subarray(3))).toEqual([{ kind: 'packet', payload: 'ab' }]);
  });

  it.each(['a#b', 'snow ☃'])('refuses to frame %s', (text) => {
    expect(() => encodePacket(text)).toThrow(expect.objectContaining({ code: 'rsp-malformed' }));
  });
});

describe('binary data', () => {
  it('comes back after escaping, and holds nothing that a frame cannot', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const data = escapeBinary(bytes);
        expect(data).not.toMatch(/[#$*]/);
        expect(unescapeBinary(data).equals(Buffer.from(bytes))).toBe(true);
      }),
    );
  });

  it('may not end in an escape', () => {
    expect(() => unescapeBinary('ab}')).toThrow(expect.objectContaining({ code: 'rsp-malformed' }));
  });
});

describe('run lengths', () => {
  /** As gdbserver does it: runs of 4 to 98, never with a count that means something to the framing. */
  const encodeRuns = (text: string) =>
    text.replace(/(.)\1{3,96}/g, (run, character: string) => {
      const count = String.fromCharCode(run.length - 1 + 29);
      return '#$+-'.includes(count) ? run : `${character}*${count}`;
    });
  const runs = fc
    .array(fc.tuple(fc.constantFrom(...'0f7x}'), fc.integer({ min: 1, max: 200 })), { maxLength: 12 })
    .map((some) => some.map(([character, count]) => character.repeat(count)).join(''));

  it('expand to what was encoded', () => {
    expect(expandRunLength('0* ')).toBe('0000');
    expect(expandRunLength('0* * 1')).toBe('00000001');
    fc.assert(
      fc.property(runs, (text) => {
        expect(expandRunLength(encodeRuns(text))).toBe(text);
      }),
    );
  });

  it.each(['*', '* ', '0*', '0*\x1f', '0*\x7f'])('refuse %j', (text) => {
    expect(() => expandRunLength(text)).toThrow(expect.objectContaining({ code: 'rsp-malformed' }));
  });

  it('do not grow without bound', () => {
    expect(() => expandRunLength('0*~'.repeat(20_000))).toThrow(
      expect.objectContaining({ code: 'rsp-too-long' }),
    );
  });
});

describe('packets', () => {
  it.each([
    [
      'T05swbreak:;06:0*"7f0*";thread:p1.2;core:0;',
      { kind: 'stop', signal: 5, reason: 'swbreak', detail: '', thread: 'p1.2' },
    ],
    [
      'T05watch:404028;thread:1;',
      { kind: 'stop', signal: 5, reason: 'watch', detail: '404028', thread: '1' },
    ],
    [
      'T05fork:p2.2;thread:p1.1;',
      { kind: 'stop', signal: 5, reason: 'fork', detail: 'p2.2', thread: 'p1.1' },
    ],
    [
      'T05vforkdone:;thread:p1.1;',
      { kind: 'stop', signal: 5, reason: 'vforkdone', detail: '', thread: 'p1.1' },
    ],
    [
      'T05exec:2f62696e;thread:p1.1;',
      { kind: 'stop', signal: 5, reason: 'exec', detail: '2f62696e', thread: 'p1.1' },
    ],
    ['T0b', { kind: 'stop', signal: 11 }],
    ['S05', { kind: 'stop', signal: 5 }],
    ['W00', { kind: 'exited', status: 0 }],
    ['W2a;process:1f', { kind: 'exited', status: 42, process: 31 }],
    ['X09;process:1f', { kind: 'signalled', signal: 9, process: 31 }],
    ['w00;p1.2', { kind: 'thread-exited', status: 0, thread: 'p1.2' }],
    ['N', { kind: 'none' }],
  ])('%s is a stop reply', (raw, meaning) => {
    expect(parseStopReply(raw)).toEqual({ ...meaning, raw });
  });

  it.each([
    'OK',
    'E01',
    '',
    'T',
    'T0',
    'T05;',
    'Txx',
    'QC1',
    'Nothing',
    'W',
    'X10,4:abcd',
    `T05${'a:'.repeat(5000)};;`,
  ])('%s is none', (raw) => {
    expect(parseStopReply(raw)).toBeNull();
  });

  it.each([
    'vCont;c',
    'vCont;C0b:p1.1;c',
    'vCont;r1,2:p1.1;c:p1.-1',
    'c',
    'c401000',
    's',
    'C0b',
    'S05;401000',
  ])('%s resumes', (text) => expect(isResume(text)).toBe(true));
  it.each(['vCont?', 'vCtrlC', 'qC', 'D', 'C', 'continue', 'k', '?'])('%s does not resume', (text) =>
    expect(isResume(text)).toBe(false),
  );

  it.each([
    ['vCont;C0b:p1.1;c', 'vCont;c:p1.1;c'],
    ['vCont;S0b:p1.1;C0a', 'vCont;s:p1.1;c'],
    ['vCont;r1c,2c:p1.1;c:p1.-1', 'vCont;r1c,2c:p1.1;c:p1.-1'],
    ['C0b', 'c'],
    ['S0b;401000', 's401000'],
    ['c401000', 'c401000'],
  ])('%s without its signal is %s', (resume, silent) => {
    expect(withoutSignal(resume)).toBe(silent);
    expect(isResume(silent)).toBe(true);
  });

  it.each([
    ['p1f.-1', { process: 31, thread: -1 }],
    ['p1f.0', { process: 31, thread: 0 }],
    ['p-1.-1', { process: -1, thread: -1 }],
    ['-1', { thread: -1 }],
    ['0', { thread: 0 }],
    ['1f', { thread: 31 }],
  ])('%s is a thread id', (text, id) => {
    expect(parseThreadId(text)).toEqual(id);
    expect(formatThreadId(id)).toBe(text);
  });
  it('knows a process alone as all its threads', () =>
    expect(parseThreadId('p2')).toEqual({ process: 2, thread: -1 }));
  it.each(['', 'p', 'p1.', 'p.1', '-2', 'xyz', 'p1.2.3'])('%j is no thread id', (text) =>
    expect(parseThreadId(text)).toBeNull(),
  );

  it('replaces the signal of a stop, and of nothing else', () => {
    expect(replaceSignal('T11thread:p1.1;', 2)).toBe('T02thread:p1.1;');
    expect(replaceSignal('S11', 2)).toBe('S02');
    expect(replaceSignal('W11', 2)).toBe('W11');
    expect(parseStopReply(replaceSignal('T0*"0:0*";thread:p1.1;', 2))).toMatchObject({
      signal: 2,
      thread: 'p1.1',
    });
  });
});
