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
  for (const { thread, g } of await rawRegisters(server, await threadNames(server))) {
    const inner = parseThreadId(thread)?.thread ?? 0;
    const general = before.get(inner);
    const position = byThread.get(inner);
    const placed = position ? withoutSlide(g, position) : g;
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

/** The registers of a thread that slid onto another one's jump, with its own pc again. */
function withoutSlide(g: string, { pc, restarts }: Position): string {
  const restart = pc - architecture.syscallBytes;
  const now = pcOf(g);
  if (now === pc || (restarts && now === restart)) return g;
  return withPc(g, restarts && now < pc ? restart : pc);
}
