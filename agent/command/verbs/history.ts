import type { Command } from 'commander';
import { Argument } from 'commander';
import type { HistoryEvent } from '../../api/model';
import { askSafely } from '../../client/agent';
import { readHistory } from '../../client/lists';
import { moveText } from '../moves';
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
        const events = await askSafely(invocation.socket, async (agent) => {
          const read = await readHistory(agent, job);
          if (job === undefined)
            await complainOfSilent(
              agent,
              () => 'what happened to the jobs that it is the home of is not shown',
            );
          return read;
        });
        await invocation.answer(events, table(COLUMNS, events, 0));
      }),
    );

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
