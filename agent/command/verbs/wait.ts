import type { Command } from 'commander';
import { askThroughRestarts } from '../../client/agent';
import { addAgentOption, addJsonOption, JOB, perform } from '../verb';

export const addWait = (program: Command) =>
  addAgentOption(addJsonOption(program.command('wait')))
    .summary("wait for a job's end")
    .description("Waits until the job has ended; the program's exit status becomes this one.")
    .addArgument(JOB())
    .action(
      perform<object, [string]>(async (invocation, _options, job) => {
        const { id, exit, signal, reason } = await askThroughRestarts(invocation.socket, (agent) =>
          agent.call('jobs.wait', { job }, { timeoutMs: Number.POSITIVE_INFINITY }),
        );
        const why = reason ? `: ${reason}` : '';
        const how = signal ? `was ended by ${signal}` : `ended with exit status ${exit}`;
        await invocation.answer({ id, exit, signal, reason }, `job ${id} ${how}${why}`);
        return exit;
      }),
    );
