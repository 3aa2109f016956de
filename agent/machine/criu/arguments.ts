/**
 * CRIU's arguments (man 8 criu). The mounts that a job has from outside are named one by one, by their places in the
 * job; where each comes from is given at the restore. cgroups are Godwit's own business.
 */

/** The descriptor on which pages go from `dump` to `page-server`: one end of a socket pair, no port. */
export const PAGES_FD = 3;

export const DUMP_LOG = 'dump.log';
export const RESTORE_LOG = 'restore.log';
export const PAGE_SERVER_LOG = 'page-server.log';

/** Warnings and errors. More makes CRIU's memory transfer slower by half and is of no use. */
const VERBOSITY = '-v2';

/**
 * The largest deleted file that travels in the images: it is read and written while the job is frozen. CRIU's own
 * limit is 1 MiB.
 */
export const GHOST_LIMIT_BYTES = 256 * 1024 * 1024;

const COMMON = [
  VERBOSITY,
  '--manage-cgroups=ignore',
  // A program that holds a lock holds it again; without it CRIU refuses such a job.
  '--file-locks',
  '--tcp-established',
  '--ghost-limit',
  `${GHOST_LIMIT_BYTES}`,
];

/** The kernel's trees that a job has from its host; `/proc`, `/dev/pts` and `/dev/shm` are the job's own. */
const FROM_HOST = ['/dev', '/sys'];
/** The helper's `restore` gives it back under this name. */
const JOB_NETWORK = 'job-network';
const external = (at: string, value: string) => ['--external', `mnt[${at}]:${value}`];

export interface DumpOrders {
  /** The job's PID 1, as this node numbers it. */
  init: number;
  /** Folder for the images. */
  images: string;
  /** The frozen cgroup: it stays frozen, before, while and after. */
  run: string;
  /** The home's other mounts in the job's root. */
  mounts: string[];
  /** The inode of its network namespace, where it has an address of its own. */
  network: number | null;
  /** Send the pages over descriptor 3 instead of writing them beside the other images. */
  stream: boolean;
}

/** The job stays frozen in its cgroup, whole and able to go on, whether the dump succeeds or not. */
export function dumpArguments({ init, images, run, mounts, network, stream }: DumpOrders): string[] {
  const pages = stream ? ['--page-server', '--ps-socket', `${PAGES_FD}`] : [];
  return [
    'dump',
    '-t',
    `${init}`,
    '-D',
    images,
    '-o',
    DUMP_LOG,
    ...COMMON,
    ...[...FROM_HOST, ...mounts].flatMap((at) => external(at, at)),
    ...(network === null ? [] : ['--external', `net[${network}]:${JOB_NETWORK}`]),
    // A file on the job's own tmpfs that has lost the name it was opened by but has another, as every named semaphore
    // has (sem_open(3)): it is given one for the time of the dump.
    '--link-remap',
    // Packets are blocked by other means (network/sockets.ts).
    '--network-lock',
    'skip',
    '--freeze-cgroup',
    run,
    '--leave-running',
    ...pages,
  ];
}

/** Receives one dump's pages from descriptor 3 into `images`, and ends. */
export function pageServerArguments({ images }: { images: string }): string[] {
  return ['page-server', '-D', images, '-o', PAGE_SERVER_LOG, VERBOSITY, '--ps-socket', `${PAGES_FD}`];
}

export interface RestoreOrders {
  images: string;
  /** A mount point with the job's root file system. */
  root: string;
  /** Where the home's files are seen on this node: `/` at home itself. */
  files: string;
  mounts: string[];
  /** Those of `mounts` that are this node's own. */
  direct: string[];
}

/** For `godwit-helper restore`, which adds what it needs to hold the job: -d, --pidfile, --action-script. */
export function restoreArguments({ images, root, files, mounts, direct }: RestoreOrders): string[] {
  const externals = [
    ...FROM_HOST.map((at) => external(at, at)),
    ...mounts.map((at) => external(at, files === '/' || direct.includes(at) ? at : `${files}${at}`)),
  ];
  return ['restore', '-D', images, '-o', RESTORE_LOG, ...COMMON, ...externals.flat(), '--root', root];
}
