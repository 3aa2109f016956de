/** A process is stopped and its breakpoints removed, either to be parked, which can be undone, or to be left for good. */
import assert from 'node:assert';
import { GodwitError } from '../../api/errors';
import type { Gdbserver } from '../attach/gdbserver';
import {
  expectOk,
  generalRegisters,
  otherProcesses,
  putInBreakpoints,
  select,
  takeOutBreakpoints,
  threadNames,
  withSiginfo,
} from '../attach/inspect';
import { atForkEvent, detachIntoFreezer } from '../attach/park';
import { unescapeBinary } from '../rsp/codec';
import { parseStopReply, threadOfStop } from '../rsp/packets';
import { isForkEvent, programSignal, sameAgain, withoutStopSignal } from '../state/memory';
import type { Memory, Stop } from '../state/parked';
import { steppedThreads, withSignals } from '../state/resume';
import type { Inferior } from './inferior';

/** siginfo_t of a finished single step: SIGTRAP with TRAP_TRACE (siginfo.h). */
const SIGTRAP = 5;
const TRAP_TRACE = 2;

const holdsSeveral = (children: number[]) =>
  new GodwitError({
    code: 'debugger-holds-several',
    message: `one debugger holds several processes of the job (also ${children.join(', ')})`,
    fix: 'detach it from all but one (in gdb: `info inferiors`, then `detach inferiors N` for each of the others), then move the job; where one waits for a vfork of its, let the other go on first',
  });

/**
 * Brings the process to a stop at which it can be parked. false: its client has something to deal with first.
 * `until`: as Date.now(). @throws debugger-will-not-stop, debugger-at-fork, debugger-holds-several, debugger-gone
 */
export async function stopForPark(inferior: Inferior, until: number): Promise<boolean> {
  const server = inferior.requireServer();
  const { event } = inferior.memory;
  if (
    inferior.lookingUp ||
    inferior.unseen !== null ||
    event === 'vfork' ||
    (event !== null && !inferior.runs)
  )
    return false;
  return (await inferior.halt(until)) && !(await reportUnseenFork(inferior, server));
}

/** A fork whose child gdbserver traces is reported to a client that does not know it yet: true. @throws debugger-holds-several */
async function reportUnseenFork(inferior: Inferior, server: Gdbserver): Promise<boolean> {
  const others = otherProcesses(await threadNames(server), inferior.pid);
  if (others.length === 0) return false;
  const { children, running } = inferior.memory;
  if (others.every((child) => children.includes(child))) {
    await inferior.goOn();
    throw holdsSeveral(others);
  }
  if (!running) throw atForkEvent('a fork');
  // The event has happened already: gdbserver reports it, perhaps after others, without resuming any thread.
  for (;;) {
    const reply = await server.ask(sameAgain(inferior.memory));
    if (!isForkEvent(parseStopReply(reply))) inferior.keep([await withSiginfo(server, reply)]);
    else {
      inferior.report({ reply, siginfo: null });
      return true;
    }
  }
}

/** Of what the stub itself has resumed: a signal from outside can't make this fail. */
function assertStopped({ pid, runs }: Inferior): void {
  assert(!runs, `process ${pid} runs, and its debug server is about to be asked about it`);
}

/**
 * From here on the server reports each signal. One that it passed on by itself would have its handler begun amid a spin,
 * or after the registers were noted, and what is then put right would end the handler half-way.
 */
async function passNoSignals(server: Gdbserver, { settings }: Memory): Promise<void> {
  if (settings.QPassSignals !== undefined) await expectOk(server, 'QPassSignals:');
}

async function passSignals(server: Gdbserver, { settings }: Memory): Promise<void> {
  if (settings.QPassSignals !== undefined) await expectOk(server, withoutStopSignal(settings.QPassSignals));
}

/** Removes breakpoints, and notes the registers and signals of every thread. Precondition: stopped. */
export async function standStill(inferior: Inferior): Promise<void> {
  assertStopped(inferior);
  const server = inferior.requireServer();
  await passNoSignals(server, inferior.memory);
  await takeOutBreakpoints(server, inferior.memory);
  const { stop, running } = inferior.memory;
  if (running) inferior.keep(await finishedSteps(server, inferior.memory));
  else if (stop) inferior.note({ stop: await withSiginfo(server, stop.reply) });
  inferior.registers = await generalRegisters(server, await threadNames(server));
  await inferior.drainStopSignals(running ? [] : inferior.registers);
}

/** Takes `standStill` back. Returns the breakpoints that the server refuses now. */
export async function backIn(inferior: Inferior): Promise<string[]> {
  const server = inferior.requireServer();
  await passSignals(server, inferior.memory);
  const refused = await putInBreakpoints(server, inferior.memory);
  await select(server, inferior.memory);
  return refused;
}

/** Lets the process go on alone, with its signals. Precondition: stopped. */
export async function leave(inferior: Inferior): Promise<void> {
  assertStopped(inferior);
  const server = inferior.requireServer();
  for (const child of otherProcesses(await threadNames(server), inferior.pid))
    await expectOk(server, `D;${child.toString(16)}`);
  await passNoSignals(server, inferior.memory);
  await takeOutBreakpoints(server, inferior.memory);
  const { stop, running } = inferior.memory;
  if (stop && !running) inferior.note({ stop: await withSiginfo(server, stop.reply) });
  await inferior.drainStopSignals([]);
  await inferior.hooks.freeze();
  try {
    inferior.forgetServer();
    await detachIntoFreezer(server, inferior.nodePid, leavingPacket(inferior.memory), { leaving: true });
  } finally {
    await inferior.hooks.thaw();
  }
}

/**
 * Threads that had just taken the step they were asked for when all were stopped. gdbserver would forget it, and
 * the step would be taken twice.
 */
async function finishedSteps(server: Gdbserver, { pending, resume }: Memory): Promise<Stop[]> {
  const reported = pending.map(({ reply }) => threadOfStop(reply));
  const finished: Stop[] = [];
  for (const thread of steppedThreads(resume ?? '')) {
    if (thread === null || reported.includes(thread)) continue;
    const stop = await withSiginfo(server, `T05thread:${thread};`);
    if (stop.siginfo !== null && saysStepped(stop.siginfo)) finished.push(stop);
  }
  return finished;
}

function saysStepped(siginfo: string): boolean {
  const bytes = unescapeBinary(siginfo);
  return bytes.length >= 12 && bytes.readInt32LE(0) === SIGTRAP && bytes.readInt32LE(8) === TRAP_TRACE;
}

/** Lets all threads run, those that stopped for a signal of the program's own with that signal. */
function leavingPacket({ stop, running, pending, settings }: Memory): string {
  const stops = [...(stop && !running ? [stop] : []), ...pending];
  const signals = stops.flatMap(({ reply }) => {
    const signal = programSignal(parseStopReply(reply));
    const thread = threadOfStop(reply);
    return signal !== null && thread !== undefined && reaches(settings, signal) ? [{ thread, signal }] : [];
  });
  return withSignals('vCont;c', signals).packet;
}

/** Does the client let this signal reach the program when it leaves? */
function reaches(settings: Memory['settings'], signal: number): boolean {
  const list = settings.QProgramSignals?.slice('QProgramSignals:'.length).split(';');
  return list === undefined || list.some((known) => Number.parseInt(known, 16) === signal);
}
