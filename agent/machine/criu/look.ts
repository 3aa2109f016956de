/** What a job's processes have open and use, as `godwit-helper look` prints it (agent/native/helper/look.c has the lines). */
import { GodwitError } from '../../api/errors';
import { execute } from '../execution';

/** A home that takes longer to answer what a file is would delay a dump, which asks the same. */
const DEADLINE_MS = 5_000;
/** Some hundred thousand descriptors; a job that has more takes its chance with CRIU. */
const MAX_OUTPUT_BYTES = 32 * 1024 * 1024;

/** A descriptor, or a mapping of a device or a deleted file. */
export interface OpenDescriptor {
  /** As this node numbers it. */
  pid: number;
  fd: number | 'map';
  /** st_mode and st_nlink of stat(2). */
  mode: number;
  links: number;
  /** Bytes on its disk: what of it would travel. */
  space: number;
  /** f_type of statfs(2). */
  magic: number;
  /**
   * A socket's protocol as its kernel module calls it (`TCP`, `UNIX-STREAM`); a terminal's number for its master;
   * `semaphore`, `thread`, `lease`, `corked`, `packets`: see look.c.
   */
  kind: string;
  /** What /proc calls it: a path, `socket:[7]`, `anon_inode:[eventfd]`. */
  name: string;
}

/** As messages.c in the helper prints it. */
export interface Waiting {
  pid: number;
  fd: number;
  lost: string;
}

export type Shared = 'memory' | 'places' | 'descriptors';

export interface Looked {
  /** Namespaces of a process that are not those of the job's PID 1. */
  namespaces: { pid: number; name: string }[];
  traced: { pid: number; tracer: number }[];
  descriptors: OpenDescriptor[];
  /** Files and folders in use on mounts that the job has no longer. */
  unmounted: { pid: number; name: string }[];
  /** Files and folders in use over which something is mounted. */
  covered: { pid: number; name: string }[];
  /** Watches of inotify on files whose names the kernel does not know. */
  nameless: { pid: number; fd: number; watch: number; inode: number }[];
  /** Processes with one memory, one set of descriptors or of `places`: working and root directory, file mode mask. */
  sharing: { pid: number; other: number; what: Shared }[];
  /** Threads whose descriptors, places or namespaces, by the kernel's names, are not their process's. */
  apart: { pid: number; thread: number; what: string }[];
  /** Threads for which a SIGTRAP waits. */
  trapped: { pid: number; thread: number }[];
  /** Threads with a scheduling policy that CRIU does not know. */
  scheduled: { pid: number; policy: string }[];
  /** Processes with semaphore operations that would be undone at their ends. */
  undoing: number[];
  /** Programs whose files have no execute permission. */
  locked: { pid: number; name: string }[];
  /** Messages that wait in Unix sockets, and what of them would be lost. */
  waiting: Waiting[];
  /** Cgroups of threads that are not the job's, as lines of proc_pid_cgroup(5). */
  cgroups: { pid: number; group: string }[];
  /** Where it has mounted cgroups. */
  cgroupMounts: string[];
  /** File systems that it has mounted itself, and that CRIU can't save. */
  foreign: { type: string; at: string }[];
  /** Connections over Unix sockets that wait, by the inodes of their listener and of the other end: 0 if that is closed. */
  unaccepted: { listener: number; client: number }[];
  /** Of Unix sockets that are connected to one that no process has: those that have sent something. */
  unread: Set<number>;
  /** Of connected Unix sockets, by inode: the inode at the other end. */
  peers: Map<number, number>;
}

/**
 * `pids`: the job's processes as this node numbers them, its PID 1 first.
 * @throws GodwitError `home-unreachable` when a file that the job has open does not answer
 */
export async function look(helper: string, pids: number[]): Promise<Looked> {
  const options = { timeout: DEADLINE_MS, killSignal: 'SIGKILL', maxBuffer: MAX_OUTPUT_BYTES } as const;
  const asked = execute(helper, ['look', ...pids.map(String)], options);
  const { stdout } = await asked.catch((error: Error & { killed?: boolean }) => {
    throw error.killed ? silent() : error;
  });
  return readLooked(stdout);
}

