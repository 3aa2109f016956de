/**
 * `npm run bench [-- files | busy [--json FILE] | MEBIBYTES… | debugger [COUNT] [ROW…] | membership [SIZE…] [--json FILE] [--picture FILE]
 * | balance [--simulate [SIZE…]] [--json FILE] [--picture FILE]]`: what moves, also on a busy node, the home's files, a debugger's steps and the
 * gossip of members cost, and what moving by itself does for a cluster.
 */
import { benchBalance } from './balance/balance';
import { benchBusy } from './busy';
import { benchDebugger, DEFAULT_COUNT } from './debugger/debugger';
import { AGENTS, benchFiles } from './homefs';
import { benchMembership } from './membership/membership';
import { benchMemory } from './memory';
import { simulationOptions } from './options';

const DEFAULT_MIB = [256, 1024, 4096];

async function bench([first, ...others]: string[]): Promise<void> {
  if (first === 'files') return benchFiles();
  if (first !== undefined && first in AGENTS)
    return AGENTS[first as keyof typeof AGENTS](JSON.parse(others[0]!));
  if (first === 'busy') return benchBusy(simulationOptions(others).json);
  if (first === 'balance') return benchBalance(others);
  if (first === 'membership') return benchMembership(others);
  if (first === 'debugger') {
    const rows = others.filter((word) => !/^\d+$/.test(word));
    const count = others.find((word) => /^\d+$/.test(word));
    return benchDebugger(Number(count ?? DEFAULT_COUNT), rows);
  }
  if (first !== undefined) return benchMemory([first, ...others].map(Number));
  await benchMemory(DEFAULT_MIB);
  await benchFiles();
}

bench(process.argv.slice(2)).catch((error: Error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});
