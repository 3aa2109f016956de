/** `npm run bench [-- MEBIBYTES…]`: what moves cost, in a lab of its own. */
import { benchMemory } from './memory';

const DEFAULT_MIB = [256, 1024, 4096];

const asked = process.argv.slice(2).map(Number);
benchMemory(asked.length > 0 ? asked : DEFAULT_MIB).catch((error: Error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});
