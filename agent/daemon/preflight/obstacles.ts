/**
 * All obstacles to a move, each with the sentence that says what is in the way and the one that says what to do. The rest
 * of this room has no sentences of its own, but for those who may not look into a job (why.ts). docs/obstacles.md explains each
 * code (test/unit/obstacles.test.ts).
 */
import type { GodwitError } from '../../api/errors';
import type { Obstacle } from '../../api/model';
import { ALLOCATION_ERRORS } from '../allocations/errors';

/** `job`: what the job itself has; `source`, `destination`: the node; `decision`: what a person has decided. */
export type Concern = 'job' | 'source' | 'destination' | 'decision';

interface Entry {
  concerns: Concern;
  /** With the names of what is filled in, in braces: `{process}` is its name in messages (naming.ts). */
  what: string;
  fix: string;
}

const CLOSE_IT = 'have the program close it before the move';
const ACCEPT_IT = 'let the program accept it, and try again';
const CLOSE_THE_CONNECTION = 'close that connection, or run both ends in one job';
const LEAVE_CGROUPS = 'have the job leave cgroups alone; `run` has --cpus, --memory and --processes';
const OWN_ADDRESS = 'run it with --address, or have the program close it before the move';
const NO_SANDBOX = 'run the job without a container or sandbox of its own';
const END_THE_TRACER = 'end the tracer (strace, gdb); debug it with `godwit gdb` instead';

