import type { Command } from 'commander';
import { ask } from '../../client/agent';
import { addAgentOption, addJsonOption, JOB, perform } from '../verb';

const addPinning =
  (verb: 'pin' | 'unpin', texts: { summary: string; description: string; result: string }) =>
  (program: Command) =>
    addAgentOption(addJsonOption(program.command(verb)))
      .summary(texts.summary)
      .description(texts.description)
      .addArgument(JOB())
      .action(
        perform<object, [string]>(async (invocation, _options, job) => {
          const pinned = verb === 'pin';
          const { id } = await ask(invocation.socket, (agent) => agent.call('jobs.pin', { job, pinned }));
          await invocation.answer({ id, pinned }, `job ${id} ${texts.result}`);
        }),
      );

export const addPin = addPinning('pin', {
  summary: 'keep a job on its node',
  description:
    'Keeps the job where it is: all moves of it are refused until it is unpinned. A move that has begun is finished.',
  result: 'stays on its node',
});

export const addUnpin = addPinning('unpin', {
  summary: 'let a pinned job move again',
  description: 'Lets a job that was pinned move again.',
  result: 'may move',
});
