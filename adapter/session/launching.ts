/** What a launch configuration becomes: the job that the agent is asked for, and what gdb is told before it looks at it. */
import { dirname, isAbsolute, resolve } from 'node:path';
import type { LaunchRequest } from '../../agent/api/model';
import { inheritance } from '../../agent/client/launcher';
import type { LaunchArguments } from '../configuration/arguments';
import { environment } from '../configuration/environment';
import { quoted } from '../gdb/quoting';

/** Of a terminal, until the editor says what it has. */
const USUAL_SIZE = { rows: 24, columns: 80 };

/** Relative paths are below `cwd`, which is the program's own folder where it is not given. */
const folderOf = ({ program, cwd }: LaunchArguments): string =>
  cwd ?? (isAbsolute(program) ? dirname(program) : process.cwd());

/** Without a slash it is looked for in PATH. */
export const programOf = (wanted: LaunchArguments): string =>
  wanted.program.includes('/') ? resolve(folderOf(wanted), wanted.program) : wanted.program;

/** @throws GodwitError `no-env-file` */
export function launchRequest(wanted: LaunchArguments): LaunchRequest {
  const { args, env, node, jobName, cpus, memory, processes, allowIoUring, hostname } = wanted;
  return {
    program: programOf(wanted),
    args,
    cwd: folderOf(wanted),
    env: environment(env, wanted.envFile),
    node,
    stopped: true,
    limits: { cpus, memory, processes },
    allowIoUring,
    ...(/terminal$/i.test(wanted.console) ? { tty: USUAL_SIZE } : {}),
    ...inheritance(),
    ...(jobName === undefined ? {} : { name: jobName }),
    ...(hostname === undefined ? {} : { hostname }),
  };
}

/** Commands of the person's, and where sources are now. */
export const before = ({
  setupCommands,
  sourceFileMap,
}: Pick<LaunchArguments, 'setupCommands' | 'sourceFileMap'>) => [
  ...setupCommands,
  ...Object.entries(sourceFileMap).map(([from, to]) => ({
    text: `-gdb-set substitute-path ${quoted(from)} ${quoted(to)}`,
  })),
];
