/** What a node's kernel has of a job outside of its processes is refused by name before anything is frozen. */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  linkSync,
  openSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { GodwitError } from '../../agent/api/errors';
import { dial } from '../../agent/client/agent';
import { nodePaths } from '../../agent/lab/description';
import type { RunOptions } from '../support/godwit';
import { LabOfJobs } from '../support/lab-of-jobs';
import { says } from '../support/rounds';

const LIMIT_MS = 300_000;

const lab = new LabOfJobs('early');
const python = (lines: string) => [
  'python3',
  '-c',
  `${lines}\nprint("ready", flush=True)\nimport time\ntime.sleep(1e6)`,
];
const shell = (lines: string) => ['sh', '-ec', `${lines}\necho ready\nexec sleep 1000000`];

async function expectRefused(job: string, code: string): Promise<void> {
  const { can, obstacles } = await lab.godwit.why(job, 'node2');
  expect({ can, codes: [...new Set(obstacles.map((one) => one.code))] }).toEqual({
    can: false,
    codes: [code],
  });
  for (const { what, fix } of obstacles) expect([what, fix]).not.toContain('');
  await expect(lab.godwit.migrate(job, 'node2')).rejects.toThrow(obstacles[0]!.what);
  // Not even an intent was written.
  expect((await lab.godwit.history(job)).map(({ event }) => event)).toEqual(['launched']);
}

const LEASE = `
import fcntl, os
fd = os.open("leased", os.O_CREAT | os.O_WRONLY)
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)`;
const CORKED = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("127.0.0.1", 9))
s.setsockopt(socket.IPPROTO_UDP, 1, 1)
s.send(b"begun")`;
/** pidfd_open(2), PIDFD_THREAD */
const THREAD = `
import ctypes, os
fd = ctypes.CDLL(None).syscall(434, os.getpid(), os.O_EXCL)
assert fd >= 0`;
const PACKET_FIFO = `
import fcntl, os
os.mkfifo("packets")
fd = os.open("packets", os.O_RDWR)
os.unlink("packets")
fcntl.fcntl(fd, fcntl.F_SETFL, os.O_DIRECT)`;
/** In the job's own cgroup, and nothing of the mount is left. */
const OWN_GROUP = `
mkdir -p groups && mount -t cgroup2 none groups
group=groups$(sed -n 's/^0:://p' /proc/self/cgroup)/own
mkdir "$group" && echo $$ > "$group/cgroup.procs"
umount groups`;

/** A child is not done with its beginning before somebody writes into the FIFO, and its parent waits for that. */
const VFORKED = `
import os
os.mkfifo("never-written")
print("ready", flush=True)
os.posix_spawn("/bin/true", ["true"], {}, file_actions=[(os.POSIX_SPAWN_OPEN, 0, "never-written", os.O_RDONLY, 0)])`;
const TRAPPED = `
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTRAP})
os.kill(os.getpid(), signal.SIGTRAP)`;
/** A tmpfs over the folder, once the lines have used it. */
const COVERED = (lines: string) => `
place=$(mktemp -d "$PWD/covered-XXXXXX")
${lines}
mount -t tmpfs none "$place"`;
const COVERED_FILE = `
file=$(mktemp -p "$PWD") && over=$(mktemp -p "$PWD")
exec 3<>"$file" && mount --bind "$over" "$file"`;
/** Mapped, and open no more. */
const COVERED_MAPPING = `
import ctypes, mmap, os
os.mkdir("mapped")
fd = os.open("mapped/file", os.O_CREAT | os.O_RDWR)
os.write(fd, b"x" * 4096)
page = mmap.mmap(fd, 4096)
os.closerange(fd, 100)
assert ctypes.CDLL(None).mount(b"none", b"mapped", b"tmpfs", 0, None) == 0`;

const PACKETS = (more: string) => `
import os
r, w = os.pipe2(os.O_DIRECT)
${more}`;
/** unshare(2) */
const UNSHARED = (flag: number) => `
import ctypes
assert ctypes.CDLL(None).unshare(${flag}) == 0`;
const CLONE_NEWTIME = 0x80;
const CLONE_NEWPID = 0x20000000;
/** A connection that was not accepted. */
const WAITING = (more: string, kind = 'STREAM') => `
import os, socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_${kind})
s.bind("\\0godwit-" + os.urandom(8).hex())
s.listen(8)
c = socket.socket(socket.AF_UNIX, socket.SOCK_${kind})
c.connect(s.getsockname())
${more}`;
/** prctl(2), PR_SET_CHILD_SUBREAPER: the orphan is its, not PID 1's. */
const REAPER = `
import ctypes, os, time
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(1e6)
    os._exit(0)
os.wait()`;
/** The middle one of three has left the session that its child is still in, and whose leader has ended. */
const LEFT = `
import os, time
r, w = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        if os.fork() == 0:
            time.sleep(1e6)
        os.setsid()
        os.write(w, b"left")
        time.sleep(1e6)
    os._exit(0)
