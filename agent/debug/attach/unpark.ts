/** A process in the freezer put into a debug server's hands, its threads going nowhere meanwhile. */
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { asGodwitError, GodwitError } from '../../api/errors';
import { Patience } from '../../machine/patience';
import { MAX_PACKET } from '../rsp/codec';
import { packetSizeOf } from '../rsp/features';
import { settingsPackets } from '../state/memory';
import type { ParkedStub } from '../state/parked';
import { Gdbserver } from './gdbserver';
import { giveSiginfo, expectOk, putInBreakpoints, replaySymbols, select } from './inspect';
import { putInPlace } from './places';
import { Spin } from './spin';
import { isDead, isOf32Bits, isStopQueued, standsOf, type ThreadStand, threadsOf } from './threads';
import { checkConfined, gdbserverArgv, type Owner, type Tools } from './tools';

/** Where a process is to be found on this node. */
export interface Target {
  /** As this node numbers it. */
  pid: number;
  /** The job's PID 1 as this node numbers it: gdbserver enters its PID namespace. */
  init: number;
  /** The cgroup folder that the job lives in; frozen while a stub is parked or unparked. */
  run: string;
  /** The cgroup folder, never frozen, that a process stays in while it is attached to. */
  attach: string;
  /** Whose job it is: nothing that is started beside it has more rights. */
  owner: Owner;
  tools: Tools;
}

/** Milliseconds in which gdbserver attaches to not one more thread. */
const ATTACH_LIMIT = 30_000;
/** Milliseconds between two looks at /proc. */
const POLL = 1;
/** Failures that say all there is to say. */
const KNOWN = new Set(['cannot-hold', 'debugger-unconfined']);
/** A second try costs some 50 ms, and mends what a gdbserver that ended in between has left. */
const TRIES = 2;

export const attachFailed = (pid: number, why: string) =>
  new GodwitError({
    code: 'debugger-attach-failed',
    message: `the debugger can't be attached to process ${pid}: ${why}`,
    fix: 'is gdbserver installed, and does nothing else trace the process?',
  });

const of32Bits = (pid: number) =>
  new GodwitError({
    code: 'debugger-attach-failed',
    message: `process ${pid} runs a program of 32 bits, which can't be debugged here`,
    fix: 'build it for 64 bits',
  });

/** A process in a debug server's hands. */
export interface Unparked {
  server: Gdbserver;
  /** `Z` packets that the new server refused. */
  refused: string[];
}

/**
 * Precondition: the process is in `run`, frozen and untraced. Then each thread is stopped by gdbserver, just where it
 * was, breakpoints in, and the process is in `run` again. On failure it is as it was before.
 * @throws debugger-attach-failed, cannot-hold
 */
export async function attach(target: Target, parked: ParkedStub): Promise<Unparked> {
  const { pid } = target;
  const stands = await standsOf(pid);
  if (stands.length === 0) throw attachFailed(pid, 'it has ended');
  if (isOf32Bits(pid)) throw of32Bits(pid);
  if (threadsOf(pid).some((thread) => thread.tid === pid && isDead(thread)))
    throw attachFailed(pid, 'its main thread has ended');
  for (let tries = 1; ; tries++) {
    try {
      return await tryAttach(target, parked, stands);
    } catch (error) {
      if (tries === TRIES)
        throw error instanceof GodwitError && KNOWN.has(error.code)
          ? error
          : attachFailed(pid, asGodwitError(error).message);
    }
  }
}

async function tryAttach(target: Target, parked: ParkedStub, stands: ThreadStand[]): Promise<Unparked> {
  const { pid, init, run, tools, owner } = target;
  const { memory } = parked;
  // Where they stand now: after a first try that is not where they stood before it.
  const spin = await Spin.put(pid, [...stands, ...(await standsOf(pid))]);
  const server = new Gdbserver(gdbserverArgv(tools, owner, init, memory.pid));
  try {
    await traced(server, pid);
    writeFileSync(`${target.attach}/cgroup.procs`, `${pid}`);
    const supported = await server.ask(memory.supported ?? 'qSupported');
    server.packetSize = packetSizeOf(supported, MAX_PACKET);
    checkConfined(server.pid, owner);
    await server.startNoAck();
    await server.ask('?');
    // Back before it is itself again: whatever ends gdbserver from here on, its threads fall into the freezer.
    writeFileSync(`${run}/cgroup.procs`, `${pid}`);
    await spin.undo();
    // Registers of a process that runs for its client have been seen by nobody: the kernel's own restarts serve.
    await putInPlace(server, stands, memory.running ? [] : parked.registers);
    for (const packet of settingsPackets(memory)) await expectOk(server, packet);
    await replaySymbols(server, memory);
    const refused = await putInBreakpoints(server, memory);
    for (const stop of [...memory.pending].reverse()) await giveSiginfo(server, stop);
    if (memory.stop && !memory.running) await giveSiginfo(server, memory.stop);
    await select(server, memory);
    return { server, refused };
  } catch (error) {
    await giveBack(target, server, spin);
    throw error;
  }
}

/** Every thread has its tracer; until it is let out of the freezer, gdbserver waits for it. */
async function traced(server: Gdbserver, pid: number): Promise<void> {
  const missing = () => threadsOf(pid).filter((thread) => !isDead(thread) && thread.tracer === 0).length;
  const patience = new Patience(ATTACH_LIMIT, missing);
  while (missing() > 0) {
    if (server.gone) throw attachFailed(pid, server.stderrTail);
    if (patience.exhausted)
      throw attachFailed(pid, `gdbserver attached to no more of its threads for ${ATTACH_LIMIT} ms`);
    await sleep(POLL);
  }
}

/** As before: in `run`, frozen, its own bytes in place, untraced, no SIGSTOP left behind. */
async function giveBack({ pid, run }: Target, server: Gdbserver, spin: Spin): Promise<void> {
  try {
    writeFileSync(`${run}/cgroup.procs`, `${pid}`);
  } catch {
    // It has ended.
  }
  await server.kill();
  await spin.undo();
  // gdbserver's SIGSTOPs that no thread has met yet would stop the process for good; this takes them back.
  if (isStopQueued(pid)) process.kill(pid, 'SIGCONT');
}
