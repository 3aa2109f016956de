import type { Command } from 'commander';
import { copyConsole, followConsole } from '../../client/console';
import { arrayMeant, copyConsoles, followConsoles } from '../arrays';
import { complain, write } from '../output';
import { size } from '../text';
import { addAgentOption, JOB, perform } from '../verb';

export const addLogs = (program: Command) =>
  addAgentOption(program.command('logs'))
    .summary("a job's console")
    .description(
      'What the job has printed, byte for byte, control sequences included. Of a very long console only the end is kept. ' +
        'Of an array it is what each job has printed, one after the other, each line with the index of its job in front; ' +
        'followed, as it comes.',
    )
    .addArgument(JOB())
    .option('-f, --follow', 'go on until it ends')
    .action(
      perform<{ follow?: true }, [string]>(async (invocation, { follow }, job) => {
        invocation.refuseJson("its output is the job's own bytes");
        const array = await arrayMeant(invocation.socket, job);
        if (array) {
          const show = follow ? followConsoles : copyConsoles;
          return show(invocation.socket, array, tellCutOf);
        }
        if (follow) await followConsole(invocation.socket, job, write, {}, { cut: tellCut });
        else await copyConsole(invocation.socket, job, write, { cut: tellCut });
      }),
    );

export const tellCutOf = ({ id }: { id: string }, bytes: number): void =>
  complain(`${bytes} bytes (${size(bytes)}) of the oldest output of job ${id} are not kept any more`);

/** On stderr, so that stdout stays the job's own bytes. */
export const tellCut = (bytes: number): void =>
  complain(`${bytes} bytes (${size(bytes)}) of its oldest output are not kept any more`);
