import { constants } from 'node:os';
import { type Command, InvalidArgumentError } from 'commander';
import type { FoundArray } from '../../api/array';
import { signalNamed } from '../../api/signals';
import { ask } from '../../client/agent';
import { endingOrder } from '../../client/arrays';
import { jobOrArray, living, onEach } from '../arrays';
import { addAgentOption, addJsonOption, type Invocation, JOB, perform } from '../verb';

/** The kernel's, of which only the first and the last have names (signal(7)). */
const REALTIME = /^SIGRT(MIN(\+\d{1,2})?|MAX(-\d{1,2})?)$/;

export const addKill = (program: Command) =>
  addAgentOption(addJsonOption(program.command('kill')))
    .summary('send a job a signal')
    .description(
      "Sends a signal to the job's program, or to the programs of all jobs of an array. A job that is queued is taken out " +
        'of the queue.',
    )
    .addArgument(JOB())
    .option('-s, --signal <signal>', 'by name or number', parseSignal, 'SIGTERM')
    .action(
      perform<{ signal: string }, [string]>((invocation, { signal }, job) =>
        jobOrArray(
          invocation.socket,
          job,
          () => killJob(invocation, job, signal),
          (array) => killArray(invocation, array, signal),
        ),
      ),
    );

async function killJob(invocation: Invocation, job: string, signal: string): Promise<number> {
  const { id } = await ask(invocation.socket, (agent) => agent.call('jobs.kill', { job, signal }));
  // Whether it ends is up to the program; `wait` shows how.
  await invocation.answer({ id, exit: null, signal }, `${signal} sent to job ${id}`);
  return 0;
}

async function killArray(invocation: Invocation, array: FoundArray, signal: string): Promise<number> {
  const { id, name } = array;
  const { failed } = await onEach(
    invocation.socket,
    endingOrder(living(array)),
    (agent, { id: job }) => agent.call('jobs.kill', { job, signal }),
    { passed: ['job-ended'] },
  );
  if (failed.length > 0) return 1;
  await invocation.answer({ id, exit: null, signal }, `${signal} sent to the jobs of array ${name}`);
  return 0;
}

/** `9`, `kill`, `SIGKILL`: all the same. */
export function parseSignal(text: string): string {
  const byNumber = /^[1-9]\d*$/.test(text) ? signalNamed(Number(text)) : undefined;
  const upper = text.toUpperCase();
  const name = byNumber ?? (upper.startsWith('SIG') ? upper : `SIG${upper}`);
  if (!Object.hasOwn(constants.signals, name) && !REALTIME.test(name))
    throw new InvalidArgumentError('There is no such signal.');
  return name;
}
