import type { Command } from 'commander';
import { copyConsole, followConsole } from '../../client/console';
import { copyConsoles, followConsoles, jobOrArray } from '../arrays';
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
        const { socket } = invocation;
        const cut = { cut: tellCut };
        await jobOrArray(
          socket,
          job,
          () => (follow ? followConsole(socket, job, write, {}, cut) : copyConsole(socket, job, write, cut)),
          (array) => (follow ? followConsoles : copyConsoles)(socket, array, tellCutOf),
        );
      }),
    );

export const tellCutOf = ({ id }: { id: string }, bytes: number): void =>
  complain(`${bytes} bytes (${size(bytes)}) of the oldest output of job ${id} are not kept any more`);

/** On stderr, so that stdout stays the job's own bytes. */
export const tellCut = (bytes: number): void =>
  complain(`${bytes} bytes (${size(bytes)}) of its oldest output are not kept any more`);
