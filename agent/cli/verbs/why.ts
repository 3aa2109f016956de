import { Argument, type Command } from 'commander';
import type { Preflight } from '../../api/model';
import { ask } from '../../client/agent';
import { printable } from '../output';
import { size, span } from '../text';
import { addAgentOption, addJsonOption, JOB, perform } from '../verb';

export const addWhy = (program: Command) =>
  addAgentOption(addJsonOption(program.command('why')))
    .summary('what would stop a move, and what it would cost')
    .description('Says what would stop a move of the job to that node, and what the move would cost.')
    .addArgument(JOB())
    .addArgument(new Argument('<node>', 'where to: a name, "home" or "best"'))
    .action(
      perform<object, [string, string]>(async (invocation, _options, job, node) => {
        const preflight = await ask(invocation.socket, (agent) => agent.call('jobs.why', { job, node }));
        await invocation.answer(preflight, preflightText(job, node, preflight));
      }),
    );

function preflightText(job: string, node: string, { can, obstacles, bytes, estimateMs }: Preflight): string {
  const verdict = can
    ? `${job} can move to ${node}: ${size(bytes)}, about ${span(estimateMs)}`
    : `${job} can't move to ${node}:`;
  return [verdict, ...obstacles.map(({ code, what, fix }) => `  ${code}: ${what}; ${fix}`)]
    .map(printable)
    .join('\n');
}
