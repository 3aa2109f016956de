import type { Command } from 'commander';
import type { GodwitError } from '../../api/errors';
import { JobLine } from '../../client/job-line';
import { inForeground } from '../foreground';
import { unlessInterrupted } from '../interrupted';
import { addPidOption, addVerboseOption, type LineOptions } from '../line-options';
import { complain } from '../output';
import { addAgentOption, JOB, perform } from '../verb';

/** gdb gives up on a slow reply after so many seconds, 2 by default: far above the longest freeze. */
const REMOTE_TIMEOUT_S = 3600;

export const addGdb = (program: Command) =>
  addVerboseOption(addPidOption(addAgentOption(program.command('gdb'))))
    .summary('gdb on a job, which it follows')
    .description('Starts gdb, attached to a process of the job, and keeps it attached wherever the job goes.')
    .usage('[options] <job> [-- gdb-arg...]')
    .addArgument(JOB())
    .argument('[gdb-arg...]', 'given to gdb; its commands run when it is attached')
    .action(
      perform<LineOptions, [string, string[]]>(async (invocation, { pid, verbose }, job, args) => {
        invocation.refuseJson("the terminal is gdb's");
        const { socket } = invocation;
        return debug(new JobLine({ socket, job, pid, onNotice: verbose && complain }), args);
      }),
    );

async function debug(jobLine: JobLine, args: string[]): Promise<number> {
  try {
    const path = await jobLine.listen();
    const { home } = await unlessInterrupted(jobLine.open());
    // An error that ends the line before gdb does is printed when the terminal is free again.
    let ended: GodwitError | undefined;
    void jobLine.closed.then((why) => {
      ended = why;
    });
    const status = await inForeground('gdb', [...attaching(path, sysrootFor(home)), ...args]);
    if (ended) complain(ended.toLine());
    return status;
  } finally {
    await jobLine.line.close();
  }
}

/** Where gdb finds the home's files: this machine is the home, or shares its files. */
const sysrootFor = (_home: string) => '/';

/** gdb runs the commands of its command line in their order: the user's come when it is attached. */
const attaching = (path: string, sysroot: string) => [
  ...['-iex', `set remotetimeout ${REMOTE_TIMEOUT_S}`],
  ...['-ex', `set sysroot ${sysroot}`],
  ...['-ex', `target remote ${path}`],
];
