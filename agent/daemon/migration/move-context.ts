import type { KeeperContract } from '../../keeper/contract';
import type { Log } from '../../log';
import type { JobNetworks } from '../../machine/network/interface';
import type { Link } from '../../wire/link';
import type { Tickets } from '../../wire/tickets';
import type { Peers } from '../cluster/peers';
import type { MountedFiles } from '../homefs/mounted';
import type { Clearing } from '../jobs/clearing';
import type { Copies } from '../jobs/copies';
import type { Host } from '../jobs/host';
import type { JobMounts } from '../jobs/job-mounts';
import type { Layout } from '../jobs/layout';
import type { Journal } from '../journal/journal';
import type { FaultPoints } from './fault-points';

/** What the executors of a move work with on a node. */
export interface MoveContext {
  node: string;
  /** The node's folder in the cgroup hierarchy. */
  cgroup: string;
  host: Pick<Host, 'adopt'>;
  copies: Copies;
  mounts: JobMounts;
  networks: JobNetworks;
  clearing: Clearing;
  mounted: MountedFiles;
  layout: Layout;
  journal: Journal;
  keeper: Link<KeeperContract>;
  peers: Peers;
  tickets: Tickets;
  criu: () => Promise<string>;
  helper: string;
  points: FaultPoints;
  /** Something of a move has changed that is not in the journal. */
  changed: () => void;
  log: Log;
}

/** What must be done is tried again after these pauses. */
export const PAUSES = { firstMs: 100, mostMs: 5_000 };

/** Each debugged process takes some 50 ms. */
export const UNPARK_LIMIT_MS = 120_000;

/** CRIU needs a PATH for the tools it calls, and nothing else. */
export const CRIU_ENV = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };
