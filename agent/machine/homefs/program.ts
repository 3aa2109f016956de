/**
 * The home's file system on a host, as two processes that the keepers hold: `serve` on the home answers FUSE requests
 * from the home's files, `mount` on the host carries the kernel's requests to it. Each listens on a Unix socket; an
 * agent joins the two (join.ts), and joins them anew when that is cut. See native/homefs/main.c.
 */
import { z } from 'zod';
import { type User, WireId } from '../../api/model';
import { userOptions } from '../proc/user-options';

export interface ServeOrder {
  /** dist/godwit-homefs. */
  program: string;
  /** Where it listens, at most 107 bytes; for root alone. */
  socket: string;
  id: string;
  /** Whose files these are: what the home allows to them is allowed. */
  user: Pick<User, 'uid' | 'gid' | 'groups'>;
  /** The home's folder that is shown as `/`. */
  root?: string;
  /** How many files the host may know of at once, a power of 2 of at least 1024; by default four millions. */
  maxNodes?: number;
  /** Existing folders of which only the name is shown: the roots of the node's jobs. */
  without: string[];
}

export interface MountOrder {
  program: string;
  socket: string;
  id: string;
  /** The name that is shown as the file system's source: the home's. */
  home: string;
  /** An existing folder, its path without symbolic links. */
  at: string;
  /** Whose job it is for, by number: only that user and root are served. */
  uid: number;
  /**
   * The job's cgroup, by its path in the v2 hierarchy. Others give up after some seconds when the home does not answer;
   * and where the job is root's, its processes are served under any user id.
   */
  cgroup?: string;
  /** A file that it makes: what `delayedMs` (control.ts) reads. */
  delayed: string;
}

export const serveCommand = ({
  program,
  socket,
  id,
  user,
  root = '/',
  without,
  maxNodes,
}: ServeOrder): string[] => [
  program,
  'serve',
  ...['--socket', socket, '--id', WireId.parse(id), '--root', root],
  ...userOptions(user),
  ...(maxNodes === undefined ? [] : ['--max-nodes', `${maxNodes}`]),
  ...without.flatMap((folder) => ['--without', folder]),
];

export const mountCommand = ({
  program,
  socket,
  id,
  home,
  at,
  uid,
  cgroup,
  delayed,
}: MountOrder): string[] => [
  program,
  'mount',
  ...['--socket', socket, '--id', WireId.parse(id), '--name', home, '--at', at],
  ...['--uid', `${uid}`, '--delayed', delayed],
  ...(cgroup !== undefined ? ['--cgroup', cgroup] : []),
];

/** The one line that each prints on its standard output when it is ready, or why it can't be. */
export const HomefsMessage = z.union([
  z.object({ serving: z.object({ pid: z.int() }) }),
  /** The mount is there; accesses to it wait until it is joined. */
  z.object({ mounted: z.object({ connection: z.int() }) }),
  z.object({ error: z.object({ stage: z.string(), errno: z.int(), message: z.string() }) }),
]);
export type HomefsMessage = z.infer<typeof HomefsMessage>;
