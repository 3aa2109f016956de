import type { Command } from 'commander';
import type { FoundArray } from '../../api/array';
import { askThroughRestarts } from '../../client/agent';
import { jobOrArray, waitForAll, worst } from '../arrays';
import { addAgentOption, addJsonOption, type Invocation, JOB, perform } from '../verb';

export const addWait = (program: Command) =>
  addAgentOption(addJsonOption(program.command('wait')))
    .summary("wait for a job's end")
    .description(
      "Waits until the job has ended; the program's exit status becomes this one. Of an array it waits for all jobs, and " +
        'the highest exit status counts.',
    )
    .addArgument(JOB())
    .action(
      perform<object, [string]>((invocation, _options, job) =>
        jobOrArray(
          invocation.socket,
          job,
          () => waitForJob(invocation, job),
          (array) => waitForArray(invocation, array),
        ),
      ),
    );

async function waitForJob(invocation: Invocation, job: string): Promise<number> {
  const { id, exit, signal, reason } = await askThroughRestarts(invocation.socket, (agent) =>
    agent.call('jobs.wait', { job }, { timeoutMs: Number.POSITIVE_INFINITY }),
  );
  const why = reason ? `: ${reason}` : '';
  const how = signal ? `was ended by ${signal}` : `ended with exit status ${exit}`;
  await invocation.answer({ id, exit, signal, reason }, `job ${id} ${how}${why}`);
  return exit;
}

async function waitForArray(invocation: Invocation, { id, name, jobs }: FoundArray): Promise<number> {
  const ended = await waitForAll(invocation.socket, jobs);
  const { exit, signal } = worst(ended);
  const bad = ended.filter((one) => one.exit !== 0).length;
  const how =
    bad === 0 ? 'all of its jobs ended with exit status 0' : `${bad} of its ${ended.length} jobs failed`;
  await invocation.answer({ id, exit, signal, jobs: ended }, `array ${name} has ended: ${how}`);
  return exit;
}
