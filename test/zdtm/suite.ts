/**
 * A built copy of CRIU's own tests (test/zdtm/static of its source), which the caller brings. Each is a program that
 * is started with the names of its files, becomes a daemon when it is ready, and checks itself when SIGTERM comes. What
 * each wants to be given is in their Makefile: of that only the lists of names and the command lines are read.
 */
import { accessSync, constants, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface SuiteTest {
  name: string;
  program: string;
  /** Names in them are in the working directory. */
  args: string[];
}

/** Lists of the Makefile, by what their tests are given besides the names of their outputs. */
const LISTS: Readonly<Record<string, (name: string) => string[]>> = {
  TST_NOFILE: () => [],
  TST_FILE: (name) => [`--filename=${name}.test`],
  TST_DIR: (name) => [`--dirname=${name}.test`],
  TST_DIR_FILE: (name) => [`--dirname=${name}.dir.test`, `--filename=${name}.test`],
};

/** Where a test says how it found things, and its number. */
export const OUT_FILE = 'out';
export const PID_FILE = 'pid';

/** `folder`: test/zdtm/static. Those that are built, in the order of their lists. */
export function readSuite(folder: string): SuiteTest[] {
  const makefile = readFileSync(join(folder, 'Makefile'), 'utf8').replace(/\\\n/g, ' ');
  const listed = Object.entries(LISTS).flatMap(([list, args]) =>
    namesOf(makefile, list).map((name): [string, string[]] => [name, args(name)]),
  );
  const special = namesOf(makefile, 'TST').map((name): [string, string[]] => [
    name,
    ownArguments(makefile, name),
  ]);
  return [...new Map([...special, ...listed])]
    .map(([name, args]) => ({
      name,
      program: join(folder, name),
      args: [`--pidfile=${PID_FILE}`, `--outfile=${OUT_FILE}`, ...args],
    }))
    .filter(({ program }) => isProgram(program));
}

/** What is assigned to a variable, each time. References to other variables are no names. */
function namesOf(makefile: string, variable: string): string[] {
  const assigned = makefile.matchAll(new RegExp(`^\\s*${variable}[ \\t]*(?::|\\+)?=(.*)$`, 'gm'));
  return [...assigned]
    .flatMap(([, names = '']) => names.split(/\s+/))
    .filter((name) => /^[\w.+-]+$/.test(name));
}

/** Of a test that has a rule of its own: what stands there after the names of its outputs. */
function ownArguments(makefile: string, name: string): string[] {
  const rule = makefile.split('\n').findIndex((line) => line.startsWith(`${name}.pid:`));
  const command = makefile.split('\n')[rule + 1] ?? '';
  const args =
    rule < 0
      ? []
      : command
          .trim()
          .split(/\s+/)
          .filter((word) => word.startsWith('--'));
  return args.filter((arg) => !/^--(pidfile|outfile)=/.test(arg)).map((arg) => arg.replaceAll('$<', name));
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
