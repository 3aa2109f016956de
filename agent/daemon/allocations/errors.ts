/** Why something is refused for the sake of an allocation. */
import { GodwitError } from '../../api/errors';

/** Those that stand in the way of a move, and what they are about: of another node most may not be true. */
export const ALLOCATION_ERRORS = {
  'allocation-full': 'destination',
  'allocation-over': 'decision',
  'allocation-required': 'destination',
  'allocations-unclear': 'destination',
  'allocations-unknown': 'destination',
  'node-draining': 'destination',
  'outside-allocation': 'destination',
} as const;

export const outsideAllocation = (node: string, id: string, nodes: readonly string[]) =>
  new GodwitError({
    code: 'outside-allocation',
    message: `${node} is not a node of the allocation ${id}`,
    fix: nodes.length > 0 ? `its nodes are ${nodes.join(', ')}` : 'see `squeue`',
  });

export const allocationRequired = (node: string) =>
  new GodwitError({
    code: 'allocation-required',
    message: `${node} runs jobs of users in their allocations only ("allocations" in its configuration)`,
    fix: 'ask Slurm for one (salloc, sbatch), and run it there',
  });

export const noneOfYours = (node: string) =>
  new GodwitError({
    code: 'allocation-required',
    message: `${node} runs jobs of users in their allocations only, and no allocation of yours is in force`,
    fix: 'ask Slurm for one (salloc, sbatch), and run it there',
  });

export const severalOfYours = (ids: readonly string[]) =>
  new GodwitError({
    code: 'allocation-required',
    message: `several allocations of yours are in force: ${ids.join(', ')}`,
    fix: 'run it in one of them, or say which: GODWIT_ALLOCATION=ID',
  });

export const notInForce = (id: string) =>
  new GodwitError({
    code: 'allocation-over',
    message: `the allocation ${id} is over, not in force just now, or none of yours`,
    fix: 'see `squeue --me`',
  });

export const nodeDraining = (node: string, source: string) =>
  new GodwitError({
    code: 'node-draining',
    message: `${node} takes nothing new: ${source} drains it`,
    fix: 'choose another node',
  });

export const noAllocationsHere = (node: string, id: string) =>
  new GodwitError({
    code: 'outside-allocation',
    message: `${node} knows of no allocations, and the job is in the allocation ${id}`,
    fix: 'choose a node of the allocation',
  });

export const nothingOpen = ({ id, nodes }: { id: string; nodes: readonly string[] }) =>
  new GodwitError({
    code: 'outside-allocation',
    message: `no node of the allocation ${id} is up and takes something new`,
    fix: `its nodes are ${nodes.join(', ')}; see \`godwit nodes\``,
  });

/** The kernel would end the restored job, or CRIU. */
export const allocationFull = (node: string, id: string, free: string, needed: string) =>
  new GodwitError({
    code: 'allocation-full',
    message: `the allocation ${id} has ${free} of memory free on ${node}, and the move takes ${needed}`,
    fix: 'end something of it there, or choose another node of it',
  });
