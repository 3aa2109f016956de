/** The registers of threads, corrected after a spin has kept them in place. */

import { parseThreadId } from '../rsp/packets';
import { pcOf, restoredRegisters, withPc } from '../rsp/registers';
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
  for (const { thread, g } of await rawRegisters(server, await threadNames(server))) {
    const inner = parseThreadId(thread)?.thread ?? 0;
    const general = before.get(inner);
    const position = byThread.get(inner);
    const placed = position ? withoutSlide(g, position) : g;
    const right = (general === undefined ? null : restoredRegisters(placed, general)) ?? placed;
    if (right === g) continue;
    await expectOk(server, `Hg${thread}`);
    await expectOk(server, `G${right}`);
  }
}

/** The registers of a thread that slid onto another one's jump, with its own pc again. */
function withoutSlide(g: string, { pc, restarts }: Position): string {
  const restart = pc - architecture.syscallBytes;
  const now = pcOf(g);
  if (now === pc || (restarts && now === restart)) return g;
  return withPc(g, restarts && now < pc ? restart : pc);
}
