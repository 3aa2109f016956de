/** Who works within an allocation sees and uses that alone. */

import type { ClientContract } from '../api/client-contract';
import type { Remote } from '../api/contract';
import { asGodwitError } from '../api/errors';
import { AllocationId } from '../api/model';

/** The one that was named, or Slurm's, which sets this variable in all that it starts. */
const named = (): string => process.env.GODWIT_ALLOCATION ?? process.env.SLURM_JOB_ID ?? '';

/** A node that knows of no allocations narrows nothing. */
export async function enterAllocation(agent: Pick<Remote<ClientContract>, 'call'>): Promise<void> {
  const { data: id } = AllocationId.safeParse(named());
  if (id === undefined) return;
  await agent.call('allocation.enter', { id }).catch((error) => {
    // An older agent.
    if (asGodwitError(error).code !== 'no-such-method') throw error;
  });
}