/** Named by their codes; a code with several sentences has one entry for each, `CODE/WHICH`. */
export const OBSTACLES = {
  // Processes.
  'traced/inside': {
    concerns: 'job',
    what: '{process} is traced by another process of the job',
    fix: END_THE_TRACER,
  },
  'traced/outside': {
    concerns: 'job',
    what: '{process} is traced by a process outside the job ({tracer} on its node)',
    fix: END_THE_TRACER,
  },
  'nested-namespace/own': {
    concerns: 'job',
    what: '{process} is in a {kind} namespace of its own',
    fix: NO_SANDBOX,
  },
  'nested-namespace/children': {
    concerns: 'job',
    what: '{process} puts its children into a {kind} namespace of its own',
    fix: NO_SANDBOX,
  },
  'session-leader': {
    concerns: 'job',
    what: "{process} is in session {session}, of which no process above it is, so CRIU can't bring it back there",
    fix: 'have it begin a session of its own (setsid), or end it before the move',
  },
  'thread-ended': {
    concerns: 'job',
    what: "{process} goes on without its first thread, which CRIU can't save",
    fix: 'wait for its end',
  },
  'scheduling-policy': {
    concerns: 'job',
    what: "{process} has the scheduling policy SCHED_{policy}, which CRIU can't bring back",
    fix: 'have the program choose another policy before the move (chrt -o -p 0 TID)',
  },
  'semaphore-undo': {
    concerns: 'job',
    what: '{process} has threads, or operations that its end would undo (SEM_UNDO), in a job with System V semaphores',
    fix: 'use POSIX semaphores, or remove the System V ones before the move',
  },
  'shared-process/with': {
    concerns: 'job',
    what: "{process} shares its {what} with {other} (vfork, clone), which CRIU can't bring back",
    fix: 'try again when one of them has ended or has executed a program',
  },
  'shared-process/thread': {
    concerns: 'job',
    what: '{process} has a thread that has left the {what} of its process (unshare, setns), where CRIU would put it again',
    fix: 'try again when that thread has ended',
  },
  'pending-trap': {
    concerns: 'job',
    what: "{process} has a SIGTRAP waiting, which it blocks and CRIU can't carry",
    fix: 'have the program take that signal before the move',
  },
  'program-not-executable': {
    concerns: 'job',
    what: '{process} runs {file}, which has no execute permission any more',
    fix: 'make the file executable again (chmod +x)',
  },
  'terminal-number': {
    concerns: 'job',
    what: "{process} has the terminal /dev/pts/{number}, whose number CRIU can't give it again",
    fix: 'have it close terminals, so that those with lower numbers are used',
  },

  // Cgroups and mounts.
  'own-cgroup/entered': {
    concerns: 'job',
    what: "{process} is in the cgroup {group}, which is not Godwit's",
    fix: LEAVE_CGROUPS,
  },
  'own-cgroup/made': {
    concerns: 'job',
    what: 'the job has made the cgroup {group} within its own',
    fix: LEAVE_CGROUPS,
  },
  'own-cgroup/mounted': {
    concerns: 'job',
    what: 'the job has mounted cgroups at {folder}',
    fix: LEAVE_CGROUPS,
  },
  'mount-gone': {
    concerns: 'job',
    what: '{process} uses {file} on a mount that its home no longer has',
    fix: 'have the program close it, or leave that folder',
  },
  'file-covered': {
    concerns: 'job',
    what: "{process} uses {file}, over which something else is mounted, so CRIU can't find it",
    fix: 'have the program close it or leave that folder, or unmount what is over it',
  },
  'own-mount': {
    concerns: 'job',
    what: "the job has mounted {folder} itself, of the kind {kind}, whose content can't travel",
    fix: 'have the job unmount it, or mount it at its home before the launch',
  },

  // What is open or mapped: {has} is "has open" or "has mapped".
  'device-open': {
    concerns: 'job',
    what: '{process} {has} the device {file}',
    fix: 'have the program close it',
  },
  'deleted-file/other-name': {
    concerns: 'job',
    what: '{process} {has} {file}, which was deleted under that name and has another one',
    fix: 'keep the name while the job uses it',
  },
  'deleted-file/too-large': {
    concerns: 'job',
    what: '{process} {has} {file}, which was deleted; it has {size}, and {most} can travel',
    fix: 'keep the file while the job uses it',
  },
  'file-lease': {
    concerns: 'job',
    what: "{process} {has} {file} with a lease for writing (F_SETLEASE), which the destination's own opening of it would break",
    fix: 'have the program give the lease up before the move',
  },
  'file-lock': {
    concerns: 'job',
    what: '{process} has locked {file}, which {node} shares: the lock would be held on both nodes at once',
    fix: 'try again when it has given the lock back',
  },
  'file-watch/decides': {
    concerns: 'job',
    what: '{process} is asked whether others may open files (fanotify, FAN_CLASS_CONTENT), who would wait for it while it is frozen',
    fix: CLOSE_IT,
  },
  'file-watch/filesystem': {
    concerns: 'job',
    what: "{process} watches a whole file system (FAN_MARK_FILESYSTEM), which CRIU can't bring back",
    fix: 'have it watch mounts or files',
  },
  'file-watch/unread': {
    concerns: 'job',
    what: '{process} has not read events of fanotify, which CRIU would lose',
    fix: 'try again when it has read them',
  },
  'file-watch/nameless': {
    concerns: 'job',
    what: '{process} watches the file with the inode number {inode}, whose name its kernel has forgotten',
    fix: 'look at it, at its home (find FOLDER -inum {inode} -ls), or have the program watch it anew',
  },
  'message-queue': {
    concerns: 'job',
    what: "{process} {has} the POSIX message queue {name}, which CRIU can't save",
    fix: CLOSE_IT,
  },
  'packet-pipe': {
    concerns: 'job',
    what: "{process} {has} a pipe that keeps each write apart (O_DIRECT), which CRIU can't save",
    fix: CLOSE_IT,
  },
  'eventfd-semaphore': {
    concerns: 'job',
    what: '{process} {has} an eventfd of the kind EFD_SEMAPHORE, which CRIU would bring back as a plain one',
    fix: CLOSE_IT,
  },
  'io-uring': {
    concerns: 'job',
    what: "{process} {has} an io_uring, which CRIU can't save",
    fix: 'run it without io_uring, which is the default',
  },
  'perf-event': {
    concerns: 'job',
    what: "{process} {has} a performance counter, which CRIU can't save",
    fix: 'end its profiling before the move',
  },
  userfaultfd: {
    concerns: 'job',
    what: "{process} {has} a userfaultfd, which CRIU can't save",
    fix: CLOSE_IT,
  },
  bpf: { concerns: 'job', what: "{process} {has} a BPF object, which CRIU can't save", fix: CLOSE_IT },
  kvm: {
    concerns: 'job',
    what: "{process} {has} a virtual machine of KVM, which CRIU can't save",
    fix: 'end the virtual machine before the move',
  },
  'secret-memory': {
    concerns: 'job',
    what: "{process} {has} secret memory (memfd_secret), which CRIU can't save",
    fix: 'have the program give it up before the move',
  },
  'kernel-object/thread': {
    concerns: 'job',
    what: "{process} {has} a pidfd of a thread (PIDFD_THREAD), which CRIU can't save",
    fix: CLOSE_IT,
  },
  'kernel-object/other': {
    concerns: 'job',
    what: "{process} {has} {name}, which CRIU can't save",
    fix: CLOSE_IT,
  },

  // Sockets.
  'network-socket/kind': {
    concerns: 'job',
    what: "{process} {has} a socket of the kind {kind}, which CRIU can't save",
    fix: CLOSE_IT,
  },
  'network-socket/corked': {
    concerns: 'job',
    what: "{process} {has} a UDP socket with a datagram that is begun and not sent (UDP_CORK), which CRIU can't save",
    fix: 'have the program send it before the move',
  },
  'network-socket/bound': {
    concerns: 'job',
    what: "{process} has a {kind} socket at {address}, which is no address of the job's own",
    fix: OWN_ADDRESS,
  },
  'network-socket/connected': {
    concerns: 'job',
    what: '{process} has a {kind} connection to {address}',
    fix: OWN_ADDRESS,
  },
  'network-socket/loopback': {
    concerns: 'job',
    what: '{process} has a TCP connection to {address}, a program outside the job',
    fix: 'run both ends in one job, or have the program close it before the move',
  },
  'network-socket/ping': {
    concerns: 'job',
    what: "the job has an ICMP socket, which CRIU before {least} can't save",
    fix: 'run `npm run setup -- update` on both nodes, or have the program close it',
  },
  'connection-pending/tcp': {
    concerns: 'job',
    what: '{process} has not accepted a TCP connection yet that was made to {address}',
    fix: ACCEPT_IT,
  },
  'connection-pending/closed': {
    concerns: 'job',
    what: '{process} has not accepted a Unix connection yet, that was closed meanwhile',
    fix: ACCEPT_IT,
  },
  'connection-pending/unread': {
    concerns: 'job',
    what: '{process} has not accepted a Unix connection yet, with data in it',
    fix: ACCEPT_IT,
  },
  'external-socket/connected': {
    concerns: 'job',
    what: '{process} is connected to a process outside the job over a Unix socket',
    fix: CLOSE_THE_CONNECTION,
  },
  'external-socket/connecting': {
    concerns: 'job',
    what: '{process} waits to be accepted by a process outside the job over a Unix socket',
    fix: CLOSE_THE_CONNECTION,
  },
  'external-socket/not-accepted': {
    concerns: 'job',
    what: '{process} has not accepted a process outside the job yet, which is connected to it over a Unix socket',
    fix: CLOSE_THE_CONNECTION,
  },
  'queued-message': {
    concerns: 'job',
    what: '{process} has not read {message}',
    fix: 'try again when the program has read it',
  },

  // The destination.
  architecture: {
    concerns: 'destination',
    what: '{node} is {here}, and the job runs on {there}',
    fix: 'choose a node of the same architecture',
  },
  'cpu-features': {
    concerns: 'destination',
    what: "{node}'s CPU lacks {features}",
    fix: 'choose a node with a CPU of the same kind, or launch the job on the oldest one',
  },
  'kernel-version': {
    concerns: 'destination',
    what: '{node} has the kernel {here}, and the job runs on the newer {there}',
    fix: 'choose a node with {least} or newer, or launch the job on the oldest one',
  },
  'criu-version': {
    concerns: 'destination',
    what: "{node} has CRIU {here}, and the job's images will be written by {there}",
    fix: 'have the same CRIU on both: `npm run setup` on {node}',
  },
  'no-criu': { concerns: 'destination', what: '{node}: {why}', fix: 'see `godwit doctor`' },
  'no-memory': {
    concerns: 'destination',
    what: '{node} has {free} of memory free, and the move takes {needed}',
    fix: 'free memory there, or choose another node',
  },
  'disk-full': {
    concerns: 'destination',
    what: '{node} has {free} free for images, and the move takes {needed}',
    fix: 'free space for {folder} there, or choose another node',
  },
  'port-taken': {
    concerns: 'destination',
    what: '{kind} port {port} at {address}, which the job has, is taken on {node}',
    fix: 'free it there, choose another node, or run the job with --address',
  },
  'ping-group': {
    concerns: 'destination',
    what: 'the job has an ICMP socket, and on {node} no group of its user may make one',
    fix: 'have net.ipv4.ping_group_range on {node} include group {group}',
  },
  'node-unreachable': {
    concerns: 'destination',
    what: "{node} can't be reached: {why}",
    fix: 'is its agent running?',
  },
  pinned: { concerns: 'decision', what: 'it is pinned to {node}', fix: '`godwit unpin {job}` first' },
} as const satisfies Record<string, Entry>;

