/** `npm run demo`: shows what Godwit is for; with `--check` it says so by its exit status, for a machine. */
import { constants } from 'node:os';
import { Demonstration } from './demonstration';
import { Screen, seconds } from './screen';

const USAGE = `usage: npm run demo [-- --check]

  --check   for machines: ends without hints; exit status 0 only if every step happened`;

const NEXT = `
Try it yourself:

  gcc -g -O0 -pthread -o /tmp/heat test/demo/sample/heat.c -lm
  node dist/godwit.cjs lab up
  node dist/godwit.cjs run --on node1 --detach --stopped --name heat -- /tmp/heat
  node dist/godwit.cjs gdb heat                 and in another terminal:
  node dist/godwit.cjs migrate heat node2
  node dist/godwit.cjs lab down`;

const screen = new Screen();

async function main(args: string[]): Promise<number> {
  const unknown = args.find((arg) => arg !== '--check' && arg !== '--help');
  if (unknown) {
    console.error(`${unknown} is not an option of the demonstration\n${USAGE}`);
    return 2;
  }
  if (args.includes('--help')) {
    console.log(USAGE);
    return 0;
  }
  if (process.getuid?.() !== 0) {
    console.error('the demonstration moves real processes, which needs root; run: sudo npm run demo');
    return 1;
  }
  return show(args.includes('--check'));
}

async function show(check: boolean): Promise<number> {
  const began = performance.now();
  const demonstration = new Demonstration(screen);
  const interrupted = takeDownOnSignals(demonstration);
  let status = 0;
  try {
    await demonstration.show();
  } catch (error) {
    if (interrupted.aborted) return new Promise(() => {});
    screen.failed(demonstration.report(error));
    status = 1;
  }
  if (!demonstration.begun) return status;
  try {
    await screen.waiting('taking the lab down', demonstration.close());
  } catch (error) {
    screen.failed(error instanceof Error ? error.message : String(error));
    return 1;
  }
  screen.say();
  screen.saw('nothing is left: no process, namespace, mount, cgroup or file');
  screen.say();
  for (const { number, title, ms } of demonstration.times)
    screen.say(`   ${seconds(ms).padStart(7)}  ${number}  ${title}`);
  screen.say(`   ${seconds(performance.now() - began).padStart(7)}  in all`);
  if (status === 0 && !check) screen.say(NEXT);
  return status;
}

/** Ctrl-C and the like: what was made is taken down, then this process exits. The signal says that it is so. */
function takeDownOnSignals(demonstration: Demonstration): AbortSignal {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, async () => {
      if (interrupted.signal.aborted) return;
      interrupted.abort();
      screen.say('\ninterrupted: taking the lab down');
      await demonstration.close().catch((error) => screen.failed(String(error)));
      process.exit(128 + constants.signals[signal]);
    });
  return interrupted.signal;
}

void main(process.argv.slice(2)).then((status) => {
  process.exitCode = status;
});
