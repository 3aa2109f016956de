/**
 * `npm run fuzz -- [TARGET…] [--requests N] [--seconds S]`: what should not be sent, to the C programs;
 * `npm run fuzz -- sockets [--messages N] [--seed S]`: to an agent's sockets.
 */

import { fuzzPrograms } from './programs';
import { fuzzSockets } from './sockets';

const [what, ...others] = process.argv.slice(2);
const fuzz = what === 'sockets' ? fuzzSockets(others) : fuzzPrograms(process.argv.slice(2));
fuzz.catch((error: Error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});
