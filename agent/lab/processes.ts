/** Agents and keepers of a lab: daemons like any node's, in the network and the files of their own. */
import { startDetached } from '../machine/daemons/detached';
import { startSupervised } from '../machine/daemons/supervised';
import type { Identity } from '../machine/proc/identity';

export interface Start {
  /** The names of its network and its mount namespace; null for this process's own mounts. */
  network: string;
  files: string | null;
  /** The cgroup.procs of the cgroup that it is to be in, if any. */
  join: string | null;
  argv: [string, ...string[]];
  log: string;
  pidFile: string;
}

/**
 * nsenter(1) becomes the program, so the number stays; unlike `ip netns exec` it leaves the mounts alone.
 */
const placeOf = ({ network, files }: Pick<Start, 'network' | 'files'>): [string, ...string[]] => [
  'nsenter',
  `--net=${network}`,
  ...(files ? [`--mount=${files}`] : []),
];

/** Starts a process in a network and a mount namespace, in a session of its own, its output in a log. */
export const startApart = ({ network, files, argv, ...start }: Start): Promise<Identity> =>
  startDetached({ ...start, argv: [...placeOf({ network, files }), ...argv] });

/** As `startApart`; a process that ends is started again. Precondition: none is there yet. */
export const startSupervisedApart = ({
  network,
  files,
  ...start
}: Start & { supervisorFile: string }): Promise<Identity> =>
  startSupervised({ ...start, within: placeOf({ network, files }) });
