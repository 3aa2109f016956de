/** What of the things that a job has open or mapped CRIU can't save (tried with CRIU 4.1 and 4.2). */
import { size as bytes } from '../../api/figures';
import type { Obstacle } from '../../api/model';
import { GHOST_LIMIT_BYTES } from '../../machine/criu/arguments';
import type { Held } from '../../machine/criu/look';

/** inode(7) */
const S_IFMT = 0o170000;
const S_IFCHR = 0o020000;
const S_IFBLK = 0o060000;
const S_IFREG = 0o100000;
const S_IFSOCK = 0o140000;
/** statfs(2) */
const MQUEUE_MAGIC = 0x19800202;

/** Devices that every machine has, and that mean the same on each. */
const COMMON_DEVICES = /^\/dev\/(null|zero|full|random|urandom|tty|ptmx|pts\/(\d+|ptmx))$/;
const SAVED_INODES = /^anon_inode:(\[(eventfd|eventpoll|signalfd|timerfd|fanotify|pidfd)\]|inotify)$/;
/** Protocols, as the kernel names them, whose sockets CRIU saves or for which there is a rule of their own. */
const SAVED_SOCKETS = /^(UNIX.*|TCP.*|UDP.*|NETLINK|PACKET|RAW.*|PING.*)$/;
const OWN_TMPFS = '/dev/shm/';
const DELETED = ' (deleted)';

/** Kernel objects without a file: what each is, by what /proc calls it. */
const KERNEL_OBJECTS: readonly [RegExp, code: string, what: string, fix: string][] = [
  [/io_uring/, 'io-uring', 'an io_uring', 'run it without io_uring, which is the default'],
  [/perf_event/, 'perf-event', 'a performance counter', 'end its profiling before the move'],
  [/userfaultfd/, 'userfaultfd', 'a userfaultfd', 'have the program close it before the move'],
  [/bpf/, 'bpf', 'a BPF object', 'have the program close it before the move'],
  [/kvm/, 'kvm', 'a virtual machine of KVM', 'end the virtual machine before the move'],
  [
    /secretmem/,
    'secret-memory',
    'secret memory (memfd_secret)',
    'have the program give it up before the move',
  ],
];

/** null where nothing is in the way. `who`: the process, as people are told of it. */
export function heldObstacle(held: Held, who: string): Obstacle | null {
  const { name, kind, mode } = held;
  const has = held.fd === 'map' ? 'has mapped' : 'has open';
  if (held.magic === MQUEUE_MAGIC)
    return {
      code: 'message-queue',
      what: `${who} ${has} the POSIX message queue ${name}, which CRIU can't save`,
      fix: 'have the program close it before the move',
    };
  if (name.startsWith('anon_inode:') || name.startsWith('/secretmem')) return objectObstacle(held, who, has);
  const type = mode & S_IFMT;
  if ((type === S_IFCHR || type === S_IFBLK) && !COMMON_DEVICES.test(name))
    return {
      code: 'device-open',
      what: `${who} ${has} the device ${name}`,
      fix: 'have the program close it',
    };
  if (kind === 'corked')
    return {
      code: 'network-socket',
      what: `${who} ${has} a UDP socket with a datagram that is begun and not sent (UDP_CORK), which CRIU can't save`,
      fix: 'have the program send it before the move',
    };
  if (type === S_IFSOCK && kind !== '-' && !SAVED_SOCKETS.test(kind))
    return {
      code: 'network-socket',
      what: `${who} ${has} a socket of the kind ${kind}, which CRIU can't save`,
      fix: 'have the program close it before the move',
    };
  if (kind === 'packets')
    return {
      code: 'packet-pipe',
      what: `${who} ${has} a pipe that keeps each write apart (O_DIRECT), which CRIU can't save`,
      fix: 'have the program close it before the move',
    };
  if (kind === 'lease')
    return {
      code: 'file-lease',
      what: `${who} ${has} ${name} with a lease for writing (F_SETLEASE), which the destination's own opening of it would break`,
      fix: 'have the program give the lease up before the move',
    };
  if (type === S_IFREG && name.endsWith(DELETED)) return deletedObstacle(held, who, has);
  return null;
}

function objectObstacle({ name, kind }: Held, who: string, has: string): Obstacle | null {
  if (kind === 'semaphore')
    return {
      code: 'eventfd-semaphore',
      what: `${who} ${has} an eventfd of the kind EFD_SEMAPHORE, which CRIU would bring back as a plain one`,
      fix: 'have the program close it before the move',
    };
  if (kind === 'thread')
    return {
      code: 'kernel-object',
      what: `${who} ${has} a pidfd of a thread (PIDFD_THREAD), which CRIU can't save`,
      fix: 'have the program close it before the move',
    };
  if (SAVED_INODES.test(name)) return null;
  for (const [pattern, code, what, fix] of KERNEL_OBJECTS)
    if (pattern.test(name)) return { code, what: `${who} ${has} ${what}, which CRIU can't save`, fix };
  return {
    code: 'kernel-object',
    what: `${who} ${has} ${name.replace('anon_inode:', '')}, which CRIU can't save`,
    fix: 'have the program close it before the move',
  };
}

/** The content of a file without a name travels in the images; one that has another name would have to be found by it. */
function deletedObstacle({ name, links, space }: Held, who: string, has: string): Obstacle | null {
  if (/^\/(memfd:|SYSV)/.test(name)) return null;
  const path = name.slice(0, -DELETED.length);
  if (links > 0 && !path.startsWith(OWN_TMPFS))
    return {
      code: 'deleted-file',
      what: `${who} ${has} ${path}, which was deleted under that name and has another one`,
      fix: 'keep the name while the job uses it',
    };
  if (links === 0 && space > GHOST_LIMIT_BYTES)
    return {
      code: 'deleted-file',
      what: `${who} ${has} ${path}, which was deleted; it has ${bytes(space)}, and ${bytes(GHOST_LIMIT_BYTES)} can travel`,
      fix: 'keep the file while the job uses it',
    };
  return null;
}
