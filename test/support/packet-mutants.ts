/** Garbage that looks like gdb's remote protocol. */

/** Mutants of packets that a debugger sends, none of which lets the process run or go; the same for the same seed. */
export function mutants(count: number, seed = 12345): string[] {
  const seeds = [
    ...[
      '?',
      'g',
      'm400000,40',
      'M400000,2:9090',
      'X400000,2:ab',
      'Hgp2.2',
      'Hc-1',
      'T2',
      'p10',
      'P10=0011',
      'x400000,10',
    ],
    ...[
      'Z0,400000,1',
      'Z0,400000,1;X3,220027',
      'z0,400000,1',
      'Z2,400000,4',
      'z2,400000,4',
      'qC',
      'qAttached:2',
    ],
    ...[
      'qCRC:400000,100',
      'qSearch:memory:400000;100;ab',
      'qSymbol::',
      'qSymbol:0:61',
      'Qgodwit.symbols:61=401136;62=;',
      'qOffsets',
      'qfThreadInfo',
    ],
    ...[
      'qGetTLSAddr:p2.2,0,0',
      'qXfer:auxv:read::0,1000',
      'qXfer:features:read:target.xml:0,fff',
      'qXfer:siginfo:read::0,100',
    ],
    ...[
      'qXfer:siginfo:write::0:abc',
      'qXfer:libraries-svr4:read::0,1000',
      'qXfer:osdata:read:processes:0,1000',
    ],
    ...[
      'QPassSignals:e;10',
      'QCatchSyscalls:0',
      'QThreadEvents:0',
      'QProgramSignals:1;2',
      'vCont?',
      'qThreadExtraInfo,2',
    ],
    ...[
      'qXfer:exec-file:read:2:0,100',
      'qXfer:threads:read::0,1000',
      'vFile:open:2f6574632f706173737764,0,0',
    ],
    ...[
      'vFile:pread:0,100,0',
      'vFile:fstat:0',
      'vFile:close:0',
      'vFile:readlink:2f',
      'qSupported:multiprocess+;xmlRegisters=i386',
    ],
  ];
  let state = seed;
  const random = (below: number) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
  const bytes = '0123456789abcdef,;:-+=.pXZ*}\0\x7f\xff';
  const mutated = (seed: string): string => {
    let packet = seed;
    for (let times = 1 + random(3); times > 0; times--) {
      const at = random(packet.length + 1);
      const kind = random(5);
      const byte = bytes[random(bytes.length)]!;
      if (kind === 0) packet = packet.slice(0, at) + byte + packet.slice(at + 1);
      else if (kind === 1) packet = packet.slice(0, at) + byte + packet.slice(at);
      else if (kind === 2) packet = packet.slice(0, at) + packet.slice(at + 1 + random(4));
      else if (kind === 3) packet = packet.slice(0, at) + byte.repeat(1 + random(20_000)) + packet.slice(at);
      else packet += seeds[random(seeds.length)]!;
    }
    return packet;
  };
  const goesOn = /^(?:[cCsSkDFr]|vCont;|vKill|vRun|vAttach|vCtrlC|R)/;
  return Array.from({ length: count }, () => mutated(seeds[random(seeds.length)]!)).filter(
    (packet) => packet !== '' && !goesOn.test(packet),
  );
}
