/** A demonstration as a command: options, signals, times, exit status. */
import { parseArgs } from 'node:util';
import { exitStatusOf } from '../../agent/api/signals';
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
  /** Options besides `--check`, with the values that each may have; the first is the default. */
  choices?: Record<string, readonly string[]>;
  make(options: Options): Demonstration;
  /** Said at the end to a person. */
  next?: string;
}

export interface Options {
  check: boolean;
  chosen: Record<string, string>;
}

function usage({ command, choices = {} }: Presentation): string {
  const options: [string, string][] = [
    ['--check', 'for machines: nothing is asked or waited for; exit status 0 only if every step happened'],
    ...Object.entries(choices).map(([name, values]): [string, string] => [
      `--${name} VALUE`,
      `one of ${values.join(', ')}`,
    ]),
  ];
  const list = options.map(([option, does]) => `  ${option.padEnd(16)}${does}`);
  return [`usage: ${command} [-- OPTION…]`, '', ...list].join('\n');
}

/** @throws Error that says what is wrong with them */
function parse(args: string[], choices: Record<string, readonly string[]>): Options & { help: boolean } {
  const named = Object.entries(choices).map(
    ([name, [first]]) => [name, { type: 'string', default: first! }] as const,
  );
  const { values } = parseArgs({
    args,
    options: {
      check: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      ...Object.fromEntries(named),
    },
  });
  const chosen = Object.fromEntries(
    named.map(([name]) => [name, String(values[name as keyof typeof values])]),
  );
  for (const [name, value] of Object.entries(chosen))
    if (!choices[name]!.includes(value)) throw new Error(`--${name} is one of ${choices[name]!.join(', ')}`);
  return { check: values.check, help: values.help, chosen };
}

/** @returns the exit status */
export async function present(args: string[], presentation: Presentation): Promise<number> {
  let options: ReturnType<typeof parse>;
  try {
    options = parse(args, presentation.choices ?? {});
  } catch (error) {
    console.error(`${(error as Error).message}\n${usage(presentation)}`);
    return 2;
  }
  if (options.help) {
    console.log(usage(presentation));
    return 0;
  }
  if (process.getuid?.() !== 0) {
    console.error(
      `the demonstration moves real processes, which needs root; run: sudo ${presentation.command}`,
    );
    return 1;
  }
  return show(options, presentation);
}

async function show(options: Options, { screen, make, next }: Presentation): Promise<number> {
  const began = performance.now();
  const demonstration = make(options);
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
  if (status === 0 && !options.check && next) screen.say(next);
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
      let status = demonstration.stays ? 0 : exitStatusOf(signal);
      await demonstration.close().catch((error) => {
        screen.failed(String(error));
        status = 1;
      });
      process.exit(status);
    });
  return interrupted.signal;
}
