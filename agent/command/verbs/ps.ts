import { Argument, type Command } from 'commander';
import type { FoundArray } from '../../api/array';
import { age } from '../../api/figures';
import type { Job } from '../../api/model';
import { askSafely } from '../../client/agent';
import { listJobs } from '../../client/lists';
import { jobOrArray } from '../arrays';
import { complainOfSilent } from '../silent';
import { type Column, commandLine, exitText, figure, moment, size, table } from '../text';
import { addAgentOption, addJsonOption, perform } from '../verb';

const mark = (yes: boolean) => (yes ? 'yes' : '');

/** A job whose home is away is told of by others, or as it was. */
function homeText({ home, homeSilentMs, asOf }: Job): string {
  if (asOf !== undefined) return `${home} (as of ${moment(asOf)})`;
  return homeSilentMs === undefined ? home : `${home} (silent for ${age(homeSilentMs)})`;
}

/** One that waits for room has its place instead. */
export const stateText = ({ state, queued }: Pick<Job, 'state' | 'queued'>): string =>
  queued ? `queued ${queued.position}` : state;
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
  { title: 'STATE', cell: stateText },
  { title: 'HOME', cell: homeText },
  { title: 'NODE', cell: ({ node, queued }) => (queued ? '' : node) },
  { title: 'ADDRESS', cell: ({ address }) => address ?? '' },
  { title: 'PID', cell: ({ pid, queued }) => (queued ? '' : String(pid)), figure: true },
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

const listed = (socket: string, ended: boolean): Promise<Job[]> =>
  askSafely(socket, async (agent) => {
    const jobs = await listJobs(agent, { ended });
    await complainOfSilent(agent, ({ jobs: count }) => hidden(count));
    return jobs;
  });

/** Arrays have a column of their own only where there are some. */
const columnsFor = (jobs: readonly Job[]): Column<Job>[] =>
  jobs.some(({ array }) => array)
    ? [...COLUMNS.slice(0, 2), { title: 'ARRAY', cell: ({ array }) => array?.id ?? '' }, ...COLUMNS.slice(2)]
    : COLUMNS;

/** In their order. */
const jobsOf = ({ id }: FoundArray, jobs: Job[]): Job[] =>
  jobs.filter(({ array }) => array?.id === id).sort((one, other) => one.array!.index - other.array!.index);

export const addPs = (program: Command) =>
  addAgentOption(addJsonOption(program.command('ps')))
    .summary('the jobs, wherever they are')
    .description(
      'The jobs of the cluster, wherever they are. Long commands are cut, which an ellipsis shows; of one job the ' +
        'whole command is shown.',
    )
    .addArgument(
      new Argument(
        '[job]',
        'this one alone, or the jobs of this array, by its id, a unique prefix of it, or its name',
      ),
    )
    .option('-a, --all', 'the ended ones too')
    .action(
      perform<{ all?: true }, [string | undefined]>(async (invocation, { all = false }, job) => {
        const { socket } = invocation;
        const jobs =
          job === undefined
            ? await listed(socket, all)
            : await jobOrArray(
                socket,
                job,
                () => askSafely(socket, async (agent) => [await agent.call('jobs.show', { job })]),
                async (array) =>
                  jobsOf(array, await askSafely(socket, (agent) => listJobs(agent, { ended: true }))),
              );
        await invocation.answer(jobs, table(columnsFor(jobs), byGroup(jobs)));
      }),
    );
