/** Where threads stand, set right after they were held by a spin. */

import { parseThreadId } from '../rsp/packets';
import { pcOf, restoredRegisters, withPc } from '../rsp/registers';
import type { ThreadRegisters } from '../state/parked';
import type { Gdbserver } from './gdbserver';
import { expectOk, rawRegisters, threadNames } from './inspect';
import { architecture, type Stand } from './spin';
import type { ThreadStand } from './threads';

/** Sets right what the spin and the move did to registers. */
export async function putInPlace(
  server: Gdbserver,
  stands: ThreadStand[],
  remembered: ThreadRegisters[],
): Promise<void> {
  const before = new Map(remembered.map(({ thread, general }) => [parseThreadId(thread)?.thread, general]));
  const stood = new Map(stands.map((stand) => [stand.inner, stand]));
  for (const { thread, g } of await rawRegisters(server, await threadNames(server))) {
    const inner = parseThreadId(thread)?.thread ?? 0;
    const general = before.get(inner);
    const stand = stood.get(inner);
    const placed = stand ? backInPlace(g, stand) : g;
    const right = (general === undefined ? null : restoredRegisters(placed, general)) ?? placed;
    if (right === g) continue;
    await expectOk(server, `Hg${thread}`);
    await expectOk(server, `G${right}`);
  }
}

/** A thread that slid onto another one's jump stands there now. */
function backInPlace(g: string, { pc, restarts }: Stand): string {
  const restart = pc - architecture.syscallBytes;
  const now = pcOf(g);
  if (now === pc || (restarts && now === restart)) return g;
  return withPc(g, restarts && now < pc ? restart : pc);
}
