import { Argument, type Command } from 'commander';
import { age } from '../../api/figures';
import type { Job } from '../../api/model';
import { askSafely } from '../../client/agent';
import { listJobs } from '../../client/lists';
import { complainOfSilent } from '../silent';
import { type Column, commandLine, exitText, figure, moment, size, table } from '../text';
import { addAgentOption, addJsonOption, perform } from '../verb';

const mark = (yes: boolean) => (yes ? 'yes' : '');

/** A job whose home is away is told of by others, or as it was. */
function homeText({ home, homeSilentMs, asOf }: Job): string {
  if (asOf !== undefined) return `${home} (as of ${moment(asOf)})`;
  return homeSilentMs === undefined ? home : `${home} (silent for ${age(homeSilentMs)})`;
}

/** Those of a group stand below the first of it. */
const nameText = ({ id, name, group }: Job) => (group && group.id !== id ? `└ ${name}` : name);

/** The jobs as they are, but the others of a group behind its first, where that is among them. */
function byGroup(jobs: Job[]): Job[] {
  const firsts = new Set(jobs.map(({ id }) => id));
  const isOther = ({ id, group }: Job) => group !== undefined && group.id !== id && firsts.has(group.id);
  const others = jobs.filter(isOther);
  return jobs
    .filter((job) => !isOther(job))
    .flatMap((job) => [job, ...others.filter(({ group }) => group?.id === job.id)]);
}

const COLUMNS: Column<Job>[] = [
  { title: 'ID', cell: ({ id }) => id },
  { title: 'NAME', cell: nameText },
  { title: 'USER', cell: ({ user }) => user },
  { title: 'STATE', cell: ({ state }) => state },
  { title: 'HOME', cell: homeText },
  { title: 'NODE', cell: ({ node }) => node },
  { title: 'ADDRESS', cell: ({ address }) => address ?? '' },
  { title: 'PID', cell: ({ pid }) => String(pid), figure: true },
  { title: 'CPU', cell: ({ cpu }) => figure(cpu), figure: true },
  { title: 'MEMORY', cell: ({ rss }) => size(rss), figure: true },
  { title: 'MOVES', cell: ({ migrations }) => String(migrations), figure: true },
  { title: 'DEBUGGED', cell: ({ debugged }) => mark(debugged) },
  { title: 'PINNED', cell: ({ pinned }) => mark(pinned) },
  { title: 'EXIT', cell: ({ exit }) => (exit ? exitText(exit) : '') },
  { title: 'COMMAND', cell: ({ command }) => commandLine(command) },
];

const hidden = (count: number) =>
  `its jobs are shown as others have them, or as they were when this agent was asked last; it ran ${count} when it was heard last`;

export const addPs = (program: Command) =>
  addAgentOption(addJsonOption(program.command('ps')))
    .summary('the jobs, wherever they are')
    .description(
      'The jobs of the cluster, wherever they are. Long commands are cut, which an ellipsis shows; of one job the ' +
        'whole command is shown.',
    )
    .addArgument(new Argument('[job]', 'this one alone, by its id, a unique prefix of it, or its name'))
    .option('-a, --all', 'the ended ones too')
    .action(
      perform<{ all?: true }, [string | undefined]>(async (invocation, { all = false }, job) => {
        const jobs = await askSafely(invocation.socket, async (agent) => {
          if (job !== undefined) return [await agent.call('jobs.show', { job })];
          const listed = await listJobs(agent, { ended: all });
          await complainOfSilent(agent, ({ jobs: count }) => hidden(count));
          return listed;
        });
        await invocation.answer(jobs, table(COLUMNS, byGroup(jobs)));
      }),
    );
