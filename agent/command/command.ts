/** All verbs together, and how the command ends: its exit status, and the one line on stderr where something failed. */
import { Command, CommanderError } from 'commander';
import { version } from '../../package.json';
import { asGodwitError } from '../api/errors';
import { Interrupted } from './interrupted';
import { complain } from './output';
import { addAgentOption, addJsonOption } from './verb';

const REFUSED = 1;
const WRONG_USAGE = 2;

type Add = (program: Command) => unknown;

/** In the order of the help. Each is loaded when it is wanted: a command is one verb, and waits for all that it loads. */
const VERBS: Record<string, Record<string, () => Promise<Add>>> = {
  'Nodes:': {
    doctor: async () => (await import('./verbs/doctor')).addDoctor,
    lab: async () => (await import('./verbs/lab')).addLab,
    cluster: async () => (await import('./verbs/cluster')).addCluster,
    live: async () => (await import('./verbs/live')).addLive,
    agent: async () => (await import('./verbs/agent')).addAgent,
    nodes: async () => (await import('./verbs/nodes')).addNodes,
    top: async () => (await import('./verbs/top')).addTop,
    drain: async () => (await import('./verbs/balance')).addDrain,
    undrain: async () => (await import('./verbs/balance')).addUndrain,
    speed: async () => (await import('./verbs/balance')).addSpeed,
    allocation: async () => (await import('./verbs/allocation')).addAllocation,
  },
  'Jobs:': {
    run: async () => (await import('./verbs/run')).addRun,
    mpirun: async () => (await import('./verbs/mpirun')).addMpirun,
    'mpi-daemon': async () => (await import('./verbs/mpirun')).addMpiDaemon,
    ps: async () => (await import('./verbs/ps')).addPs,
    stacks: async () => (await import('./verbs/stacks')).addStacks,
    logs: async () => (await import('./verbs/logs')).addLogs,
    attach: async () => (await import('./verbs/attach')).addAttach,
    wait: async () => (await import('./verbs/wait')).addWait,
    kill: async () => (await import('./verbs/kill')).addKill,
  },
  'Moves:': {
    migrate: async () => (await import('./verbs/migrate')).addMigrate,
    why: async () => (await import('./verbs/why')).addWhy,
    pin: async () => (await import('./verbs/pin')).addPin,
    unpin: async () => (await import('./verbs/pin')).addUnpin,
    bring: async () => (await import('./verbs/balance')).addBring,
    balance: async () => (await import('./verbs/balance')).addBalance,
    history: async () => (await import('./verbs/history')).addHistory,
  },
  'When a node is gone:': {
    adopt: async () => (await import('./verbs/adopt')).addAdopt,
    forget: async () => (await import('./verbs/adopt')).addForget,
  },
  'Debuggers that follow:': {
    gdb: async () => (await import('./verbs/gdb')).addGdb,
    rsp: async () => (await import('./verbs/rsp')).addRsp,
  },
};

export const AFTERWORD = `
A JOB is a job's id, a unique prefix of it, or its name; for many verbs an array's, too. A NODE is a node's name, "home" or "best".

The agent that is asked: --agent, else $GODWIT_AGENT, else this machine's own (/run/godwit/agent.sock),
else the first node of the lab "lab"; with $GODWIT_LAB, the first node of that lab.

Exit status: 0 done, 1 refused or failed, 2 wrong usage; run, wait and mpirun exit with the program's own status,
128 + the signal's number where a signal ended it; gdb with gdb's.

  godwit lab up                          three nodes on this machine
  godwit run --detach --name sim -- ./sim 100
  godwit gdb sim                         gdb, attached
  godwit migrate sim node2               from another terminal: gdb stays attached
  godwit history sim`;

/** Runs `godwit ARG…` to its end; resolves with its exit status and never rejects. */
export async function runCommand(args: string[]): Promise<number> {
  try {
    const program = await makeProgram(args[0]);
    await program.parseAsync(args, { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof Interrupted) return error.status;
    if (!(error instanceof CommanderError)) {
      complain(asGodwitError(error).toLine());
      return REFUSED;
    }
    // The help and the version that were asked for come this way as well.
    if (error.exitCode === 0) return 0;
    complain(`${usageMistake(error)}; see \`godwit --help\``);
    return WRONG_USAGE;
  }
}

/** All that the command can, or the one verb that is named, if it is one; not yet run. */
export async function makeProgram(named?: string): Promise<Command> {
  const program = new Command('godwit')
    .description('Moves running programs between machines, with their debuggers attached.')
    .version(version, '--version', "the command's version")
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [verb]', 'show the help of a verb')
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .exitOverride()
    // Mistakes are reported in one line, at the end.
    .configureOutput({ writeErr: () => {}, outputError: () => {} })
    .addHelpText('after', AFTERWORD);
  addAgentOption(addJsonOption(program));
  const isVerb = named !== undefined && Object.values(VERBS).some((verbs) => Object.hasOwn(verbs, named));
  for (const [group, verbs] of Object.entries(VERBS)) {
    program.commandsGroup(group);
    for (const [verb, load] of Object.entries(verbs)) if (!isVerb || verb === named) (await load())(program);
  }
  return program;
}

function usageMistake({ code, message }: CommanderError): string {
  if (code === 'commander.help') return 'say what to do';
  return message.replace(/^error: /, '').replace(/\.$/, '');
}