os.wait()
os.read(r, 4)`;

/** fanotify_init(2), fanotify_mark(2); nobody else has anything to do with what is marked. */
const FANOTIFY = (flags: number, mark: number, events: number, more = '') => `
import ctypes, os
libc = ctypes.CDLL(None)
place = "of-" + os.urandom(4).hex()
os.mkdir(place)
assert libc.mount(b"none", place.encode(), b"tmpfs", 0, None) == 0
open(place + "/file", "w").close()
events = libc.fanotify_init(${flags}, os.O_RDONLY)
mark = libc.fanotify_mark
mark.argtypes = [ctypes.c_int, ctypes.c_uint, ctypes.c_uint64, ctypes.c_int, ctypes.c_char_p]
assert mark(events, ${1 | mark}, ${events}, -100, (place + "/file").encode()) == 0
${more}`;
const FAN_CLASS_CONTENT = 4;
const FAN_MARK_FILESYSTEM = 0x100;
const FAN_OPEN = 0x20;
const FAN_OPEN_PERM = 0x10000;

describe('refused by name before anything is frozen', () => {
  it.each([
    ['a lease for writing', 'file-lease', () => python(LEASE)],
    ['a datagram that is begun', 'network-socket', () => python(CORKED)],
    ['a pidfd of a thread', 'kernel-object', () => python(THREAD)],
    ['cgroups that it has mounted', 'own-cgroup', () => shell('mkdir -p tree && mount -t cgroup2 none tree')],
    ['a pipe of packets, empty', 'packet-pipe', () => python(PACKETS(''))],
    ['a pipe of packets with one in it', 'packet-pipe', () => python(PACKETS('os.write(w, b"packet")'))],
    ['a FIFO that was made one of packets', 'packet-pipe', () => python(PACKET_FIFO)],
    ['a time namespace for its children', 'nested-namespace', () => python(UNSHARED(CLONE_NEWTIME))],
    ['a PID namespace for its children', 'nested-namespace', () => python(UNSHARED(CLONE_NEWPID))],
    ['a Unix connection with data in it', 'connection-pending', () => python(WAITING('c.send(b"data")'))],
    [
      'one of SOCK_SEQPACKET with data in it',
      'connection-pending',
      () => python(WAITING('c.send(b"data")', 'SEQPACKET')),
    ],
    ['a Unix connection that is closed again', 'connection-pending', () => python(WAITING('c.close()'))],
    ['an orphan in the session of a leader that has ended', 'session-leader', () => python(REAPER)],
    ['a child in a session that its parent has left', 'session-leader', () => python(LEFT)],
    ['a cgroup of its own making', 'own-cgroup', () => shell(OWN_GROUP)],
    ['a child that is not yet let go (vfork)', 'shared-process', () => python(VFORKED)],
    ['a SIGTRAP that waits', 'pending-trap', () => python(TRAPPED)],
    ['a file under a mount of its own', 'file-covered', () => shell(COVERED('exec 3<>"$place/file"'))],
    [
      'a FIFO under a mount of its own',
      'file-covered',
      () => shell(COVERED('mkfifo "$place/fifo"; exec 3<>"$place/fifo"')),
    ],
    ['a working folder under a mount of its own', 'file-covered', () => shell(COVERED('cd "$place"'))],
    [
      'a file on a mount of its own under another',
      'file-covered',
      () => shell(COVERED('mount -t tmpfs none "$place"; exec 3<>"$place/file"')),
    ],
    ['a file under another that it has bound there', 'file-covered', () => shell(COVERED_FILE)],
    ['a say in what others open', 'file-watch', () => python(FANOTIFY(FAN_CLASS_CONTENT, 0, FAN_OPEN_PERM))],
    [
      'a watch on a whole file system',
      'file-watch',
      () => python(FANOTIFY(0, FAN_MARK_FILESYSTEM, FAN_OPEN)),
    ],
    [
      'events of fanotify that were not read',
      'file-watch',
      () => python(FANOTIFY(0, 0, FAN_OPEN, 'open(place + "/file").close()')),
    ],
    ['a mapped file under a mount of its own', 'file-covered', () => python(COVERED_MAPPING)],
  ])(
    '%s',
    async (_what, code, argv) => {
      await expectRefused(await lab.launched(argv()), code);
    },
    LIMIT_MS,
  );
});

it(
  'a move is refused with all that stands in its way at once',
  async () => {
    const job = await lab.launched(python(LEASE + CORKED));
    const agent = await dial(nodePaths(lab.name, 'node1').agent.socket);
    await agent.call('jobs.pin', { job, pinned: true });
    const { obstacles } = await lab.godwit.why(job, 'node2');
    expect(obstacles.map(({ code }) => code).sort()).toEqual(['file-lease', 'network-socket', 'pinned']);
    const asked = { job, node: 'node2', transfer: 'auto' } as const;
    const refused: GodwitError = await agent.call('jobs.migrate', asked).then(
      () => expect.fail('it moved'),
      (error) => error,
    );
    agent.close();
    expect(refused).toMatchObject({ code: obstacles[0]!.code, obstacles });
    expect((await lab.godwit.history(job)).map(({ event }) => event)).toEqual(['launched']);
  },
  LIMIT_MS,
);

/** The kernel has a thread that has ended in no cgroup of the first kind: that is not the job's doing. */
it(
  'a program whose first thread has ended is refused for that, and not for cgroups of its own making',
  async () => {
    const lines = 'import ctypes, threading, time\nthreading.Thread(target=time.sleep, args=(1e6,)).start()';
    const job = await lab.launched([
      'python3',
      '-c',
      `${lines}\nprint("ready", flush=True)\nctypes.CDLL(None).syscall(60, 0)`,
    ]);
    await expectRefused(job, 'thread-ended');
  },
  LIMIT_MS,
);

/** Watches the file that it is given, and says what it is told of. */
const WATCHER = `
import ctypes, os, sys
events = ctypes.CDLL(None).inotify_init1(0)
assert ctypes.CDLL(None).inotify_add_watch(events, sys.argv[1].encode(), 2) == 1
print("ready", flush=True)
while os.read(events, 4096): print("written", flush=True)`;

it(
  'a watched file whose name has gone, and whose other name is not known, until somebody looks at that',
  async () => {
    const [name, other] = [join(lab.folder, 'watched'), join(lab.folder, 'watched-too')];
    writeFileSync(other, '');
    linkSync(other, name);
    const job = await lab.launched(['python3', '-c', WATCHER, name]);
    // The kernel has this one first among its names, as long as it is open.
    const open = openSync(name, 'r');
    unlinkSync(name);
    await expectRefused(job, 'file-watch');
    closeSync(open);
    statSync(other);
    expect(await lab.godwit.why(job, 'node2')).toMatchObject({ can: true, obstacles: [] });
    await lab.godwit.migrate(job, 'node2');
    await lab.godwit.migrate(job, 'node1');
    appendFileSync(other, 'x');
    await says(lab.consoleOf(job), 'written');
  },
  LIMIT_MS,
);

/** Sends one ping to itself by the socket that it has had since its beginning, when it is told to. */
const PING = `
import os, socket, struct, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
print("ready", flush=True)
while not os.path.exists("ping"):
    time.sleep(0.02)
