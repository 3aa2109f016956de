import type { Command } from 'commander';
import { type Agent, ask } from '../../client/agent';
import { jobOrArray, living, onEach } from '../arrays';
import { addAgentOption, addJsonOption, JOB, perform } from '../verb';

const addPinning =
  (verb: 'pin' | 'unpin', texts: { summary: string; description: string; result: string; all: string }) =>
  (program: Command) =>
    addAgentOption(addJsonOption(program.command(verb)))
      .summary(texts.summary)
      .description(texts.description)
      .addArgument(JOB())
      .action(
        perform<object, [string]>((invocation, _options, job) => {
          const { socket } = invocation;
          const pinned = verb === 'pin';
          const pin = (agent: Agent, id: string) => agent.call('jobs.pin', { job: id, pinned });
          const one = async () => {
            const { id } = await ask(socket, (agent) => pin(agent, job));
            await invocation.answer({ id, pinned }, `job ${id} ${texts.result}`);
            return 0;
          };
          return jobOrArray(socket, job, one, async (array) => {
            const { failed } = await onEach(socket, living(array), (agent, { id }) => pin(agent, id), {
              passed: ['job-ended'],
            });
            if (failed.length > 0) return 1;
            await invocation.answer({ id: array.id, pinned }, `array ${array.name}: ${texts.all}`);
            return 0;
          });
        }),
      );

export const addPin = addPinning('pin', {
  summary: 'keep a job on its node',
  description:
    'Keeps the job where it is: all moves of it are refused until it is unpinned. A move that has begun is finished.',
  result: 'stays on its node',
  all: 'its jobs stay on their nodes',
});

export const addUnpin = addPinning('unpin', {
  summary: 'let a pinned job move again',
  description: 'Lets a job that was pinned move again.',
  result: 'may move',
  all: 'its jobs may move',
});
