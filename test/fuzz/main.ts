/** `npm run fuzz -- doors [--messages N] [--seed S]`: what nobody should send, to those who must bear it. */
import { fuzzDoors } from './doors';

const WHAT: Record<string, (args: string[]) => Promise<void>> = { doors: fuzzDoors };

const [what = '', ...args] = process.argv.slice(2);
const fuzz = WHAT[what];
if (fuzz)
  fuzz(args).catch((error: Error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exitCode = 1;
  });
else {
  process.stderr.write(`say what: ${Object.keys(WHAT).join(', ')}\n`);
  process.exitCode = 2;
}
