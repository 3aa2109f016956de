import type { Command } from 'commander';
import { ask } from '../../client/agent';
import { arrayMeant, living, onEach } from '../arrays';
import { addAgentOption, addJsonOption, JOB, perform } from '../verb';

const addPinning =
  (verb: 'pin' | 'unpin', texts: { summary: string; description: string; result: string; all: string }) =>
  (program: Command) =>
    addAgentOption(addJsonOption(program.command(verb)))
      .summary(texts.summary)
      .description(texts.description)
      .addArgument(JOB())
      .action(
        perform<object, [string]>(async (invocation, _options, job) => {
          const pinned = verb === 'pin';
          const array = await arrayMeant(invocation.socket, job);
          if (array) {
            const { failed } = await onEach(
              invocation.socket,
              living(array),
              (agent, { id }) => agent.call('jobs.pin', { job: id, pinned }),
              { passed: ['job-ended'] },
            );
            if (failed.length > 0) return 1;
            return invocation.answer({ id: array.id, pinned }, `array ${array.name}: ${texts.all}`);
          }
          const { id } = await ask(invocation.socket, (agent) => agent.call('jobs.pin', { job, pinned }));
          await invocation.answer({ id, pinned }, `job ${id} ${texts.result}`);
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