/**
 * Obstacles that are errors elsewhere too, which have their sentences: a node says why it takes no such job, and what a
 * launch would lack as well.
 */
export const ERRORS: Readonly<Record<string, Concern>> = {
  'home-unreachable': 'source',
  'limit-unavailable': 'destination',
  'no-network': 'destination',
  'not-on-node': 'decision',
  'not-accepted': 'destination',
  'root-jobs-refused': 'destination',
  'ids-refused': 'destination',
  'wrong-version': 'destination',
  ...ALLOCATION_ERRORS,
};

export type ObstacleName = keyof typeof OBSTACLES;

type Placeholders<Text extends string> = Text extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Placeholders<Rest>
  : never;
type Values<Name extends ObstacleName> = Readonly<
  Record<Placeholders<(typeof OBSTACLES)[Name]['what' | 'fix']>, string | number>
>;

/** The obstacle of that name, its sentences filled in. @param cause what brings a fix of its own */
export function obstacle<Name extends ObstacleName>(
  name: Name,
  values: Values<Name>,
  cause: { fix?: string | undefined } = {},
): Obstacle {
  const { what, fix } = OBSTACLES[name];
  // In one pass: what is filled in may have braces of its own.
  const filled = (text: string) =>
    text.replace(/\{(\w+)\}/g, (_, key: string) => String((values as Record<string, string | number>)[key]));
  return { code: codeOf(name), what: filled(what), fix: cause.fix ?? filled(fix) };
}

/** @param fix where the error names none */
export const asObstacle = ({ code, message, fix: own }: GodwitError, fix = ''): Obstacle => ({
  code,
  what: message,
  fix: own ?? fix,
});

export const codeOf = (name: string): string => name.split('/')[0]!;

const CONCERNS: ReadonlyMap<string, Concern> = new Map([
  ...Object.entries(OBSTACLES).map(([name, { concerns }]): [string, Concern] => [codeOf(name), concerns]),
  ...Object.entries(ERRORS),
]);

/** Any other is about what the job has, which is not reported to all callers. */
export const concernOf = (code: string): Concern => CONCERNS.get(code) ?? 'job';

/** Each code once. */
export const OBSTACLE_CODES: readonly string[] = [...CONCERNS.keys()];
