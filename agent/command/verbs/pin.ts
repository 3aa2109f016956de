import type { Command } from 'commander';
import { ruleOn } from '../ruled';
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
          const pinned = verb === 'pin';
          return ruleOn(invocation, job, {
            rule: (agent, id) => agent.call('jobs.pin', { job: id, pinned }),
            said: { pinned },
            one: texts.result,
            all: texts.all,
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
