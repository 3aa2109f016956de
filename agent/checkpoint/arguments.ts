/**
 * What CRIU is told (man 8 criu). The mounts of the machine that a job sees are taken as they are on either side;
 * cgroups are Godwit's own business.
 */

/** The descriptor on which pages go from `dump` to `page-server`: one end of a socket pair, no port. */
export const PAGES_FD = 3;

export const DUMP_LOG = 'dump.log';
export const RESTORE_LOG = 'restore.log';
export const PAGE_SERVER_LOG = 'page-server.log';

/** Warnings and errors. More makes CRIU's memory transfer slower by half and tells people nothing. */
const VERBOSITY = '-v2';

const COMMON = [VERBOSITY, '--external', 'mnt[]', '--manage-cgroups=ignore'];

export interface DumpOrders {
  /** The job's PID 1, as this node numbers it. */
  init: number;
  /** Folder for the images. */
  images: string;
  /** The frozen cgroup: it stays frozen, before, while and after. */
  run: string;
  /** Send the pages over descriptor 3 instead of writing them beside the other images. */
  stream: boolean;
}

/** The job stays frozen in its cgroup, whole and able to go on, whether the dump succeeds or not. */
export function dumpArguments({ init, images, run, stream }: DumpOrders): string[] {
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

/** For `godwit-helper restore`, which adds what it needs to hold the job: -d, --pidfile, --action-script. */
export function restoreArguments({ images, root }: { images: string; root: string }): string[] {
  return ['restore', '-D', images, '-o', RESTORE_LOG, ...COMMON, '--root', root];
}
