import type { Command } from 'commander';
import { followConsole } from '../../client/console';
import { findTerminal } from '../../client/terminal';
import { complain, write } from '../output';
import { atTerminal, checkTerminal, detachKeyOption } from '../terminal';
import { addAgentOption, JOB, perform } from '../verb';

export const addAttach = (program: Command) =>
  addAgentOption(program.command('attach'))
    .summary("attach to a job's terminal")
    .description(
      'Attaches this terminal to that of a job, which was run with --tty: what is typed goes to the job, Ctrl-C too, and its ' +
        'exit status becomes this one. Ctrl-] leaves it running. Of a job without a terminal it shows the console.',
    )
    .addArgument(JOB())
    .addOption(detachKeyOption())
    .action(
      perform<{ detachKey?: number }, [string]>(async (invocation, { detachKey }, job) => {
        invocation.refuseJson("its output is the job's own bytes");
        const { socket } = invocation;
        const found = await findTerminal(socket, job);
        if (found.tty) {
          checkTerminal(`use \`godwit logs -f ${job}\``);
          return atTerminal(socket, found.id, detachKey, found);
        }
        complain(`job ${found.id} has no terminal: it reads nothing, and this is what it prints`);
        await followConsole(socket, found.id, write, { accepted: true });
        return 0;
      }),
    );
