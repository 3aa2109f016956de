import type { Command } from 'commander';
import { copyConsole, followConsole } from '../../client/console';
import { write } from '../output';
import { addAgentOption, JOB, perform } from '../verb';

export const addLogs = (program: Command) =>
  addAgentOption(program.command('logs'))
    .summary("a job's console")
    .description('What the job has printed, byte for byte.')
    .addArgument(JOB())
    .option('-f, --follow', 'go on until it ends')
    .action(
      perform<{ follow?: true }, [string]>(async (invocation, { follow }, job) => {
        invocation.refuseJson("its output is the job's own bytes");
        await (follow ? followConsole : copyConsole)(invocation.socket, job, write);
      }),
    );
