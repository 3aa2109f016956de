/** A demonstration as a command: options, signals, times, exit status. */
import { constants } from 'node:os';
import { type Screen, seconds } from './screen';
import type { Stage } from './stage';

export interface Demonstration {
  readonly stage: Stage;
  /** It is up until it is told to end: an interruption is then what it has waited for. */
  readonly stays?: boolean;
  /** @throws whatever stops it; `close` in any case */
  show(): Promise<void>;
  /** For someone who must find out what went wrong. */
  report(error: unknown): string;
  /** Ends and removes all that it has made. */
  close(): Promise<void>;
}

export interface Presentation {
  /** As it is typed: `npm run demo`. */
  command: string;
  screen: Screen;
  make(check: boolean): Demonstration;
  /** Said at the end to a person. */
  next?: string;
}

const usage = (command: string) => `usage: ${command} [-- --check]

  --check   for machines: nothing is asked or waited for; exit status 0 only if every step happened`;

/** @returns the exit status */
export async function present(args: string[], presentation: Presentation): Promise<number> {
  const { command } = presentation;
  const unknown = args.find((arg) => arg !== '--check' && arg !== '--help');
  if (unknown) {
    console.error(`${unknown} is not an option of the demonstration\n${usage(command)}`);
    return 2;
  }
  if (args.includes('--help')) {
    console.log(usage(command));
    return 0;
  }
  if (process.getuid?.() !== 0) {
    console.error(`the demonstration moves real processes, which needs root; run: sudo ${command}`);
    return 1;
  }
  return show(args.includes('--check'), presentation);
}

async function show(check: boolean, { screen, make, next }: Presentation): Promise<number> {
  const began = performance.now();
  const demonstration = make(check);
  const { stage } = demonstration;
  const interrupted = takeDownOnSignals(demonstration, screen);
  let status = 0;
  try {
    await demonstration.show();
  } catch (error) {
    if (interrupted.aborted) return new Promise(() => {});
    screen.failed(demonstration.report(error));
    status = 1;
  }
  if (!stage.begun) return status;
  try {
    await screen.waiting('taking everything down', demonstration.close());
  } catch (error) {
    screen.failed(error instanceof Error ? error.message : String(error));
    return 1;
  }
  screen.say();
  screen.saw('nothing is left: no process, namespace, mount, cgroup or file');
  screen.say();
  for (const { number, title, ms } of stage.times)
    screen.say(`   ${seconds(ms).padStart(7)}  ${number}  ${title}`);
  screen.say(`   ${seconds(performance.now() - began).padStart(7)}  in all`);
  if (status === 0 && !check && next) screen.say(next);
  return status;
}

/** Ctrl-C and the like: what was made is taken down, then this process exits. The signal says that it is so. */
function takeDownOnSignals(demonstration: Demonstration, screen: Screen): AbortSignal {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, async () => {
      if (interrupted.signal.aborted) return;
      interrupted.abort();
      screen.say(`\n${demonstration.stays ? '' : 'interrupted: '}taking everything down`);
      let status = demonstration.stays ? 0 : 128 + constants.signals[signal];
      await demonstration.close().catch((error) => {
        screen.failed(String(error));
        status = 1;
      });
      process.exit(status);
    });
  return interrupted.signal;
}
