import { Argument, type Command } from 'commander';
import { GodwitError } from '../../api/errors';
import type { JobStacks } from '../../api/stacks';
import { printable } from '../../api/text';
import { type Agent, ask } from '../../client/agent';
import { findArray, oneOrAll } from '../../client/arrays';
import { groupStacks, type StackGroup, titleOf, unreadLines } from '../../client/stacks';
import { living } from '../arrays';
import { complain } from '../output';
import { span } from '../text';
import { addAgentOption, addJsonOption, perform } from '../verb';

/** Named in a line; `--json` has all. */
const MAX_NAMED = 8;
/** Lines about what could not be read. */
const MAX_COMPLAINTS = 20;

export const addStacks = (program: Command) =>
  addAgentOption(addJsonOption(program.command('stacks')))
    .summary('where all threads stand, equal stacks together')
    .description(
      'Shows where all processes and threads of the jobs stand, equal stacks together, those that most have first. ' +
        'It is read from outside, without a debugger: each process stands still for some milliseconds.',
    )
    .addArgument(new Argument('<job...>', "a job's id, a unique prefix of it, or its name"))
    .action(
      perform<object, [string[]]>(async (invocation, _options, jobs) => {
        const read = await ask(invocation.socket, async (agent) => {
          const read = async (job: string) => {
            const { id, ...stacks } = await agent.call('jobs.stacks', { job }, FOR_AS_LONG_AS_IT_TAKES);
            return { job: id, stacks };
          };
          return (await Promise.all(jobs.map((job) => readAll(agent, job, read)))).flat();
        });
        const known = [...new Map(read.map((one) => [one.job, one])).values()];
        const groups = groupStacks(known);
        const complaints = known.flatMap(({ job, stacks }) => unreadLines(job, stacks));
        if (groups.length === 0) throw nothingRead(complaints);
        for (const line of complaints.slice(0, MAX_COMPLAINTS)) complain(line);
        const rest = complaints.length - MAX_COMPLAINTS;
        if (rest > 0) complain(`and ${rest} more are not shown`);
        await invocation.answer(groups.map(contract), stacksText(groups, known));
      }),
    );

/** Of a job, or of those jobs of an array that run. */
const readAll = <T>(agent: Agent, job: string, read: (job: string) => Promise<T>): Promise<T[]> =>
  oneOrAll(
    () => findArray(agent, job),
    async () => [await read(job)],
    (array) => Promise.all(living(array).flatMap(({ id, stage }) => (stage === 'living' ? [read(id)] : []))),
  );

const FOR_AS_LONG_AS_IT_TAKES = { timeoutMs: Number.POSITIVE_INFINITY };

const nothingRead = ([first, ...others]: string[]) =>
  new GodwitError({
    code: 'stacks-unread',
    message: first
      ? `${first}${others.length > 0 ? `, nor are ${others.length} more` : ''}`
      : 'no thread is left',
    fix: 'see `godwit ps` for whether it is debugged',
  });

const contract = ({ stack, threads }: StackGroup) => ({
  stack: stack.map(({ function: name, file, line }) => ({ function: name, file, line })),
  threads: threads.map(({ job, pid, tid, name }) => ({ job, pid, tid, name })),
});

function stacksText(groups: StackGroup[], read: { job: string; stacks: JobStacks }[]): string {
  const stood = Math.max(...read.map(({ stacks }) => stacks.standstillMs));
  const lines = groups.flatMap(groupLines);
  return [...lines, `each process stood still for ${span(stood)} at most`].map(printable).join('\n');
}

function groupLines({ stack, threads }: StackGroup): string[] {
  const frames = stack.map(({ function: name, file, line }, level) => {
    const at = file === null ? '' : `  ${file}${line === null ? '' : `:${line}`}`;
    return `  #${level}  ${name}${at}`;
  });
  const named = threads.slice(0, MAX_NAMED).map(({ job, pid, tid, name }) => `${job} ${pid}.${tid} ${name}`);
  const rest = threads.length > MAX_NAMED ? ` and ${threads.length - MAX_NAMED} more` : '';
  const count = threads.length === 1 ? '1 thread' : `${threads.length} threads`;
  return [`${count} in ${titleOf(stack)}`, ...frames, `  ${named.join(', ')}${rest}`, ''];
}
