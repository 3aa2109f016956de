import type { Command } from 'commander';
import { Argument } from 'commander';
import type { FoundArray } from '../../api/array';
import type { HistoryEvent } from '../../api/model';
import { type Agent, askSafely } from '../../client/agent';
import { each } from '../../client/arrays';
import { readHistory } from '../../client/lists';
import { jobOrArray } from '../arrays';
import { moveText } from '../moves';
import { complain } from '../output';
import { complainOfSilent } from '../silent';
import { type Column, exitText, moment, table } from '../text';
import { addAgentOption, addJsonOption, perform } from '../verb';

const COLUMNS: Column<HistoryEvent>[] = [
  { title: 'TIME', cell: ({ time }) => moment(time) },
  { title: 'JOB', cell: ({ job }) => job },
  { title: 'NODE', cell: ({ node }) => node },
  { title: 'EVENT', cell: ({ event }) => event },
  { title: 'WHAT', cell: whatHappened },
];

export const addHistory = (program: Command) =>
  addAgentOption(addJsonOption(program.command('history')))
    .summary('what has happened: launches, moves, ends')
    .description('The timeline of a job, or of all: launches, moves with their phases, ends.')
    .addArgument(new Argument('[job]', "a job's id, a unique prefix of it, or its name"))
    .action(
      perform<object, [string | undefined]>(async (invocation, _options, job) => {
        const { socket } = invocation;
        const events =
          job === undefined
            ? await askSafely(socket, ofAll)
            : await jobOrArray(
                socket,
                job,
                () => askSafely(socket, (agent) => readHistory(agent, job)),
                (array) => askSafely(socket, (agent) => ofArray(agent, array)),
              );
        await invocation.answer(events, table(COLUMNS, events, 0));
      }),
    );

async function ofAll(agent: Agent): Promise<HistoryEvent[]> {
  const read = await readHistory(agent);
  await complainOfSilent(agent, () => 'what happened to the jobs that it is the home of is not shown');
  return read;
}

/** Of those of its jobs that are known of still. */
async function ofArray(agent: Agent, { jobs }: FoundArray): Promise<HistoryEvent[]> {
  const outcomes = await each(jobs, ({ id }) => readHistory(agent, id));
  const read = outcomes.flatMap(({ job, result }) => {
    if ('ok' in result) return result.ok;
    complain(`${job.name}: ${result.error.toLine()}`);
    return [];
  });
  return read.sort((a, b) => a.time.localeCompare(b.time));
}

function whatHappened({ epoch, to, reason, move, exit }: HistoryEvent): string {
  const parts = [
    epoch === undefined ? '' : `epoch ${epoch}`,
    to === undefined ? '' : `to ${to}`,
    exit ? `exit ${exitText(exit)}` : '',
    exit?.reason ?? '',
    reason ?? '',
    move ? moveText(move) : '',
  ];
  return parts.filter(Boolean).join(', ');
}
