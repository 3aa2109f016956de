/** How a debug server attaches to a process in the freezer, its threads kept in place meanwhile. */
import assert from 'node:assert';
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { asGodwitError, GodwitError } from '../../api/errors';
import { ProgressDeadline } from '../../machine/progress-deadline';
import { MAX_PACKET } from '../rsp/codec';
import { packetSizeOf } from '../rsp/features';
import { settingsPackets } from '../state/memory';
import type { ParkedStub } from '../state/parked';
import { Gdbserver } from './gdbserver';
import { expectOk, putInBreakpoints, replaySymbols, select, writeSiginfo } from './inspect';
import { restorePositions } from './positions';
import { Spin } from './spin';
import { isDead, isOf32Bits, isStopQueued, positionsOf, type ThreadPosition, threadsOf } from './threads';
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
/** Failures that are reported as they are. */
const KNOWN = new Set(['cannot-hold', 'debugger-unconfined']);
/** A second try costs some 50 ms, and succeeds after a gdbserver that ended in between. */
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

/** A debug server that has attached. */
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
  assertFrozen(target.run);
  const positions = await positionsOf(pid);
  if (positions.length === 0) throw attachFailed(pid, 'it has ended');
  if (isOf32Bits(pid)) throw of32Bits(pid);
  if (threadsOf(pid).some((thread) => thread.tid === pid && isDead(thread)))
    throw attachFailed(pid, 'its main thread has ended');
  for (let tries = 1; ; tries++) {
    try {
      return await tryAttach(target, parked, positions);
    } catch (error) {
      if (tries === TRIES)
        throw error instanceof GodwitError && KNOWN.has(error.code)
          ? error
          : attachFailed(pid, asGodwitError(error).message);
    }
  }
}

/** `run`: the folder of a cgroup (cgroup-v2.rst, cgroup.freeze). */
export function assertFrozen(run: string): void {
  assert.equal(readFileSync(`${run}/cgroup.freeze`, 'utf8').trim(), '1', `${run} is not frozen`);
}

async function tryAttach(target: Target, parked: ParkedStub, positions: ThreadPosition[]): Promise<Unparked> {
  const { pid, init, run, tools, owner } = target;
  const { memory } = parked;
  // Also where they are now: after a first try that is not where they were before it.
  const spin = await Spin.put(pid, [...positions, ...(await positionsOf(pid))]);
  const server = new Gdbserver(gdbserverArgv(tools, owner, init, memory.pid));
  try {
    await untilTraced(server, pid);
    writeFileSync(`${target.attach}/cgroup.procs`, `${pid}`);
    const supported = await server.ask(memory.supported ?? 'qSupported');
    server.packetSize = packetSizeOf(supported, MAX_PACKET);
    checkConfined(server.pid, owner);
    await server.startNoAck();
    await server.ask('?');
    // Before the spin is undone: if gdbserver ends from here on, the freezer takes the threads.
    writeFileSync(`${run}/cgroup.procs`, `${pid}`);
    await spin.undo();
    // The client has not seen the registers of a process that runs for it: the kernel's own restarts serve.
    await restorePositions(server, positions, memory.running ? [] : parked.registers);
    for (const packet of settingsPackets(memory)) await expectOk(server, packet);
    await replaySymbols(server, memory);
    const refused = await putInBreakpoints(server, memory);
    for (const stop of [...memory.pending].reverse()) await writeSiginfo(server, stop);
    if (memory.stop && !memory.running) await writeSiginfo(server, memory.stop);
    await select(server, memory);
    return { server, refused };
  } catch (error) {
    await undoAttach(target, server, spin);
    throw error;
  }
}

/** Resolves once every thread is traced; gdbserver waits for each until it leaves the freezer. */
async function untilTraced(server: Gdbserver, pid: number): Promise<void> {
  const missing = () => threadsOf(pid).filter((thread) => !isDead(thread) && thread.tracer === 0).length;
  const deadline = new ProgressDeadline(ATTACH_LIMIT, missing);
  while (missing() > 0) {
    if (server.gone) throw attachFailed(pid, server.stderrTail);
    if (deadline.passed)
      throw attachFailed(pid, `gdbserver attached to no more of its threads for ${ATTACH_LIMIT} ms`);
    await sleep(POLL);
  }
}

/** As before the attach: in `run`, frozen, its own bytes in place, untraced, no SIGSTOP queued. */
async function undoAttach({ pid, run }: Target, server: Gdbserver, spin: Spin): Promise<void> {
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
