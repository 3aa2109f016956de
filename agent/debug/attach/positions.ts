/** The registers of threads, corrected after a spin has kept them in place. */

import { parseThreadId } from '../rsp/packets';
import { callNumber, codeOfRestart, pcOf, restoredRegisters, withPc } from '../rsp/registers';
import type { ThreadRegisters } from '../state/parked';
import type { Gdbserver } from './gdbserver';
import { expectOk, rawRegisters, threadNames } from './inspect';
import { architecture, type Position } from './spin';
import type { ThreadPosition } from './threads';

/** Corrects what the spin and the move did to registers. */
export async function restorePositions(
  server: Gdbserver,
  positions: ThreadPosition[],
  remembered: ThreadRegisters[],
): Promise<void> {
  const before = new Map(remembered.map(({ thread, general }) => [parseThreadId(thread)?.thread, general]));
  const byThread = new Map(positions.map((position) => [position.inner, position]));
  const spun = new Set(positions.flatMap(basesOf));
  for (const { thread, g } of await rawRegisters(server, await threadNames(server))) {
    const inner = parseThreadId(thread)?.thread ?? 0;
    const general = before.get(inner);
    const position = byThread.get(inner);
    const placed = position ? withoutSlide(g, position, spun) : g;
    const right = (general === undefined ? null : await restored(server, placed, general)) ?? placed;
    if (right === g) continue;
    await expectOk(server, `Hg${thread}`);
    await expectOk(server, `G${right}`);
  }
}

async function restored(server: Gdbserver, g: string, general: string): Promise<string | null> {
  const code = codeOfRestart(g, general);
  if (code === null) return restoredRegisters(g, general);
  // An error, which is no code, where that is no memory.
  const bytes = await server.ask(`m${code.address.toString(16)},${code.length.toString(16)}`);
  return restoredRegisters(g, general, callNumber(Buffer.from(bytes, 'hex')));
}

/** Where a thread may have spun: a call that it was in may be about to be made again. */
const basesOf = ({ pc, restarts }: Position): number[] =>
  restarts ? [pc, pc - architecture.syscallBytes] : [pc];

/**
 * The registers of a thread that slid onto another one's jump, with its own pc again. One that is anywhere else has got
 * there by itself.
 */
function withoutSlide(g: string, position: Position, spun: ReadonlySet<number>): string {
  const now = pcOf(g);
  const bases = basesOf(position);
  if (bases.includes(now)) return g;
  const base = bases.find((address) => isSlide(address, now, spun));
  return base === undefined ? g : withPc(g, base);
}

/** A thread slides byte by byte, and only over places where others spin. */
function isSlide(from: number, to: number, spun: ReadonlySet<number>): boolean {
  if (to <= from || to - from > spun.size) return false;
  for (let at = from; at <= to; at++) if (!spun.has(at)) return false;
  return true;
}
