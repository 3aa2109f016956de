/** All verbs together, and how the command ends: its exit status, and the one line on stderr where something failed. */
import { Command, CommanderError } from 'commander';
import { version } from '../../package.json';
import { asGodwitError } from '../api/errors';
import { Interrupted } from './interrupted';
import { complain } from './output';
import { addAgentOption, addJsonOption } from './verb';
import { addAdopt, addForget } from './verbs/adopt';
import { addAgent } from './verbs/agent';
import { addAllocation } from './verbs/allocation';
import { addAttach } from './verbs/attach';
import { addBalance, addBring, addDrain, addSpeed, addUndrain } from './verbs/balance';
import { addCluster } from './verbs/cluster';
import { addDoctor } from './verbs/doctor';
import { addGdb } from './verbs/gdb';
import { addHistory } from './verbs/history';
import { addKill } from './verbs/kill';
import { addLab } from './verbs/lab';
import { addLive } from './verbs/live';
import { addLogs } from './verbs/logs';
import { addMigrate } from './verbs/migrate';
import { addMpiDaemon, addMpirun } from './verbs/mpirun';
import { addNodes } from './verbs/nodes';
import { addPin, addUnpin } from './verbs/pin';
import { addPs } from './verbs/ps';
import { addRsp } from './verbs/rsp';
import { addRun } from './verbs/run';
import { addStacks } from './verbs/stacks';
import { addTop } from './verbs/top';
import { addWait } from './verbs/wait';
import { addWhy } from './verbs/why';

const REFUSED = 1;
const WRONG_USAGE = 2;

/** In the order of the help. */
const VERBS: Record<string, ((program: Command) => void)[]> = {
  'Nodes:': [
    ...[addDoctor, addLab, addCluster, addLive, addAgent, addNodes, addTop, addDrain, addUndrain, addSpeed],
    addAllocation,
  ],
  'Jobs:': [addRun, addMpirun, addMpiDaemon, addPs, addStacks, addLogs, addAttach, addWait, addKill],
  'Moves:': [addMigrate, addWhy, addPin, addUnpin, addBring, addBalance, addHistory],
  'When a node is gone:': [addAdopt, addForget],
  'Debuggers that follow:': [addGdb, addRsp],
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
    await makeProgram().parseAsync(args, { from: 'user' });
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

/** All that the command can, not yet run. */
export function makeProgram(): Command {
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
  for (const [group, verbs] of Object.entries(VERBS)) {
    program.commandsGroup(group);
    for (const add of verbs) add(program);
  }
  return program;
}

function usageMistake({ code, message }: CommanderError): string {
  if (code === 'commander.help') return 'say what to do';
  return message.replace(/^error: /, '').replace(/\.$/, '');
}