export function readLooked(text: string): Looked {
  const found: Looked = {
    ...{ namespaces: [], traced: [], descriptors: [], unmounted: [] },
    ...{ scheduled: [], undoing: [], locked: [], waiting: [] },
    ...{ cgroups: [], cgroupMounts: [], foreign: [], peers: new Map() },
    ...{ unaccepted: [], unread: new Set() },
    ...{ covered: [], nameless: [], sharing: [], apart: [], trapped: [] },
  };
  for (const line of text.split('\n')) {
    const [what, ...fields] = line.split('\t');
    if (what === 'n') found.namespaces.push({ pid: Number(fields[0]), name: fields[1] ?? '' });
    else if (what === 't') found.traced.push({ pid: Number(fields[0]), tracer: Number(fields[2]) });
    else if (what === 'm') found.unmounted.push({ pid: Number(fields[0]), name: fields.slice(1).join('\t') });
    else if (what === 'v') found.covered.push({ pid: Number(fields[0]), name: fields.slice(1).join('\t') });
    else if (what === 'w') found.nameless.push(watchOf(fields));
    else if (what === 'h') found.sharing.push(sharingOf(fields));
    else if (what === 'l')
      found.apart.push({ pid: Number(fields[0]), thread: Number(fields[1]), what: fields[2] ?? '' });
    else if (what === 'g') found.trapped.push({ pid: Number(fields[0]), thread: Number(fields[1]) });
    else if (what === 'y') found.scheduled.push({ pid: Number(fields[0]), policy: fields[2] ?? '' });
    else if (what === 's') found.undoing.push(Number(fields[0]));
    else if (what === 'x') found.locked.push({ pid: Number(fields[0]), name: fields.slice(1).join('\t') });
    else if (what === 'q')
      found.waiting.push({ pid: Number(fields[0]), fd: Number(fields[1]), lost: fields[2] ?? '' });
    else if (what === 'c') found.cgroups.push({ pid: Number(fields[0]), group: fields.slice(1).join('\t') });
    else if (what === 'f') mountFound(found, fields);
    else if (what === 'i') found.unaccepted.push({ listener: Number(fields[0]), client: Number(fields[1]) });
    else if (what === 'o') found.unread.add(Number(fields[0]));
    else if (what === 'u') found.peers.set(Number(fields[0]), Number(fields[1]));
    else if (what === 'd') found.descriptors.push(descriptorOf(fields));
  }
  return found;
}

const watchOf = (fields: string[]) => {
  const [pid = 0, fd = 0, watch = 0, inode = 0] = fields.map(Number);
  return { pid, fd, watch, inode };
};

const sharingOf = ([pid, other, what]: string[]) => ({
  pid: Number(pid),
  other: Number(other),
  what: what as Shared,
});

function mountFound({ cgroupMounts, foreign }: Looked, [type = '', ...rest]: string[]): void {
  const at = rest.join('\t');
  if (/^cgroup2?$/.test(type)) cgroupMounts.push(at);
  else foreign.push({ type, at });
}

function descriptorOf([
  pid,
  fd,
  mode = '',
  links,
  space,
  magic = '',
  kind = '',
  ...name
]: string[]): OpenDescriptor {
  return {
    pid: Number(pid),
    fd: fd === 'map' ? 'map' : Number(fd),
    mode: Number.parseInt(mode, 8),
    links: Number(links),
    space: Number(space),
    magic: Number.parseInt(magic, 16),
    kind,
    name: name.join('\t'),
  };
}

/** Of a socket, by what /proc calls it; 0 of anything else. */
export const inodeOf = (name: string): number => Number(/^socket:\[(\d+)\]$/.exec(name)?.[1] ?? 0);

const silent = () =>
  new GodwitError({
    code: 'home-unreachable',
    message: `a file that the job has open did not answer within ${DEADLINE_MS} ms`,
    fix: "is the job's home up, and its disk in order?",
  });
