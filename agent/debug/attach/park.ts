/** A process taken out of its debug server's hands into the freezer's, with nothing lost on the way. */
import { setTimeout as sleep } from 'node:timers/promises';
import { GodwitError } from '../../api/errors';
import { Patience } from '../../machine/patience';
import { parseStopReply, parseThreadId, type StopReply } from '../rsp/packets';
import { pcOf } from '../rsp/registers';
import { comesAgain, isBirth, programSignal } from '../state/memory';
import type { Stop, ThreadRegisters } from '../state/parked';
import { withSignals } from '../state/resume';
import type { Gdbserver } from './gdbserver';
import { expectOk, rawRegisters, threadNames, withSiginfo } from './inspect';
import { putInPlace } from './places';
import { Spin } from './spin';
import { isDead, isStopQueued, standsOf, type ThreadStand, threadsOf } from './threads';

/** Milliseconds in which not one more of the threads that are let go arrives in the freezer; each needs one to five. */
const FALL_LIMIT = 30_000;
/** Milliseconds for spinning threads to meet a SIGSTOP; 200 of them on two processors need some ten. */
const SETTLE_LIMIT = 30_000;
/** Milliseconds in which threads that are let go have met what was queued for them. */
const SETTLE_PAUSE = 20;
/** Milliseconds between two looks at /proc. */
const POLL = 1;
/** Stops that one park can bring to light: one a thread, and some of the process. */
const maxStops = (pid: number): number => threadsOf(pid).length + 64;

/** gdb's number of SIGSTOP. */
export const STOP_SIGNAL = 0x11;

const willNotFall = (pid: number) =>
  new GodwitError({
    code: 'debugger-will-not-let-go',
    message: `the debugger did not let go of process ${pid}: nothing came of it for ${FALL_LIMIT} ms`,
    fix: 'try again',
  });

const willNotSettle = (pid: number) =>
  new GodwitError({
    code: 'debugger-will-not-settle',
    message: `process ${pid} could not be brought to a clean stop for its move`,
    fix: 'try again',
  });

export const atBirth = (what: string) =>
  new GodwitError({
    code: 'debugger-at-fork',
    message: `the program stands at ${what} that its debugger has not dealt with`,
    fix: 'let the program go on in the debugger, then move it',
  });

/** The reply of our own SIGSTOP (or of somebody else's, which can't be told apart). */
export function isStopSignal(reply: string): boolean {
  const stop = parseStopReply(reply);
  return stop?.kind === 'stop' && stop.signal === STOP_SIGNAL && stop.reason === undefined;
}

/**
 * Takes every queued SIGSTOP off its queue. They are ours, or gdbserver's own for threads that met an event before it,
 * and gdbserver can mistake one for the other: a thread that is let go meets its SIGSTOP and is reported, or runs on.
 * So all are held by a spin meanwhile, and one more is sent only when nothing is reported. `registers`: what the
 * threads' must be afterwards, none where nobody has seen them. Precondition: all threads stopped, no breakpoint in.
 * Returns other stops that came to light; the siginfo of those known before must be given back.
 */
export async function settle(server: Gdbserver, pid: number, registers: ThreadRegisters[]): Promise<Stop[]> {
  const stops: Stop[] = [];
  const stands = await standsIn(server, pid);
  const spin = await Spin.put(pid, stands);
  try {
    for (let rounds = maxStops(pid); isStopQueued(pid); rounds--) {
      if (rounds === 0) throw willNotSettle(pid);
      const reply = await nextStop(server, pid);
      if (!isStopSignal(reply)) stops.push(await withSiginfo(server, reply));
    }
  } finally {
    await spin.undo();
  }
  await putInPlace(server, stands, registers);
  return stops.filter(({ reply }) => !comesAgain(parseStopReply(reply)));
}

/**
 * Where stopped threads stand as gdbserver sees it: for one that met a breakpoint it has turned the pc back, and tells
 * the kernel only when it lets the thread go.
 */
async function standsIn(server: Gdbserver, pid: number): Promise<ThreadStand[]> {
  const known = await rawRegisters(server, await threadNames(server));
  const pcs = new Map(known.map(({ thread, g }) => [parseThreadId(thread)?.thread, pcOf(g)]));
  return (await standsOf(pid)).map((stand) => ({ ...stand, pc: pcs.get(stand.inner) ?? stand.pc }));
}

async function nextStop(server: Gdbserver, pid: number): Promise<string> {
  const stopped = server.ask('vCont;c', SETTLE_LIMIT);
  const early = await Promise.race([stopped, sleep(SETTLE_PAUSE, null)]);
  if (early !== null) return early;
  process.kill(pid, 'SIGSTOP');
  return stopped;
}

export interface Fallen {
  /** Stops that the server still held. */
  stops: Stop[];
  /** A birth was among them (it is the last of `stops`): the server holds the process still. */
  birth: string | null;
}

/**
 * Lets all threads fall from the debug server into the freezer and ends the server. `resume` is the packet that lets
 * them go: `vCont;c`, with signals where they are to be delivered. `leaving`: there is no client to tell of what comes
 * to light, so that signals are delivered and children let go at once.
 * Precondition: the process's cgroup is frozen, no breakpoint is in, no SIGSTOP queued.
 * @throws debugger-will-not-let-go
 */
export async function letFall(
  server: Gdbserver,
  pid: number,
  resume: string,
  { leaving = false } = {},
): Promise<Fallen> {
  const stops: Stop[] = [];
  let packet = resume;
  for (let rounds = maxStops(pid); rounds > 0; rounds--) {
    const reply = await Promise.race([server.resume(packet), allFallen(server, pid)]);
    if (reply === null) {
      await server.kill();
      await untraced(pid);
      return { stops, birth: null };
    }
    // A stop that it held: it has let nobody go.
    const stop = parseStopReply(reply);
    if (!comesAgain(stop) && !isStopSignal(reply)) stops.push(await withSiginfo(server, reply));
    packet = leaving ? delivering(stop) : 'vCont;c';
    if (stop?.kind !== 'stop' || !isBirth(stop)) continue;
    if (!leaving) return { stops, birth: stop.reason! };
    const child = parseThreadId(stop.detail ?? '')?.process;
    if (child !== undefined) await expectOk(server, `D;${child.toString(16)}`);
  }
  throw willNotFall(pid);
}

function delivering(stop: StopReply | null): string {
  const signal = programSignal(stop);
  const thread = stop?.kind === 'stop' ? stop.thread : undefined;
  return signal === null || thread === undefined
    ? 'vCont;c'
    : withSignals('vCont;c', [{ thread, signal }]).packet;
}

/** null when no thread stands in its tracer's hands any more. */
async function allFallen(server: Gdbserver, pid: number): Promise<null> {
  const held = () => threadsOf(pid).filter(({ state }) => state === 't').length;
  const patience = new Patience(FALL_LIMIT, held);
  while (!patience.exhausted && !server.gone) {
    if (held() === 0) return null;
    await sleep(POLL);
  }
  throw willNotFall(pid);
}

async function untraced(pid: number): Promise<void> {
  const traced = () => threadsOf(pid).filter((thread) => !isDead(thread) && thread.tracer !== 0).length;
  const patience = new Patience(FALL_LIMIT, traced);
  while (traced() > 0) {
    if (patience.exhausted) throw willNotFall(pid);
    await sleep(POLL);
  }
}
