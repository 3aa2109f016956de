/** How threads are held, and what their registers may have become: pure, and /proc's texts. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { arm64, runsOf, x64 } from '../../agent/debug/attach/spin';
import { parseStatus, parseSyscall } from '../../agent/debug/attach/threads';
import {
  callNumber,
  codeOfRestart,
  generalOf,
  pcOf,
  placesTold,
  restoredRegisters,
  withGeneral,
  withPc,
} from '../../agent/debug/rsp/registers';

/** Executes what is written, as an x86-64 processor would; where a thread ends that starts at `pc`. */
function settles(bytes: Map<number, number>, pc: number): number {
  for (let at = pc, steps = 0; steps < 100; steps++) {
    const byte = bytes.get(at);
    if (byte === 0xeb && bytes.get(at + 1) === 0xfe) return at;
    if (byte !== 0x90) throw new Error(`${byte} at ${at} is not ours`);
    at++;
  }
  throw new Error('it runs on');
}

describe('the spin', () => {
  const stands = fc.uniqueArray(fc.integer({ min: 0x1000, max: 0x1020 }), { minLength: 1, maxLength: 30 });

  test('every thread ends in a jump to itself, where it was or where a neighbour was', () => {
    fc.assert(
      fc.property(stands, (addresses) => {
        const bytes = x64.plan(addresses);
        for (const pc of addresses) {
          const end = settles(bytes, pc);
          expect(addresses).toContain(end);
          if (!addresses.includes(pc + 1)) expect(end).toBe(pc);
        }
      }),
    );
  });

  test('nothing is written but at the threads and one byte behind', () => {
    fc.assert(
      fc.property(stands, (addresses) => {
        for (const at of x64.plan(addresses).keys())
          expect(addresses.includes(at) || addresses.includes(at - 1)).toBe(true);
      }),
    );
  });

  test('bytes side by side are written at once, and all of them', () => {
    fc.assert(
      fc.property(stands, (addresses) => {
        const bytes = x64.plan(addresses);
        const runs = runsOf(bytes);
        const written = runs.flatMap(({ address, bytes: run }) =>
          [...run].map((byte, index): [number, number] => [address + index, byte]),
        );
        expect(new Map(written)).toEqual(bytes);
        for (let index = 1; index < runs.length; index++) {
          const before = runs[index - 1]!;
          expect(runs[index]!.address).toBeGreaterThan(before.address + before.bytes.length);
        }
      }),
    );
  });

  test('arm64 branches to itself', () => {
    expect([...arm64.plan([0x1000])]).toEqual([
      [0x1000, 0],
      [0x1001, 0],
      [0x1002, 0],
      [0x1003, 0x14],
    ]);
    expect(arm64.isSyscall(Buffer.from('010000d4', 'hex'))).toBe(true);
    expect(x64.isSyscall(Buffer.from('0f05', 'hex'))).toBe(true);
    expect(x64.isSyscall(Buffer.from('0f0b', 'hex'))).toBe(false);
  });
});

describe.runIf(process.arch === 'x64')('registers', () => {
  test('a stop tells where stack and code are, unless it does not', () => {
    const stop = 'T0506:d0e5ffffff7f0000;07:c0e5ffffff7f0000;10:a151555555550000;thread:p2.2;core:0;';
    expect(placesTold(stop)).toEqual({ sp: 0x7fffffffe5c0n, pc: 0x5555555551a1n });
    expect(placesTold('T0507:c0e5ffffff7f0000;thread:p2.2;')).toBeNull();
    expect(placesTold('S05')).toBeNull();
  });

  const [RAX, RIP, ORIG_RAX, SIZE] = [0, 128, 536, 1000];
  function g(values: { pc: number; rax: bigint; orig: bigint; byte?: number }): string {
    const bytes = Buffer.alloc(SIZE, values.byte ?? 0x11);
    bytes.writeBigInt64LE(values.rax, RAX);
    bytes.writeBigInt64LE(BigInt(values.pc), RIP);
    bytes.writeBigInt64LE(values.orig, ORIG_RAX);
    return bytes.toString('hex');
  }
  const interrupted = g({ pc: 0x1002, rax: -512n, orig: 230n });

  test('the general ones are put back, the others left alone', () => {
    const now = g({ pc: 0x1000, rax: 219n, orig: -1n, byte: 0x22 });
    const mended = withGeneral(now, generalOf(interrupted));
    expect(generalOf(mended)).toBe(generalOf(interrupted));
    expect(mended.slice(2 * 164, 2 * ORIG_RAX)).toBe(now.slice(2 * 164, 2 * ORIG_RAX));
    expect(pcOf(withPc(now, 0x7fff_ffff_f000))).toBe(0x7fff_ffff_f000);
  });

  test('an interrupted system call is interrupted again, however it came back', () => {
    const general = generalOf(interrupted);
    const restarted = g({ pc: 0x1000, rax: 219n, orig: -1n });
    const failed = g({ pc: 0x1002, rax: -4n, orig: -1n });
    for (const now of [restarted, failed]) expect(restoredRegisters(now, general)).toBe(interrupted);
    expect(restoredRegisters(interrupted, general)).toBeNull();
  });

  test('one that the kernel would go on with by what it keeps of it is made anew', () => {
    const general = generalOf(g({ pc: 0x1002, rax: -516n, orig: 230n }));
    const anew = g({ pc: 0x1002, rax: -514n, orig: 230n });
    for (const now of [g({ pc: 0x1000, rax: 219n, orig: -1n }), g({ pc: 0x1002, rax: -4n, orig: -1n })])
      expect(restoredRegisters(now, general)).toBe(anew);
    // Where the thread itself was never let go of, the kernel has it still.
    expect(restoredRegisters(g({ pc: 0x1002, rax: -516n, orig: 230n }), general)).toBeNull();
  });

  test('one that the kernel was going on with already is made anew by the number in its code', () => {
    const pc = 0x1007;
    const copy = g({ pc, rax: -4n, orig: -1n });
    const general = generalOf(g({ pc, rax: -516n, orig: 219n }));
    expect(codeOfRestart(copy, general)).toEqual({ address: 0x1000, length: 7 });
    expect(callNumber(Buffer.from('b8e60000000f05', 'hex'))).toBe(230n);
    expect(restoredRegisters(copy, general, 230n)).toBe(g({ pc, rax: -514n, orig: 230n }));
    // Where the code does not say it: EINTR, as after a signal.
    for (const code of ['', 'b8010000000f05', 'b8e60000000f0b', '4889f80f0590c3', 'b8e6'])
      expect(callNumber(Buffer.from(code, 'hex'))).toBeNull();
    expect(restoredRegisters(copy, general, null)).toBe(g({ pc, rax: -514n, orig: 219n }));
  });

  test('so is one that is about to go on', () => {
    const before = g({ pc: 0x1005, rax: 219n, orig: 219n });
    expect(codeOfRestart(before, generalOf(before))).toEqual({ address: 0x1000, length: 7 });
    expect(restoredRegisters(before, generalOf(before), 7n)).toBe(g({ pc: 0x1005, rax: 7n, orig: 219n }));
    expect(restoredRegisters(before, generalOf(before), null)).toBeNull();
    expect(codeOfRestart(interrupted, generalOf(interrupted))).toBeNull();
  });

  test('one that has come to its end keeps its result', () => {
    expect(restoredRegisters(g({ pc: 0x1002, rax: 5n, orig: 230n }), generalOf(interrupted))).toBeNull();
  });

  test('a thread outside of system calls gets what it had', () => {
    const before = g({ pc: 0x2000, rax: 7n, orig: -1n });
    expect(restoredRegisters(g({ pc: 0x2001, rax: 7n, orig: -1n }), generalOf(before))).toBe(before);
  });
});

describe('/proc', () => {
  test('where a thread is', () => {
    expect(parseSyscall('230 0x0 0x0 0x7ffe 0x0 0x0 0x0 0x7ffd 0x7fd5a648a545\n')).toEqual({
      pc: 0x7fd5a648a545,
      restarts: true,
    });
    expect(parseSyscall('-1 0x7ffd 0x55a47c33e233\n')).toEqual({ pc: 0x55a47c33e233, restarts: false });
    expect(parseSyscall('running\n')).toBeNull();
    expect(parseSyscall('')).toBeNull();
  });

  test('what a thread’s status says', () => {
    const status =
      'Name:\tx\nState:\tt (tracing stop)\nTracerPid:\t77\nNSpid:\t4000\t12\nSigPnd:\t0000000000040000\nShdPnd:\t0000000000000200\n';
    expect(parseStatus(4000, status)).toEqual({
      tid: 4000,
      inner: 12,
      state: 't',
      tracer: 77,
      stopQueued: true,
      stopQueuedForAll: false,
    });
    expect(parseStatus(5, 'State:\tR (running)\n')).toMatchObject({ inner: 5, tracer: 0, stopQueued: false });
  });
});
