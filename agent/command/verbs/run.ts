import { randomUUID } from 'node:crypto';
import { isIPv4 } from 'node:net';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { HostName, type Job, type LaunchRequest, MOST_PARTS } from '../../api/model';
import { askSafely, askThroughRestarts } from '../../client/agent';
import { followConsole } from '../../client/console';
import { inheritance } from '../../client/launcher';
import { noCurrentFolder } from '../errors';
import { Interruptions, oneJob } from '../interruptions';
import { complain, write } from '../output';
import { bytes } from '../sizes';
import { atTerminal, checkTerminal, detachKeyOption, windowSize } from '../terminal';
import { addAgentOption, addJsonOption, type Invocation, perform } from '../verb';
import { tellCut } from './logs';
import { runArray } from './run-array';

export interface RunOptions {
  on: string;
  name?: string;
  cwd?: string;
  env: Record<string, string>;
  detach?: true;
  stopped?: boolean;
  allowIoUring?: true;
  tty?: true;
  detachKey?: number;
  cpus?: number;
  memory?: number;
  processes?: number;
  nodes?: string[];
  address?: string | true;
  hostname?: string;
  count?: number;
  queue?: true;
  /** A group begins with it. */
  group?: string;
}

export const addRun = (program: Command) =>
  addAgentOption(addJsonOption(program.command('run')))
    .summary('launch a program as a job')
    .description(
      'Launches a program as a job. Its output streams until it ends, and its exit status becomes this one; ' +
        'Ctrl-C goes to the program; after a second one it runs on alone. Of an array all is launched or nothing; each line ' +
        'of output has the index of its job in front, the highest exit status counts, and Ctrl-C goes to all.',
    )
    .usage('[options] -- <program> [arg...]')
    .argument('<program>', 'looked for in PATH where it has no slash')
    .argument('[arg...]')
    .option(
      '--on <node>',
      'the node to run on: a name, "home" or "best"; best where balance is on, else home',
      'auto',
    )
    .option('--nodes <names>', 'the nodes on which alone it may be, also later: "a,b,c"', names)
    .option(
      '--count <number>',
      `so many jobs of it, an array; each has GODWIT_INDEX (from 0 on) and GODWIT_COUNT in its environment`,
      parts,
    )
    .option('--queue', 'let it wait until a node has room, and begin there')
    .option('--name <name>', "the job's name; of an array the jobs are NAME.0, NAME.1, ...")
    .option('--cwd <folder>', 'where it runs; here by default')
    .option(
      '--env <variable=value>',
      'added to its environment, which is this one; may be repeated',
      variable,
      {},
    )
    .option('--detach', 'leave it running and print its id')
    .option('--allow-io-uring', "let it use io_uring; while it does, it can't be moved")
    .option('--tty', 'give it a terminal, attached to this one until it ends or Ctrl-] is typed')
    .addOption(detachKeyOption())
    .option('--stopped', 'stop it before its first instruction, for a debugger')
    .option('--cpus <number>', 'how much of the CPUs it may use, e.g. 1.5', positive)
    .option('--memory <size>', 'how much memory it may use, e.g. 512M or 2G', bytes)
    .option('--processes <number>', 'how many processes and threads it may have', whole)
    .option(
      '--address [ip]',
      "an address of its own that moves with it: this one, or one of its home's",
      address,
    )
    .option('--hostname <name>', "the host name that it sees; its home's without it", hostName)
    .passThroughOptions()
    .action(perform<RunOptions, [string, string[]]>(run));

async function run(
  invocation: Invocation,
  options: RunOptions,
  program: string,
  args: string[],
): Promise<number | undefined> {
  const { socket } = invocation;
  if (options.tty && options.count !== undefined)
    invocation.misused("--tty does not go with --count: a terminal is one job's");
  if (options.tty && !options.detach) checkTerminal('add --detach');
  const request = launchRequest(options, program, args);
  if (options.count !== undefined) return runArray(invocation, request, options.count, options.detach);
  if (options.detach) {
    const job = await launch(socket, request);
    const { id, name, home, node, pid } = job;
    await invocation.answer({ id, name, home, node, pid }, id);
    return undefined;
  }
  invocation.refuseJson("its output is the program's, add --detach");
  if (options.tty) return atTerminal(socket, (await launch(socket, request)).id, options.detachKey);
  return runAttached(invocation, options, program, args);
}

