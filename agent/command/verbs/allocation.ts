import type { Command } from 'commander';
import { askThroughRestarts, dialWhole } from '../../client/agent';
import { addAgentOption, addJsonOption, perform } from '../verb';

export function addAllocation(program: Command): void {
  const allocation = program
    .command('allocation')
    .summary('what a batch system tells a node of its allocations: end')
    .description('What a batch system tells a node of its allocations.');
  addEnd(allocation);
}

const addEnd = (allocation: Command) =>
  addAgentOption(addJsonOption(allocation.command('end')))
    .description(
      'Ends what runs on this node in an allocation that is over: SIGTERM, then after the grace of the configuration ' +
        'SIGKILL. Returns when nothing of it runs here any more. Slurm has an epilog run it, as root.',
    )
    .argument('<id>', "the allocation's; $SLURM_JOB_ID in an epilog")
    .action(
      perform<object, [string]>(async (invocation, _options, id) => {
        const asked = { timeoutMs: Number.POSITIVE_INFINITY };
        const { ended } = await askThroughRestarts(
          invocation.socket,
          (agent) => agent.call('allocation.end', { id }, asked),
          { accepted: true, dialed: dialWhole },
        );
        const jobs = ended.length > 0 ? `ended here: ${ended.join(', ')}` : 'nothing of it was here';
        await invocation.answer({ id, ended }, `allocation ${id}: ${jobs}`);
      }),
    );