s.sendto(struct.pack("!BBHHH", 8, 0, 0, 0, 1), ("127.0.0.1", 0))
print("pong" if s.recv(64)[0] == 0 else "not so: no answer", flush=True)
`;

/** As a node's administrator sets it (icmp(7)). */
const letPing = (node: string, groups: string) =>
  execFileSync('nsenter', [
    `--net=/var/lib/godwit/labs/${lab.name}/namespaces/${node}.net`,
    ...['sh', '-c', 'echo "$0" > /proc/sys/net/ipv4/ping_group_range', groups],
  ]);

it.each([
  ["in its host's network", {}],
  ['with an address of its own', { address: 'auto' }],
] as [string, RunOptions][])(
  'a socket of ICMP moves to nodes that let its user make one, %s',
  async (_where, options) => {
    rmSync(join(lab.folder, 'ping'), { force: true });
    letPing('node1', '0 0');
    letPing('node2', '1 0');
    const job = await lab.launched(['python3', '-c', PING], options);
    await expectRefused(job, 'ping-group');
    letPing('node2', '0 100');
    await lab.godwit.migrate(job, 'node2');
    writeFileSync(join(lab.folder, 'ping'), '');
    await says(lab.consoleOf(job), 'pong');
  },
  LIMIT_MS,
);

/** Two wait while it moves. */
const CONNECTIONS = `${WAITING('d = socket.socket(socket.AF_UNIX)\nd.connect(s.getsockname())')}
import time
print("ready", flush=True)
while not os.path.exists("accept"):
    time.sleep(0.02)
for other, text in [(c, b"first"), (d, b"second")]:
    other.send(text)
print("got", *(s.accept()[0].recv(9).decode() for _ in "12"), flush=True)
time.sleep(1e6)`;

it(
  'Unix connections that wait with nothing in them are accepted after a move',
  async () => {
    rmSync(join(lab.folder, 'accept'), { force: true });
    const job = await lab.launched(['python3', '-c', CONNECTIONS]);
    expect(await lab.godwit.why(job, 'node2')).toMatchObject({ can: true, obstacles: [] });
    await lab.godwit.migrate(job, 'node2');
    writeFileSync(join(lab.folder, 'accept'), '');
    await says(lab.consoleOf(job), 'got first second');
  },
  LIMIT_MS,
);

/** Listens and accepts no connection. */
const LISTENS = `
import os, socket
s = socket.socket(socket.AF_UNIX)
s.bind("listens")
s.listen(8)`;

it(
  'a Unix connection that waits to be accepted, from outside the job or to there',
  async () => {
    rmSync(join(lab.folder, 'listens'), { force: true });
    const server = await lab.launched(python(LISTENS));
    const client = await lab.launched(
      python('import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect("listens")'),
    );
    await expectRefused(server, 'external-socket');
    await expectRefused(client, 'external-socket');
    await lab.godwit.kill(client);
    await lab.godwit.wait(client);
    // What has ended before it was accepted is there still.
    await expectRefused(server, 'connection-pending');
  },
  LIMIT_MS,
);
