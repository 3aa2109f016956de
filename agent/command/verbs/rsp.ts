import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { JobLine } from '../../client/job-line';
import type { Endpoint } from '../../debug/link/line';
import { unlessInterrupted } from '../interrupted';
import { addPidOption, addVerboseOption, type LineOptions } from '../line-options';
import { complain, write } from '../output';
import { addAgentOption, JOB, perform } from '../verb';

const MAX_PORT = 65_535;

export const addRsp = (program: Command) =>
  addVerboseOption(addPidOption(addAgentOption(program.command('rsp'))))
    .summary("a line for any other client of gdb's remote protocol")
    .description(
      "Attaches to a process of the job, waits for one client of gdb's remote protocol (lldb, an editor), and " +
        'serves it wherever the job goes, until it leaves.',
    )
    .addArgument(JOB())
    .requiredOption('--listen <where>', 'a path, or a port of this machine alone (0 for any)', endpoint)
    .action(
      perform<LineOptions & { listen: Endpoint }, [string]>(
        async (invocation, { pid, verbose, listen }, job) => {
          invocation.refuseJson('it prints where it listens');
          return serve(
            new JobLine({ socket: invocation.socket, job, pid, onNotice: verbose && complain }),
            listen,
          );
        },
      ),
    );

async function serve(jobLine: JobLine, listen: Endpoint): Promise<void> {
  const address = await jobLine.line.listen(listen);
  try {
    // A signal that comes as soon as the address is known finds this ready for it.
    const why = await unlessInterrupted(served(jobLine, address));
    if (why) throw why;
  } finally {
    await jobLine.line.close();
  }
}

async function served(jobLine: JobLine, address: string) {
  await jobLine.open();
  await write(`listening at ${address}\n`);
  return jobLine.closed;
}

function endpoint(text: string): Endpoint {
  if (/^\d+$/.test(text)) {
    if (Number(text) > MAX_PORT) throw new InvalidArgumentError(`A port is at most ${MAX_PORT}.`);
    return { port: Number(text) };
  }
  // It would listen on this machine alone all the same.
  if (/^[^/]*:\d+$/.test(text)) throw new InvalidArgumentError('Give the port alone, or a path.');
  return { path: resolve(text) };
}
