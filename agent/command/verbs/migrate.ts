import { Argument, type Command, InvalidArgumentError } from 'commander';
import { type MoveReport, Transfer } from '../../api/model';
import { ask } from '../../client/agent';
import { moveText } from '../moves';
import { addAgentOption, addJsonOption, JOB, perform } from '../verb';

export const addMigrate = (program: Command) =>
  addAgentOption(addJsonOption(program.command('migrate')))
    .summary('move a job to another node')
    .description('Moves a job to another node while it runs, and returns when it runs there.')
    .addArgument(JOB())
    .addArgument(new Argument('<node>', 'where to: a name, "home" or "best"'))
    .option('--transfer <how>', 'how its memory travels: stop, or auto', transferOf, 'auto' as const)
    .action(
      perform<{ transfer: Transfer }, [string, string]>(async (invocation, { transfer }, job, node) => {
        const report = await ask(invocation.socket, (agent) =>
          // As long as its memory takes to travel.
          agent.call('jobs.migrate', { job, node, transfer }, { timeoutMs: Number.POSITIVE_INFINITY }),
        );
        await invocation.answer(report, reportText(report));
      }),
    );

/** Which of them work is the agent's to decide. */
function transferOf(text: string): Transfer {
  const known = Transfer.safeParse(text);
  if (!known.success) throw new InvalidArgumentError('It must be stop or auto.');
  return known.data;
}

const reportText = (report: MoveReport) =>
  `job ${report.job} moved from ${report.from} to ${report.to}: ${moveText(report)}`;