/** Launches it and stays with it: its output, its signals, its exit status. */
export async function runAttached(
  { socket }: Invocation,
  options: RunOptions,
  program: string,
  args: string[],
): Promise<number> {
  const request = launchRequest(options, program, args);
  const interruptions = new Interruptions(socket);
  try {
    const job = await launch(socket, request);
    interruptions.goTo(oneJob(job.id));
    return await stayWith(socket, job, request.stopped);
  } finally {
    interruptions.end();
  }
}

/** By its token a launch that is asked for again, after a move of the job that asks, is made once. */
const launch = (socket: string, request: LaunchRequest): Promise<Job> =>
  askSafely(socket, (agent) => agent.call('jobs.run', request));

/** Its console on stdout until it ends; returns its exit status. */
async function stayWith(socket: string, { id, node, queued }: Job, stopped: boolean): Promise<number> {
  if (queued) complain(`job ${id} is queued, number ${queued.position}: it begins when a node has room`);
  else if (stopped)
    complain(
      `job ${id} is stopped on ${node} before its first instruction; attach with \`godwit gdb ${id}\``,
    );
  await followConsole(socket, id, write, { accepted: true }, { cut: tellCut });
  const wait = { timeoutMs: Number.POSITIVE_INFINITY };
  const { exit } = await askThroughRestarts(socket, (agent) => agent.call('jobs.wait', { job: id }, wait), {
    accepted: true,
  });
  return exit;
}

/** What an agent is asked for, with what the job has of this process. */
export function launchRequest(options: RunOptions, program: string, args: string[]): LaunchRequest {
  const { on, name, cwd = '.', env, stopped = false, tty, allowIoUring, address: own } = options;
  const { cpus, memory, processes, hostname, nodes, queue, group } = options;
  const folder = resolve(currentFolder(), cwd);
  return {
    // As the program's own folder would have it: `env -C folder ./program`.
    program: program.includes('/') ? resolve(folder, program) : program,
    args,
    cwd: folder,
    env: { ...(process.env as Record<string, string>), ...env },
    node: on,
    ...(nodes === undefined ? {} : { nodes }),
    stopped,
    token: randomUUID(),
    limits: { cpus, memory, processes },
    ...(allowIoUring ? { allowIoUring } : {}),
    ...(tty ? { tty: windowSize() } : {}),
    ...inheritance(),
    ...(name === undefined ? {} : { name }),
    ...(hostname === undefined ? {} : { hostname }),
    ...(queue ? { queue } : {}),
    ...(group === undefined ? {} : { group }),
    ...(own === undefined ? {} : { address: own === true ? 'auto' : own }),
  };
}

function currentFolder(): string {
  try {
    return process.cwd();
  } catch {
    throw noCurrentFolder();
  }
}

function variable(text: string, sofar: Record<string, string>): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must be like NAME=VALUE.');
  return { ...sofar, [text.slice(0, at)]: text.slice(at + 1) };
}

function hostName(text: string): string {
  if (HostName.safeParse(text).success) return text;
  throw new InvalidArgumentError('It must be letters, digits, - and dots, 64 at the most.');
}

function address(text: string): string {
  if (text === 'auto' || isIPv4(text)) return text;
  throw new InvalidArgumentError(`It must be like 10.0.0.5, or "auto"; the program comes after \`--\`.`);
}

/** `a,b,c` */
export function names(text: string): string[] {
  const all = text.split(',').filter(Boolean);
  if (all.length === 0) throw new InvalidArgumentError('It must be like node1,node2.');
  return all;
}

function positive(text: string): number {
  const number = Number(text);
  if (!(number > 0 && number < Number.POSITIVE_INFINITY))
    throw new InvalidArgumentError('It must be like 1.5.');
  return number;
}

function whole(text: string): number {
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number, 1 or more.');
  return Number(text);
}

function parts(text: string): number {
  const count = whole(text);
  if (count > MOST_PARTS) throw new InvalidArgumentError(`An array has ${MOST_PARTS} jobs at most.`);
  return count;
}

/** `512M`: powers of 1024. */
