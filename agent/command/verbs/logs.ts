import type { Command } from 'commander';
import { copyConsole, followConsole } from '../../client/console';
import { complain, write } from '../output';
import { size } from '../text';
import { addAgentOption, JOB, perform } from '../verb';

export const addLogs = (program: Command) =>
  addAgentOption(program.command('logs'))
    .summary("a job's console")
    .description(
      'What the job has printed, byte for byte, control sequences included. Of a very long console only the end is kept.',
    )
    .addArgument(JOB())
    .option('-f, --follow', 'go on until it ends')
    .action(
      perform<{ follow?: true }, [string]>(async (invocation, { follow }, job) => {
        invocation.refuseJson("its output is the job's own bytes");
        if (follow) await followConsole(invocation.socket, job, write, {}, { cut: tellCut });
        else await copyConsole(invocation.socket, job, write, { cut: tellCut });
      }),
    );

/** On stderr, so that stdout stays the job's own bytes. */
export const tellCut = (bytes: number): void =>
  complain(`${bytes} bytes (${size(bytes)}) of its oldest output are not kept any more`);
