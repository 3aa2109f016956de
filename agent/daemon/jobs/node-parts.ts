import type { KeeperContract } from '../../keeper/contract';
import type { Log } from '../../log';
import type { NodeMemory } from '../../machine/cgroup/node-memory';
import type { JobNetworks } from '../../machine/network/interface';
import type { Link } from '../../wire/link';
import type { Allocations } from '../allocations/allocations';
import type { MountedFiles } from '../homefs/mounted';
import type { Layout } from './layout';

/** What all work with that do something to a copy on this node. */
export interface NodeParts {
  node: string;
  /** The node's folder in the cgroup hierarchy. */
  cgroup: string;
  layout: Layout;
  /** The program godwit-helper. */
  helper: string;
  keeper: Link<KeeperContract>;
  networks: JobNetworks;
  mounted: MountedFiles;
  allocations: Pick<Allocations, 'share'>;
  /** The level of nice(2) at which jobs are launched. */
  niceOfJobs: number;
  memory: NodeMemory;
  log: Log;
}
