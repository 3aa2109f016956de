import { Argument, type Command, InvalidArgumentError } from 'commander';
import type { FoundArray } from '../../api/array';
import { type MoveReport, Transfer } from '../../api/model';
import { ask } from '../../client/agent';
import { jobOrArray, living, onEach } from '../arrays';
import { moveText } from '../moves';
import { addAgentOption, addJsonOption, type Invocation, JOB, perform } from '../verb';

export const addMigrate = (program: Command) =>
  addAgentOption(addJsonOption(program.command('migrate')))
    .summary('move a job to another node')
    .description(
      'Moves a job to another node while it runs, and returns when it runs there. Of an array it moves all jobs that run, ' +
        'one after the other; those that are there already stay.',
    )
    .addArgument(JOB())
    .addArgument(new Argument('<node>', 'where to: a name, "home" or "best"'))
    .option('--transfer <how>', 'how its memory travels: stop, or auto', transferOf, 'auto' as const)
    .action(
      perform<{ transfer: Transfer }, [string, string]>((invocation, { transfer }, job, node) =>
        jobOrArray(
          invocation.socket,
          job,
          () => migrateJob(invocation, job, node, transfer),
          (array) => migrateArray(invocation, array, node, transfer),
        ),
      ),
    );

async function migrateJob(
  invocation: Invocation,
  job: string,
  node: string,
  transfer: Transfer,
): Promise<number> {
  const report = await ask(invocation.socket, (agent) =>
    // As long as its memory takes to travel.
    agent.call('jobs.migrate', { job, node, transfer }, { timeoutMs: Number.POSITIVE_INFINITY }),
  );
  await invocation.answer(report, reportText(report));
  return 0;
}

/** One after the other: each node lets one out and one in at a time. */
async function migrateArray(
  invocation: Invocation,
  array: FoundArray,
  node: string,
  transfer: Transfer,
): Promise<number> {
  const { done, failed } = await onEach(
    invocation.socket,
    living(array).filter(({ stage }) => stage === 'living'),
    (agent, { id: job }) =>
      agent.call('jobs.migrate', { job, node, transfer }, { timeoutMs: Number.POSITIVE_INFINITY }),
    { passed: ['already-there', 'job-ended'], atOnce: 1 },
  );
  const reports = done.map(({ ok }) => ok);
  const text = reports.map(reportText).join('\n') || `no job of array ${array.name} has moved`;
  await invocation.answer(reports, text);
  return failed.length > 0 ? 1 : 0;
}

/** Which of them work is the agent's to decide. */
function transferOf(text: string): Transfer {
  const known = Transfer.safeParse(text);
  if (!known.success) throw new InvalidArgumentError('It must be stop or auto.');
  return known.data;
}

const reportText = (report: MoveReport) =>
  `job ${report.job} moved from ${report.from} to ${report.to}: ${moveText(report)}`;
