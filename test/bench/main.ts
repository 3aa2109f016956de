/** `npm run bench [-- files | MEBIBYTES…]`: what moves and the home's files cost. */
import { AGENTS, benchFiles } from './homefs';
import { benchMemory } from './memory';

const DEFAULT_MIB = [256, 1024, 4096];

async function bench([first, ...others]: string[]): Promise<void> {
  if (first === 'files') return benchFiles();
  if (first !== undefined && first in AGENTS)
    return AGENTS[first as keyof typeof AGENTS](JSON.parse(others[0]!));
  if (first !== undefined) return benchMemory([first, ...others].map(Number));
  await benchMemory(DEFAULT_MIB);
  await benchFiles();
}

bench(process.argv.slice(2)).catch((error: Error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});
