/** How a debugged process is detached from its debug server into the freezer, with nothing lost on the way. */
import { setTimeout as sleep } from 'node:timers/promises';
import { GodwitError } from '../../api/errors';
import { ProgressDeadline } from '../../machine/progress-deadline';
import { parseStopReply, parseThreadId, type StopReply } from '../rsp/packets';
import { pcOf } from '../rsp/registers';
import { comesAgain, isForkEvent, programSignal } from '../state/memory';
import type { Stop, ThreadRegisters } from '../state/parked';
import { withSignals } from '../state/resume';
import type { Gdbserver } from './gdbserver';
import { expectOk, rawRegisters, threadNames, withSiginfo } from './inspect';
import { restorePositions } from './positions';
import { Spin } from './spin';
import { isDead, isStopQueued, positionsOf, type ThreadPosition, threadsOf } from './threads';

/** Milliseconds without another thread having arrived in the freezer; each needs one to five. */
const DETACH_LIMIT = 30_000;
/** Milliseconds for spinning threads to meet a SIGSTOP; 200 of them on two processors need some ten. */
const DRAIN_LIMIT = 30_000;
/** Milliseconds in which resumed threads have received the signals that were queued for them. */
const DRAIN_PAUSE = 20;
/** Milliseconds between two looks at /proc. */
const POLL = 1;
/** The most stops that are reported during one park: one a thread, and some of the process. */
const maxStops = (pid: number): number => threadsOf(pid).length + 64;

/** gdb's number of SIGSTOP. */
export const STOP_SIGNAL = 0x11;

const willNotDetach = (pid: number) =>
  new GodwitError({
    code: 'debugger-will-not-let-go',
    message: `the debugger did not detach from process ${pid}: no thread was resumed for ${DETACH_LIMIT} ms`,
    fix: 'try again',
  });

const willNotDrain = (pid: number) =>
  new GodwitError({
    code: 'debugger-will-not-settle',
    message: `process ${pid} could not be brought to a clean stop for its move`,
    fix: 'try again',
  });

export const atForkEvent = (what: string) =>
  new GodwitError({
    code: 'debugger-at-fork',
    message: `the program is stopped at ${what} that its debugger has not dealt with`,
    fix: 'let the program go on in the debugger, then move it',
  });

/** The reply of our own SIGSTOP (or of another process's, which can't be told apart). */
export function isStopSignal(reply: string): boolean {
  const stop = parseStopReply(reply);
  return stop?.kind === 'stop' && stop.signal === STOP_SIGNAL && stop.reason === undefined;
}

/**
 * Takes every queued SIGSTOP off its queue. They are ours, or gdbserver's own for threads that met an event before it,
 * and gdbserver can mistake one for the other: a thread that is let go meets its SIGSTOP and is reported, or runs on.
 * So a spin keeps all threads in place meanwhile, and one more SIGSTOP is sent only when nothing is reported.
 * `registers`: what the threads' must be afterwards, none where they were not read. Precondition: all threads
 * stopped, no breakpoint in. Returns other stops that were reported; the siginfo of earlier ones must be written back.
 */
export async function drainStopSignals(
  server: Gdbserver,
  pid: number,
  registers: ThreadRegisters[],
): Promise<Stop[]> {
  const stops: Stop[] = [];
  const positions = await positionsIn(server, pid);
  const spin = await Spin.put(pid, positions);
  try {
    for (let rounds = maxStops(pid); isStopQueued(pid); rounds--) {
      if (rounds === 0) throw willNotDrain(pid);
      const reply = await nextStop(server, pid);
      if (!isStopSignal(reply)) stops.push(await withSiginfo(server, reply));
    }
  } finally {
    await spin.undo();
  }
  await restorePositions(server, positions, registers);
  return stops.filter(({ reply }) => !comesAgain(parseStopReply(reply)));
}

/**
 * The positions of stopped threads as gdbserver has them: for one that met a breakpoint it has turned the pc back, and
 * writes it to the kernel only when it resumes the thread.
 */
async function positionsIn(server: Gdbserver, pid: number): Promise<ThreadPosition[]> {
  const known = await rawRegisters(server, await threadNames(server));
  const pcs = new Map(known.map(({ thread, g }) => [parseThreadId(thread)?.thread, pcOf(g)]));
  return (await positionsOf(pid)).map((position) => ({
    ...position,
    pc: pcs.get(position.inner) ?? position.pc,
  }));
}

async function nextStop(server: Gdbserver, pid: number): Promise<string> {
  const stopped = server.ask('vCont;c', DRAIN_LIMIT);
  const early = await Promise.race([stopped, sleep(DRAIN_PAUSE, null)]);
  if (early !== null) return early;
  process.kill(pid, 'SIGSTOP');
  return stopped;
}

export interface Detached {
  /** Stops that the server had not reported yet. */
  stops: Stop[];
  /** A fork event was among them (it is the last of `stops`): the server still traces the process. */
  forkEvent: string | null;
}

/**
 * Detaches all threads from the debug server, so that the freezer takes them, and ends the server. `resume` is the
 * packet that resumes them: `vCont;c`, with signals where they are to be delivered. `leaving`: there is no client to
 * report stops to, so that signals are delivered and children detached at once.
 * Precondition: the process's cgroup is frozen, no breakpoint is in, no SIGSTOP queued.
 * @throws debugger-will-not-let-go
 */
export async function detachIntoFreezer(
  server: Gdbserver,
  pid: number,
  resume: string,
  { leaving = false } = {},
): Promise<Detached> {
  const stops: Stop[] = [];
  let packet = resume;
  for (let rounds = maxStops(pid); rounds > 0; rounds--) {
    const reply = await Promise.race([server.resume(packet), noneStopped(server, pid)]);
    if (reply === null) {
      await server.kill();
      await untilUntraced(pid);
      return { stops, forkEvent: null };
    }
    // A stop that it had not reported yet: it has resumed no thread.
    const stop = parseStopReply(reply);
    if (!comesAgain(stop) && !isStopSignal(reply)) stops.push(await withSiginfo(server, reply));
    packet = leaving ? delivering(stop) : 'vCont;c';
    if (stop?.kind !== 'stop' || !isForkEvent(stop)) continue;
    if (!leaving) return { stops, forkEvent: stop.reason! };
    const child = parseThreadId(stop.detail ?? '')?.process;
    if (child !== undefined) await expectOk(server, `D;${child.toString(16)}`);
  }
  throw willNotDetach(pid);
}

function delivering(stop: StopReply | null): string {
  const signal = programSignal(stop);
  const thread = stop?.kind === 'stop' ? stop.thread : undefined;
  return signal === null || thread === undefined
    ? 'vCont;c'
    : withSignals('vCont;c', [{ thread, signal }]).packet;
}

/** Resolves to null when no thread is in a ptrace-stop any more. */
async function noneStopped(server: Gdbserver, pid: number): Promise<null> {
  const stopped = () => threadsOf(pid).filter(({ state }) => state === 't').length;
  const deadline = new ProgressDeadline(DETACH_LIMIT, stopped);
  while (!deadline.passed && !server.gone) {
    if (stopped() === 0) return null;
    await sleep(POLL);
  }
  throw willNotDetach(pid);
}

async function untilUntraced(pid: number): Promise<void> {
  const traced = () => threadsOf(pid).filter((thread) => !isDead(thread) && thread.tracer !== 0).length;
  const deadline = new ProgressDeadline(DETACH_LIMIT, traced);
  while (traced() > 0) {
    if (deadline.passed) throw willNotDetach(pid);
    await sleep(POLL);
  }
}
