/**
 * `npm run bench [-- NAME [WORD…] [--json FILE]]`; without a name `memory` and `files`. Each prints its table; `--json`
 * writes its figures as `{name: number}`.
 */
import { writeFileSync } from 'node:fs';
import { benchBalance } from './balance/balance';
import { benchBusy } from './busy';
import { benchDebugger } from './debugger/debugger';
import { benchExtension } from './extension';
import { AGENTS, benchFiles } from './homefs';
import { benchMembership } from './membership/membership';
import { benchMemory } from './memory';
import { type BenchOptions, benchOptions } from './options';

type Bench = (options: BenchOptions) => Promise<Record<string, number>>;

const BENCHES: Record<string, Bench> = {
  /** `[MEBIBYTES…]`: what moves cost, by the job's memory. */
  memory: benchMemory,
  /** The same of a job of several processes, beside a quiet machine and a busy one. */
  busy: benchBusy,
  /** What the home's files cost away from home. */
  files: benchFiles,
  /** `[COUNT] [ROW…]`: what a debugger's steps cost. */
  debugger: benchDebugger,
  /** `[SIZE…] [--picture FILE]`: what the gossip of members does. */
  membership: benchMembership,
  /** `[time] [memory]` or `--simulate [SIZE…] [--picture FILE]`: what moving by itself does, to jobs here or in a simulated cluster. */
  balance: benchBalance,
  /** `[COUNT]`: what the extension costs in a window of VS Code. */
  extension: benchExtension,
};

async function main([first, ...others]: string[]): Promise<void> {
  if (first !== undefined && first in AGENTS)
    return AGENTS[first as keyof typeof AGENTS](JSON.parse(others[0]!));
  const isName = first !== undefined && !/^\d+$/.test(first);
  const names = first === undefined ? ['memory', 'files'] : isName ? [first] : ['memory'];
  const options = benchOptions(isName ? others : process.argv.slice(2));
  const figures: Record<string, number> = {};
  for (const name of names) {
    const bench = BENCHES[name];
    if (!bench) throw new Error(`no bench is called ${name}; there are ${Object.keys(BENCHES).join(', ')}`);
    Object.assign(figures, await bench(options));
  }
  if (options.json) writeFileSync(options.json, `${JSON.stringify(figures, null, 2)}\n`);
}

main(process.argv.slice(2)).catch((error: Error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});
