import { Argument, type Command } from 'commander';
import type { Preflight, ReachedFile } from '../../api/model';
import { printable } from '../../api/text';
import { askSafely } from '../../client/agent';
import { size, span } from '../text';
import { addAgentOption, addJsonOption, type Invocation, JOB, perform } from '../verb';

export const addWhy = (program: Command) =>
  addAgentOption(addJsonOption(program.command('why')))
    .summary('what would stop a move, and what it would cost; or why a job is where it is')
    .description(
      'Shows what would stop a move of the job to that node, and what the move would cost. Without a node: why the job is ' +
        'where it is, and would move by itself or not.',
    )
    .addArgument(JOB())
    .addArgument(new Argument('[node]', 'where to: a name, "home" or "best"'))
    .action(
      perform<object, [string, string | undefined]>(async (invocation, _options, job, node) => {
        if (node === undefined) return placed(invocation, job);
        const preflight = await askSafely(invocation.socket, (agent) =>
          agent.call('jobs.why', { job, node }),
        );
        await invocation.answer(preflight, preflightText(job, node, preflight));
      }),
    );

async function placed(invocation: Invocation, job: string): Promise<void> {
  const why = await askSafely(invocation.socket, (agent) => agent.call('jobs.placed', { job }));
  await invocation.answer(why, printable(`${job} is on ${why.node}: ${why.text}`));
}

/** Named in a line; `--json` has more. */
const MAX_NAMED = 4;

function preflightText(job: string, node: string, preflight: Preflight): string {
  const { can, obstacles, bytes, estimateMs } = preflight;
  const verdict = can
    ? `${job} can move to ${node}: ${size(bytes)}, about ${span(estimateMs)}`
    : `${job} can't move to ${node}:`;
  const reasons = obstacles.map(({ code, what, fix }) => `  ${code}: ${what}; ${fix}`);
  return [verdict, ...reasons, ...filesText(node, preflight)].map(printable).join('\n');
}

function filesText(node: string, { files, moreFiles, home }: Preflight): string[] {
  const all =
    moreFiles > 0 ? `the first ${files.length} of its ${files.length + moreFiles}` : `its ${files.length}`;
  const line = (wanted: ReachedFile['via'], how: string) => {
    const paths = files.filter(({ via }) => via === wanted).map(({ path }) => path);
    if (paths.length === 0) return [];
    const rest = paths.length > MAX_NAMED ? ` and ${paths.length - MAX_NAMED} more` : '';
    const named = paths.slice(0, MAX_NAMED).join(', ');
    return [`  ${paths.length} of ${all} open files would be read and written ${how}: ${named}${rest}`];
  };
  return [
    ...line('home', `over the network (at ${home})`),
    ...line('shared', `in folders that ${node} shares with ${home}`),
  ];
}
