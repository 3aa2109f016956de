/** Which packets reach gdbserver: every one that GDB's manual has, its malformed and oversized relatives, and garbage. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { isSoundExpression } from '../../agent/debug/rsp/agent-expression';
import { expandRunLength } from '../../agent/debug/rsp/codec';
import { featuresForClient, featuresForServer, packetSizeOf } from '../../agent/debug/rsp/features';
import { judge } from '../../agent/debug/rsp/requests';

/** What gdbserver 13 tells. */
const SIZE = 0x47ff;
const HEX_SIZE = (bytes: number) => bytes.toString(16);

const PASS = 'pass';
const NOT_KNOWN = { answer: '' };
const OK = { answer: 'OK' };
const WORDS = { answer: expect.stringMatching(/^E\.[^#$}*]+$/) };
const judged = (packet: string) => judge(packet, SIZE);

/** GDB manual, appendix "Remote Serial Protocol", by its sections; an example of each packet, and its relatives. */
const MANUAL: Record<string, [packet: string, verdict: unknown, wrong?: string[]][]> = {
  Packets: [
    ['!', NOT_KNOWN, ['!x']],
    ['?', PASS, ['?x']],
    ['A6,0,2f6c73', NOT_KNOWN],
    ['b9600', NOT_KNOWN],
    ['B401136,S', NOT_KNOWN],
    ['bc', NOT_KNOWN],
    ['bs', NOT_KNOWN],
    ['c', PASS, ['c;', 'cxyz', 'c12345678901234567']],
    ['c401136', PASS],
    ['C05', PASS, ['C', 'C5', 'C05;', 'Czz', 'C05;401136;']],
    ['C05;401136', PASS],
    ['d', NOT_KNOWN],
    ['D', PASS, ['Dx', 'D;', 'D;xyz', 'D;123456789']],
    ['D;2', PASS],
    ['F-1,5', NOT_KNOWN],
    ['g', PASS, ['g0', 'g;thread:1;']],
    ['G00xx11', PASS, ['G', 'G0', 'G0g', `G${'00'.repeat(SIZE)}`]],
    ['Hgp2.-1', PASS, ['H', 'Hg', 'Hx1', 'Hgp', 'Hgp2', 'Hgp1.2.3', 'Hg1,2', `Hg${'1'.repeat(9)}`]],
    ['Hc0', PASS],
    ['i401136,1', NOT_KNOWN],
    ['I', NOT_KNOWN],
    ['k', PASS, ['kx']],
    [
      'm401136,40',
      PASS,
      ['m', 'm401136', 'm401136,', 'm,4', 'm401136,40,1', 'm401136,9c40', 'mx,1', 'm0,ffffffff'],
    ],
    [
      'M401136,2:9090',
      PASS,
      ['M401136,3:9090', 'M401136,1:9090', 'M401136,2', 'M401136,2:9g90', 'M401136,ffffffff:'],
    ],
    ['p10', PASS, ['p', 'p10000', 'pzz']],
    ['P10=0011223344556677', PASS, ['P10', 'P10=', 'P10=0', `P10=${'00'.repeat(513)}`]],
    ['r', NOT_KNOWN],
    ['R00', NOT_KNOWN],
    ['s', PASS, ['s;']],
    ['S05;401136', PASS, ['S']],
    ['t401136:00,ff', NOT_KNOWN],
    ['Tp2.2', PASS, ['T', 'Tp2.2.2']],
    ['vAttach;5', WORDS],
    [
      'vCont;s:p2.2;c',
      PASS,
      ['vCont', 'vCont;', 'vCont;t', 'vCont;C5', 'vCont;c05', 'vCont;c:', 'vCont;x', 'vCont;c;;c'],
    ],
    ['vCont;C0a:2;S05:p2.3;r401136,401140:p2.2;c:-1', PASS, ['vCont;r1:p2.2', 'vCont;r1,2,3']],
    ['vCont?', PASS, ['vCont?;', 'vCont??']],
    ['vCtrlC', OK],
    ['vFlashErase:0,1', NOT_KNOWN],
    ['vFlashWrite:0:x', NOT_KNOWN],
    ['vFlashDone', NOT_KNOWN],
    ['vKill;2', PASS, ['vKill', 'vKill;', 'vKill;-1', 'vKill;2;3']],
    ['vMustReplyEmpty', NOT_KNOWN],
    ['vRun;2f6c73', WORDS],
    ['vStopped', NOT_KNOWN],
    ['x401136,40', PASS, ['x401136', 'x401136,9c40']],
    [
      'X401136,2:\x90\x90',
      PASS,
      ['X401136,3:\x90\x90', 'X401136,1:\x90\x90', 'X401136,1:}', 'X401136,ffffffff:'],
    ],
    ['X401136,2:}\x03}\x04', PASS, ['X401136,4:}\x03}\x04']],
    ['X401136,0:', PASS],
    [
      'Z0,401136,1',
      PASS,
      ['Z0', 'Z0,401136', 'Z0,401136,1,2', 'Z5,401136,1', 'Z0,401136,10000', 'Z0,401136,1;'],
    ],
    [
      'Z0,401136,1;X3,220027',
      PASS,
      [
        'Z0,401136,1;X4,220027',
        'Z0,401136,1;X2,220027',
        'Z0,401136,1;Xffff,220027',
        'Z0,401136,1;X3,22002',
        'Z0,401136,1;X1,00',
        'Z0,401136,1;X0,',
        'Z0,401136,1;X3,220027;cmds:0,X3,220027',
        'Z0,401136,1;cmds:1,X3,220027',
      ],
    ],
    ['Z0,401136,1;X3,220027X3,220127', PASS],
    ['Z1,401136,1;X3,220027', PASS],
    ['Z2,404010,4', PASS, ['Z2,404010,4;X3,220027']],
    ['Z3,404010,8', PASS],
    ['Z4,404010,8', PASS],
    ['z0,401136,1', PASS, ['z0,401136,1;X3,220027', 'z', 'z0']],
  ],
  'General Query Packets': [
    ['QAgent:1', NOT_KNOWN],
    ['QAllow:WriteReg:1', NOT_KNOWN],
    ['qC', PASS, []],
    ['qCRC:401000,1000', PASS, ['qCRC:', 'qCRC:401000', 'qCRC:0,7fffffffffff']],
    ['QDisableRandomization:0', NOT_KNOWN],
    ['QStartupWithShell:1', NOT_KNOWN],
    ['QEnvironmentHexEncoded:4c443d61', NOT_KNOWN],
    ['QEnvironmentUnset:4c44', NOT_KNOWN],
    ['QEnvironmentReset', NOT_KNOWN],
    ['QSetWorkingDir:2f', NOT_KNOWN],
    ['qfThreadInfo', PASS, ['qfThreadInfo0']],
    ['qsThreadInfo', PASS],
    [
      'qGetTLSAddr:p2.2,10,7ffff7ffe180',
      PASS,
      ['qGetTLSAddr:p2.2,10', 'qGetTLSAddr:p2.2,10,1,2', 'qGetTLSAddr:,,', 'qGetTLSAddr:p2,0,0'],
    ],
    ['qGetTIBAddr:p2.2', NOT_KNOWN],
    ['qL1200000000000000000', NOT_KNOWN],
    ['qMemTags:401000,10:1', NOT_KNOWN],
    ['QMemTags:401000,10:1:00', NOT_KNOWN],
    ['qIsAddressTagged:401000', NOT_KNOWN],
    ['qOffsets', PASS, ['qOffsets:1']],
    ['qP0000001f0000000000000002', NOT_KNOWN],
    ['QNonStop:0', OK],
    ['QNonStop:1', WORDS],
    [
      'QCatchSyscalls:1;1;e7',
      PASS,
      ['QCatchSyscalls:', 'QCatchSyscalls:2', 'QCatchSyscalls:1;xyz', `QCatchSyscalls:1${';1'.repeat(1025)}`],
    ],
    ['QCatchSyscalls:1', PASS],
    ['QCatchSyscalls:0', PASS],
    [
      'QPassSignals:e;10;',
      PASS,
      ['QPassSignals', 'QPassSignals:100', 'QPassSignals:e,10', `QPassSignals:${'1;'.repeat(1025)}`],
    ],
    ['QPassSignals:', PASS],
    ['QProgramSignals:0;1;97', PASS, ['QProgramSignals:zz']],
    ['QThreadEvents:1', PASS, ['QThreadEvents:2', 'QThreadEvents']],
    ['QThreadOptions;3:p2.-1', NOT_KNOWN],
    ['qRcmd,65786974', { answer: expect.stringMatching(/^[0-9a-f]+$/) }],
    [
      'qSearch:memory:401000;1000;\x7fELF',
      PASS,
      [
        'qSearch:memory:401000;1000;',
        'qSearch:memory:401000;1;abc',
        'qSearch:memory:401000;1000;}',
        'qSearch:memory:0;7fffffffffff;a',
        'qSearch:memory:401000;1000',
        'qSearch:files:401000;1000;a',
      ],
    ],
    ['QStartNoAckMode', OK],
    [
      'qSupported:multiprocess+;xmlRegisters=i386;swbreak+',
      PASS,
      [
        'qSupported:',
        'qSupported:a b',
        'qSupported:multiprocess',
        `qSupported:${Array(129).fill('a+').join(';')}`,
        `qSupported:${'a'.repeat(200_000)}+`,
      ],
    ],
    ['qSymbol::', PASS, ['qSymbol', 'qSymbol:', 'qSymbol:zz:', 'qSymbol::6', 'qSymbol:1:2:3']],
    ['qSymbol:401136:6d61696e', PASS],
    ['qTBuffer:0,10', NOT_KNOWN],
    ['qThreadExtraInfo,p2.2', PASS, ['qThreadExtraInfo', 'qThreadExtraInfo,']],
    ['qAttached:2', PASS, ['qAttached:', 'qAttached:xyz']],
    ['qAttached', PASS],
    ['Qbtrace:bts', WORDS],
    ['Qbtrace:off', WORDS],
    ['Qbtrace-conf:bts:size=10000', WORDS],
    [
      'qXfer:auxv:read::0,1000',
      PASS,
      ['qXfer:auxv:read:x:0,1000', 'qXfer:auxv:read::0,4800', 'qXfer:auxv:read::0', 'qXfer:auxv:read::,'],
    ],
    ['qXfer:btrace:read:all:0,1000', NOT_KNOWN],
    ['qXfer:btrace-conf:read::0,1000', NOT_KNOWN],
    ['qXfer:exec-file:read:2:0,1000', PASS, ['qXfer:exec-file:read:../2:0,1000']],
    [
      'qXfer:features:read:target.xml:0,1000',
      PASS,
      ['qXfer:features:read::0,1000', 'qXfer:features:read:../../etc/passwd:0,1000'],
    ],
    ['qXfer:libraries:read::0,1000', PASS],
    [
      'qXfer:libraries-svr4:read:start=7ffff7ffe180;prev=0:0,1000',
      PASS,
      ['qXfer:libraries-svr4:read:start=zz:0,1000', 'qXfer:libraries-svr4:read:other=1:0,1000'],
    ],
    ['qXfer:libraries-svr4:read::0,1000', PASS],
    ['qXfer:memory-map:read::0,1000', NOT_KNOWN],
    ['qXfer:osdata:read:processes:0,1000', PASS, ['qXfer:osdata:read:../x:0,1000']],
    ['qXfer:sdata:read::0,1000', NOT_KNOWN],
    ['qXfer:siginfo:read::0,1000', PASS],
    [
      'qXfer:siginfo:write::0:abc',
      PASS,
      [
        'qXfer:siginfo:write::0:}',
        'qXfer:siginfo:write:x:0:a',
        `qXfer:siginfo:write::0:${'a'.repeat(129)}`,
        'qXfer:siginfo:write::80:a',
      ],
    ],
    ['qXfer:statictrace:read::0,1000', NOT_KNOWN],
    ['qXfer:threads:read::0,1000', PASS, ['qXfer:threads:read:x:0,1000']],
    ['qXfer:traceframe-info:read::0,1000', NOT_KNOWN],
    ['qXfer:uib:read:0:0,1000', NOT_KNOWN],
    ['qXfer:fdpic:read:exec:0,1000', NOT_KNOWN],
    ['qXfer:spu:write:x:0:a', NOT_KNOWN],
  ],
  'Tracepoint Packets': [
    ...[
      'QTDP:1:401136:E:0:0',
      'QTDPsrc:1:401136:cond:0:1:61',
      'QTDV:1:0:0:61',
      'QTFrame:-1',
      'QTinit',
      'QTStart',
      'QTStop',
    ],
    ...[
      'QTEnable:1:401136',
      'QTDisable:1:401136',
      'QTro:0,1',
      'QTDisconnected:1',
      'QTNotes:user:61',
      'QTSave:61',
      'QTBuffer:circular:1',
    ],
  ].map((packet): [string, unknown] => [packet, WORDS]),
  'Tracepoint queries': [
    ...[
      'qTStatus',
      'qTP:1:401136',
      'qTV:1',
      'qTfP',
      'qTsP',
      'qTfV',
      'qTsV',
      'qTfSTM',
      'qTsSTM',
      'qTSTMat:401136',
      'qTMinFTPILen',
    ],
  ].map((packet): [string, unknown] => [packet, NOT_KNOWN]),
  // Answered by vfile.ts, which has tests of its own.
  'Host I/O Packets': [
    ...[
      'vFile:open:2f61,0,0',
      'vFile:close:0',
      'vFile:pread:0,10,0',
      'vFile:pwrite:0,0,a',
      'vFile:fstat:0',
      'vFile:stat:2f61',
    ],
    ...['vFile:unlink:2f61', 'vFile:readlink:2f61', 'vFile:setfs:0'],
  ].map((packet): [string, unknown] => [packet, PASS]),
  "lldb's own": [
    ...[
      'qHostInfo',
      'qProcessInfo',
      'QThreadSuffixSupported',
      'QListThreadsInStopReply',
      'QEnableErrorStrings',
      'jThreadsInfo',
    ],
    ...[
      'qRegisterInfo0',
      'qMemoryRegionInfo:0',
      'qShlibInfoAddr',
      'qStructuredDataPlugins',
      'qVAttachOrWaitSupported',
      'qThreadStopInfo2',
    ],
  ].map((packet): [string, unknown] => [packet, NOT_KNOWN]),
};

describe.each(Object.entries(MANUAL))("GDB's manual, %s", (_section, packets) => {
  it.each(packets)('%j', (packet, verdict, wrong = []) => {
    expect(judged(packet)).toEqual(verdict);
    for (const one of wrong) expect([one.slice(0, 60), judged(one)]).not.toEqual([one.slice(0, 60), PASS]);
    // What is no byte of a shape, wherever it stands, is of none.
    if (verdict === PASS && !/^(?:X|qSearch|vFile|qXfer:siginfo:write)/.test(packet))
      for (const more of ['\0', '}', '*', '\n', ' ', ';', 'é'])
        expect([packet, more, judged(packet + more)]).not.toEqual([
          packet,
          more,
          /^Q(Pass|Program|Catch)|libraries-svr4/.test(packet) && more === ';' ? '' : PASS,
        ]);
  });
});

test('nothing is longer than gdbserver takes, and asks for no longer answer', () => {
  const padded = (length: number) => `qSymbol::${'61'.repeat(length)}`.slice(0, length);
  expect(judged(`q${'a'.repeat(200_000)}`)).toEqual(NOT_KNOWN);
  expect(judged(padded(SIZE))).toBe(PASS);
  expect(judged(padded(SIZE + 2))).toEqual(WORDS);
  const most = Math.floor((SIZE - 1) / 2);
  for (const kind of ['m', 'x']) {
    expect(judged(`${kind}401136,${HEX_SIZE(most)}`)).toBe(PASS);
    expect(judged(`${kind}401136,${HEX_SIZE(most + 1)}`)).toEqual(WORDS);
  }
  expect(judged(`qXfer:auxv:read::0,${HEX_SIZE(SIZE)}`)).toBe(PASS);
  expect(judged(`qXfer:auxv:read::0,${HEX_SIZE(SIZE + 1)}`)).toEqual(WORDS);
});

test('its size is what it says, within reason', () => {
  expect(packetSizeOf('PacketSize=47ff;QPassSignals+', 1 << 17)).toBe(0x47ff);
  expect(packetSizeOf('PacketSize=ffffffff', 1 << 17)).toBe(1 << 17);
  expect(packetSizeOf('QPassSignals+', 1 << 17)).toBe(400);
});

test('each tells the other what works here, and no more', () => {
  expect(featuresForServer('qSupported')).toBe('qSupported:swbreak+;hwbreak+');
  expect(featuresForServer('qSupported:multiprocess+;swbreak+;qRelocInsn+;new-thing+')).toBe(
    'qSupported:multiprocess+;swbreak+;hwbreak+',
  );
  const features =
    'PacketSize=47ff;QPassSignals+;QNonStop+;multiprocess+;Qbtrace:bts+;qXfer:btrace:read+;BreakpointCommands+;ConditionalBreakpoints+;swbreak+;new-thing+';
  expect(featuresForClient(features)).toBe(
    'PacketSize=47ff;QPassSignals+;multiprocess+;ConditionalBreakpoints+;swbreak+',
  );
});

test('garbage and mutants of good packets never look good by their form alone', () => {
  const good = Object.values(MANUAL).flatMap((packets) => packets.map(([packet]) => packet));
  const mutant = fc
    .tuple(fc.constantFrom(...good), fc.nat(60), fc.constantFrom('\0', '}', '*', ' ', '\x80', '"', '/'))
    .map(([packet, at, byte]) => packet.slice(0, at) + byte + packet.slice(at + 1));
  fc.assert(
    fc.property(mutant, (packet) => {
      if (judged(packet) !== PASS) return;
      // Only where any byte may stand.
      expect(packet).toMatch(
        /^(?:X[0-9a-f]+,[0-9a-f]+:|qSearch:memory:|vFile:|qXfer:siginfo:write:|qXfer:osdata:)/,
      );
    }),
    { numRuns: 5000 },
  );
});

describe('conditions of breakpoints', () => {
  const sound = (hex: string) => isSoundExpression(Buffer.from(hex, 'hex'));

  it('that gdb makes', () => {
    // n == 150; a && b; const64 and registers.
    for (const code of ['220127', '260006' + '22ec' + '1620' + '02' + '19' + '1620' + '2296' + '13' + '27'])
      expect([code, sound(code)]).toEqual([code, true]);
    expect(sound('2201' + '200009' + '2200' + '21000b' + '2201' + '27')).toBe(false);
    expect(sound('2201' + '20000a' + '2200' + '21000c' + '2201' + '27')).toBe(true);
  });

  it.each([
    ['nothing', ''],
    ['no end', '2201'],
    ['an end with nothing to say', '27'],
    ['more taken than given', '220102' + '27'],
    ['a pick below the stack', '22013201' + '27'],
    ['a jump back', '2201' + '200000' + '220127'],
    ['a jump into an instruction', '2201' + '200006' + '2322222727'],
    ['a jump over its end', '2201' + '20ffff' + '220127'],
    ['an operand that is missing', '26'],
    ['a register that is none', '26ffff27'],
    ['an extension by nothing', '2201' + '1600' + '27'],
    ['what prints', '2201' + '34' + '27'],
    ['what traces', '22012201' + '0c' + '27'],
    ['what sets', '22012d0001' + '27'],
    ['floating point', '22011b' + '27'],
    ['more than the stack holds', `${'2201'.repeat(65)}27`],
    ['what is never reached', '220127' + '220127'],
  ])('with %s are not run', (_what, code) => {
    expect(sound(code)).toBe(false);
  });
});

describe.each(['ack', 'noack', 'lldb'])('the recorded session %s', (name) => {
  /** What a debugger asks for and is refused, though gdbserver would answer. */
  const REFUSED = /^(?:QNonStop|QStartNoAckMode|qT|vFile|qXfer:btrace)/;

  it('goes through, or is answered as gdbserver has answered it', () => {
    const asked = exchanges(name);
    expect(asked.length).toBeGreaterThan(50);
    for (const { request, reply } of asked) {
      const verdict = judged(request);
      if (verdict === PASS || REFUSED.test(request)) continue;
      expect({ request, ...(verdict as object) }).toEqual({ request, answer: expandRunLength(reply) });
    }
  });
});

/** Requests and the first reply to each, of a transcript (fixtures/rsp/README.md). */
function exchanges(name: string): { request: string; reply: string }[] {
  const bytes = gunzipSync(readFileSync(new URL(`../fixtures/rsp/${name}.rsp.gz`, import.meta.url)));
  const found: { request: string; reply: string }[] = [];
  let waiting: string[] = [];
  for (const line of bytes.toString('latin1').split('\n')) {
    const text = line
      .slice(2)
      .replace(/\\x([0-9a-f]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
    for (const [, payload] of text.matchAll(/\$([^#]*)#../g)) {
      if (line.startsWith('>')) waiting.push(payload!);
      else if (waiting.length > 0) found.push({ request: waiting.shift()!, reply: payload! });
    }
  }
  waiting = [];
  return found;
}
