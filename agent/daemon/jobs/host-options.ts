import type { EndOfJob, SharedMount } from '../../api/peer-contract';
import type { KeeperContract } from '../../keeper/contract';
import type { Log } from '../../log';
import type { JobNetworks } from '../../machine/network/interface';
import type { Link } from '../../wire/link';
import type { MountedFiles } from '../homefs/mounted';
import type { Journal } from '../journal/journal';
import type { Layout } from './layout';

/** What a host has to look after its copies with. */
export interface HostOptions {
  node: string;
  cgroup: string;
  helper: string;
  layout: Layout;
  journal: Journal;
  keeper: Link<KeeperContract>;
  networks: JobNetworks;
  /** Of other homes. */
  mounted: MountedFiles;
  /** What of this node others may have as well. */
  shared: () => Promise<SharedMount[]>;
  log: Log;
  /** Tells the job's home; rejects when it can't be reached. */
  tellEnded: (home: string, ended: EndOfJob) => Promise<void>;
}
