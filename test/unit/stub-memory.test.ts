/** What the stub remembers, and how it takes resume packets apart: pure functions. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseStopReply } from '../../agent/debug/rsp/packets';
import { exitReply } from '../../agent/debug/state/exit-reply';
import {
  breakpointKey,
  comesAgain,
  isForkEvent,
  passesStopSignal,
  programSignal,
  remember,
  resumed,
  settingsPackets,
  stopReported,
  withoutStopSignal,
} from '../../agent/debug/state/memory';
import { freshMemory, freshStub, type Memory, ParkedStub } from '../../agent/debug/state/parked';
import { letsRun, signalsOf, steppedThreads, steps, withSignals } from '../../agent/debug/state/resume';

const stop = (reply: string) => ({ reply, siginfo: null });
const given = (memory: Memory, ...packets: string[]): Memory =>
  packets.reduce((known, packet) => remember(known, packet, 'OK'), memory);

describe('memory', () => {
  test('a fresh stub is a value that travels', () => {
    const parked = freshStub('s', 2);
    expect(ParkedStub.parse(JSON.parse(JSON.stringify(parked)))).toEqual(parked);
  });

  test('breakpoints are those inserted and not removed, in their order, as sent last', () => {
    const key = fc
      .tuple(fc.constantFrom('0', '1', '2'), fc.integer({ min: 0, max: 4 }))
      .map(([type, at]) => `${type},${at},1`);
    const step = fc.record({
      insert: fc.boolean(),
      key,
      condition: fc.constantFrom('', ';X3,220027', ';X1,00'),
      ok: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step), (all) => {
        const model = new Map<string, string>();
        let memory = freshMemory(2);
        for (const { insert, key, condition, ok } of all) {
          const packet = insert ? `Z${key}${condition}` : `z${key}`;
          memory = remember(memory, packet, ok ? 'OK' : 'E01');
          if (!ok) continue;
          if (insert) model.set(key, packet);
          else model.delete(key);
        }
        expect(memory.breakpoints).toEqual([...model.values()]);
        expect(memory.breakpoints.map(breakpointKey)).toEqual([...model.keys()]);
      }),
    );
  });

  test("a child's breakpoints are not the process's", () => {
    const memory = given(freshMemory(2), 'Hgp2.2', 'Z0,10,1', 'Hgp5.5', 'z0,10,1', 'Z0,20,1');
    expect(memory.breakpoints).toEqual(['Z0,10,1']);
    expect(given(memory, 'Hgp0.0', 'Z0,30,1').breakpoints).toEqual(['Z0,10,1', 'Z0,30,1']);
  });

  test('a stop selects its thread, an exec forgets breakpoints and symbols', () => {
    const running = resumed(given(freshMemory(2), 'Z0,10,1', 'qSymbol:1:66'), 'vCont;c');
    expect(running).toMatchObject({ running: true, resume: 'vCont;c' });
    const stopped = stopReported({ ...running, interrupted: true }, stop('T05swbreak:;thread:p2.4;core:0;'));
    expect(stopped).toMatchObject({ running: false, interrupted: false, selected: { g: 'Hgp2.4' } });
    const replaced = stopReported(running, stop('T05exec:2f62;thread:p2.2;'));
    expect(replaced).toMatchObject({ breakpoints: [], symbols: {}, event: 'exec' });
  });

  test('a fork event lasts until the client goes on; a vfork until its child has let go', () => {
    const forked = stopReported(freshMemory(2), stop('T05fork:p7.7;thread:p2.2;'));
    expect(forked).toMatchObject({ event: 'fork', children: [7] });
    expect(given(forked, 'D;7').children).toEqual([]);
    expect(resumed(forked, 'vCont;c').event).toBeNull();
    const vforked = resumed(stopReported(freshMemory(2), stop('T05vfork:p7.7;thread:p2.2;')), 'vCont;c');
    expect(vforked.event).toBe('vfork');
    const done = stopReported(vforked, stop('T05vforkdone:;thread:p2.2;'));
    expect(done.event).toBe('vforkdone');
    expect(resumed(done, 'vCont;c').event).toBeNull();
  });

  test('a thread that stands at the entry of a system call is inside of it until the client goes on', () => {
    const entered = stopReported(freshMemory(2), stop('T05syscall_entry:27;thread:p2.2;'));
    expect(entered.event).toBe('syscall_entry');
    expect(resumed(entered, 'vCont;c').event).toBeNull();
    expect(stopReported(freshMemory(2), stop('T05syscall_return:27;thread:p2.2;')).event).toBeNull();
  });

  test('SIGSTOP is never passed nor delivered by the debug server', () => {
    const memory = given(freshMemory(2), 'QPassSignals:e;11;14', 'QProgramSignals:1;11');
    expect(passesStopSignal(memory)).toBe(true);
    expect(passesStopSignal(freshMemory(2))).toBe(false);
    expect(settingsPackets(memory)).toEqual(['QProgramSignals:1', 'QPassSignals:e;14']);
    const [defaults] = settingsPackets(freshMemory(2));
    for (const signal of ['2', '5', '11'])
      expect(defaults!.slice('QProgramSignals:'.length).split(';')).not.toContain(signal);
    expect(withoutStopSignal('QPassSignals:')).toBe('QPassSignals:');
  });

  test('which stops are fork events, traps that come again, or signals of the program', () => {
    const kinds = (reply: string) => {
      const parsed = parseStopReply(reply);
      return [isForkEvent(parsed), comesAgain(parsed), programSignal(parsed)];
    };
    expect(kinds('T05fork:p7.7;thread:p2.2;')).toEqual([true, false, null]);
    expect(kinds('T05vforkdone:;thread:p2.2;')).toEqual([true, false, null]);
    expect(kinds('T05swbreak:;thread:p2.2;')).toEqual([false, true, null]);
    expect(kinds('T05watch:40;thread:p2.2;')).toEqual([false, false, null]);
    expect(kinds('T1ethread:p2.2;')).toEqual([false, false, 0x1e]);
    for (const own of ['T02', 'T05', 'T11', 'T00'])
      expect(kinds(`${own}thread:p2.2;`)).toEqual([false, false, null]);
    expect(kinds('W00')).toEqual([false, false, null]);
  });

  test('an end in the protocol’s words', () => {
    expect(exitReply(freshMemory(2), { exit: 3, signal: null })).toBe('W03');
    const client = { ...freshMemory(18), supported: 'qSupported:multiprocess+' };
    expect(exitReply(client, { exit: 139, signal: 'SIGSEGV' })).toBe('X0b;process:12');
    expect(exitReply(client, { exit: 138, signal: 'SIGUSR1' })).toBe('X1e;process:12');
    expect(exitReply(client, { exit: 138, signal: 'SIG10' })).toBe('X1e;process:12');
  });
});

describe('resume packets', () => {
  test('whom they let run, step, and give a signal', () => {
    const packet = 'vCont;s:p2.3;C0b:p2.4;t:p2.5;c:p2.-1';
    expect(['p2.3', 'p2.4', 'p2.5', 'p2.6', 'p9.9'].map((thread) => letsRun(packet, thread))).toEqual([
      true,
      true,
      false,
      true,
      false,
    ]);
    expect(steps(packet, 'p2.3')).toBe(true);
    expect(steps(packet, 'p2.6')).toBe(false);
    expect(steppedThreads('vCont;r10,20:p2.3;c')).toEqual(['p2.3']);
    expect(signalsOf(packet, null)).toEqual([{ thread: 'p2.4', signal: 11 }]);
    expect(signalsOf('C1e', 'p2.2')).toEqual([{ thread: 'p2.2', signal: 30 }]);
    expect(letsRun('c', 'p2.3')).toBe(true);
  });

  test('signals that are owed come first, and only where their thread runs', () => {
    const owed = [
      { thread: 'p2.3', signal: 30 },
      { thread: 'p2.4', signal: 10 },
    ];
    expect(withSignals('vCont;s:p2.3;c', owed)).toEqual({
      packet: 'vCont;S1e:p2.3;C0a:p2.4;s:p2.3;c',
      owed: [],
    });
    expect(withSignals('vCont;s:p2.3', owed)).toEqual({ packet: 'vCont;S1e:p2.3;s:p2.3', owed: [owed[1]] });
    expect(withSignals('vCont;c', [])).toEqual({ packet: 'vCont;c', owed: [] });
  });
});
