/** What of the things that a job has open or mapped CRIU can't save (tried with CRIU 4.1 and 4.2). */
import { size as bytes } from '../../api/figures';
import type { Obstacle } from '../../api/model';
import { GHOST_LIMIT_BYTES } from '../../machine/criu/arguments';
import type { OpenDescriptor } from '../../machine/criu/look';
import { obstacle } from './obstacles';

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

/** Kernel objects without a file, by what /proc calls them. */
const KERNEL_OBJECTS = [
  [/io_uring/, 'io-uring'],
  [/perf_event/, 'perf-event'],
  [/userfaultfd/, 'userfaultfd'],
  [/bpf/, 'bpf'],
  [/kvm/, 'kvm'],
  [/secretmem/, 'secret-memory'],
] as const;

/** Who has it, and how: for the sentences. */
interface Holder {
  process: string;
  has: 'has open' | 'has mapped';
}

/** null where nothing is in the way. @param process its name in messages */
export function descriptorObstacle(descriptor: OpenDescriptor, process: string): Obstacle | null {
  const { name, kind, mode } = descriptor;
  const holder: Holder = { process, has: descriptor.fd === 'map' ? 'has mapped' : 'has open' };
  if (descriptor.magic === MQUEUE_MAGIC) return obstacle('message-queue', { ...holder, name });
  if (name.startsWith('anon_inode:') || name.startsWith('/secretmem'))
    return objectObstacle(descriptor, holder);
  const type = mode & S_IFMT;
  if ((type === S_IFCHR || type === S_IFBLK) && !COMMON_DEVICES.test(name))
    return obstacle('device-open', { ...holder, file: name });
  if (kind === 'corked') return obstacle('network-socket/corked', holder);
  if (type === S_IFSOCK && kind !== '-' && !SAVED_SOCKETS.test(kind))
    return obstacle('network-socket/kind', { ...holder, kind });
  if (kind === 'packets') return obstacle('packet-pipe', holder);
  if (kind === 'lease') return obstacle('file-lease', { ...holder, file: name });
  if (type === S_IFREG && name.endsWith(DELETED)) return deletedObstacle(descriptor, holder);
  return null;
}

function objectObstacle({ name, kind }: OpenDescriptor, holder: Holder): Obstacle | null {
  if (kind === 'semaphore') return obstacle('eventfd-semaphore', holder);
  if (kind === 'thread') return obstacle('kernel-object/thread', holder);
  if (kind === 'decides' || kind === 'filesystem') return obstacle(`file-watch/${kind}`, holder);
  if (SAVED_INODES.test(name)) return null;
  for (const [pattern, code] of KERNEL_OBJECTS) if (pattern.test(name)) return obstacle(code, holder);
  return obstacle('kernel-object/other', { ...holder, name: name.replace('anon_inode:', '') });
}

/** The content of a file without a name travels in the images; one that has another name would have to be found by it. */
function deletedObstacle({ name, links, space }: OpenDescriptor, holder: Holder): Obstacle | null {
  if (/^\/(memfd:|SYSV)/.test(name)) return null;
  const file = name.slice(0, -DELETED.length);
  if (links > 0 && !file.startsWith(OWN_TMPFS))
    return obstacle('deleted-file/other-name', { ...holder, file });
  if (links === 0 && space > GHOST_LIMIT_BYTES) {
    const sizes = { size: bytes(space), most: bytes(GHOST_LIMIT_BYTES) };
    return obstacle('deleted-file/too-large', { ...holder, file, ...sizes });
  }
  return null;
}
