/** What the cluster is made of, as clients see it: one schema each, the types inferred from them. */
import { z } from 'zod';
import { dictionary, list } from './bounded';
import { MOST_NODES } from './lists';
import { Resources } from './resources';
import { isPrintable } from './text';

export const JobId = z.string().regex(/^[a-z0-9]{10}$/, 'a job id is ten characters of a-z and 0-9');
export type JobId = z.infer<typeof JobId>;

/** A node's name is also the common name of its certificate. */
export const NodeName = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'a node name is like a host name');
export type NodeName = z.infer<typeof NodeName>;

/** Of one job: more reasons than this are of no use. */
export const MOST_OBSTACLES = 10_000;
/** Of one process; what they take together is bounded besides (see jobs/admission.ts). */
const MOST_WORDS = 65_536;
/** PATH_MAX (limits.h). */
const MOST_PATH_BYTES = 4_096;

/** Passed to execve(2), which ends them at a zero byte. */
const Word = z.string().regex(/^[^\0]*$/, 'it has a zero byte in it');
const Path = Word.max(MOST_PATH_BYTES);

export const Words = list(Word, { most: MOST_WORDS });
/** execve(2) knows no names, only lines; an `=` would end the name. */
export const Variables = dictionary(
  z.string().regex(/^[^\0=]+$/, 'the name of a variable is not empty and has no "="'),
  Word,
  { most: MOST_WORDS },
);

/** As the kernel keeps it (gethostname(2)), of names and dots (RFC 1123, 2.1). */
export const HostName = z
  .string()
  .max(64)
  .regex(
    /^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/,
    'a host name has letters, digits, - and dots, 64 at the most',
  );

/** As people see it in lists of what many have launched. */
export const JobName = z
  .string()
  .min(1)
  .max(200)
  .refine(isPrintable, 'a name has no control characters and none that are not seen');

/** What a batch system has given a user for a while, by its own name for it. */
export const AllocationId = z
  .string()
  .max(64)
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, 'an allocation is named by letters and digits');

/** Jobs that have one end: when the first of them, whose id it is, is over, the others are ended. */
export const Group = z.object({ id: JobId, name: z.string().max(200) });
export type Group = z.infer<typeof Group>;

export const Epoch = z.int().min(0);
/** A moment: ISO 8601, UTC. */
export const Moment = z.iso.datetime();
/** A span: milliseconds. */
export const Span = z.number().min(0);
export const Bytes = z.int().min(0);

export const JobState = z.enum(['starting', 'running', 'stopped', 'moving', 'ended', 'lost']);
export type JobState = z.infer<typeof JobState>;

/** `draining`: it is up, its jobs are to leave, and none is to come. */
export const NodeState = z.enum(['up', 'suspect', 'down', 'draining']);
export type NodeState = z.infer<typeof NodeState>;

/** How a program ended: `exit` 0..255, or 128 + the signal's number with the signal's name beside it. */
export const Exit = z.object({
  exit: z.int().min(0).max(255),
  signal: z.string().nullable(),
  /** What ended it where that was not its own doing. */
  reason: z.string().optional(),
});
export type Exit = z.infer<typeof Exit>;

/** Of a terminal, in characters. */
export const WindowSize = z.object({ rows: z.int().min(1).max(65_535), columns: z.int().min(1).max(65_535) });
export type WindowSize = z.infer<typeof WindowSize>;

/** What all of a job's processes together may use; what is absent is unlimited. */
export const Limits = z.object({
  /** Fractions allowed. */
  cpus: z.number().min(0.01).optional(),
  memory: z.int().min(1).optional(),
  /** Threads count, as for the kernel. */
  processes: z.int().min(1).optional(),
});
export type Limits = z.infer<typeof Limits>;
/** Of one node, what all jobs of an allocation may use together; what is absent is unlimited. */
export type Share = Pick<Limits, 'cpus' | 'memory'>;

/**
 * A number of a user or group. The kernel keeps 32 bits of what it is given, and takes the largest for "leave it as it is"
 * (setresuid(2)), which for an agent would be root.
 */
export const Id = z
  .int()
  .min(0)
  .max(2 ** 32 - 2);

/**
 * Whom a job runs as, by the numbers of its home: a cluster gives a user the same number on every node, and a node
 * that knows no name for it runs the job all the same.
 */
export const User = z.object({
  /** LOGIN_NAME_MAX (limits.h). */
  name: z.string().min(1).max(256),
  uid: Id,
  gid: Id,
  /** The supplementary groups, NGROUPS_MAX at most (limits.h). */
  groups: list(Id, { most: 65_536 }),
});
export type User = z.infer<typeof User>;
/** Names a mount of a home's files; both its ends have the same, and an end of another one is turned away. */
export const WireId = z.string().min(1).max(63);

export const ROOT: User = { name: 'root', uid: 0, gid: 0, groups: [] };

/** An address of a job's own on the network that all nodes have in common. */
export const Address = z.object({
  ip: z.ipv4(),
  /** Of its network. */
  bits: z.int().min(1).max(30),
  gateway: z.ipv4().nullable(),
});
export type Address = z.infer<typeof Address>;

/** Of one array: as many as Slurm allows by itself (MaxArraySize), and what is told of all fits one message. */
export const MOST_PARTS = 1_000;

/** Which job of an array one is. */
export const ArrayPart = z.object({
  /** The array's own. */
  id: JobId,
  name: z.string().max(200),
  /** From 0 on. */
  index: z
    .int()
    .min(0)
    .max(MOST_PARTS - 1),
  /** How many it began with. */
  count: z.int().min(1).max(MOST_PARTS),
});
export type ArrayPart = z.infer<typeof ArrayPart>;

/** Of a job that has not begun: its place in the queue of its home, from 1 on; since when; what it waits for. */
export const Queued = z.object({ position: z.int().min(1), since: Moment, why: z.string() });
export type Queued = z.infer<typeof Queued>;

export const Job = z.object({
  id: JobId,
  name: z.string(),
  /** In lists: its beginning, with an ellipsis where more follows. */
  command: list(z.string(), { least: 1, most: MOST_WORDS + 1 }),
  /** The name of the user as whom it runs. */
  user: z.string(),
  limits: Limits.optional(),
  /** It has a terminal that can be typed into. */
  tty: z.boolean().optional(),
  state: JobState,
  home: NodeName,
  /** The host: where it runs now (for a job that is moving: where it came from). */
  node: NodeName,
  /** The program's process id inside the job. */
  pid: z.int(),
  /** Its own address, which moves with it. */
  address: z.ipv4().nullable(),
  /** Share of one CPU over the last second, 0..number of CPUs. */
  cpu: z.number(),
  /** Bytes of memory that its processes hold. */
  rss: Bytes,
  migrations: z.int().min(0),
  /** Is a debugger's client attached to any of its processes? */
  debugged: z.boolean(),
  pinned: z.boolean(),
  /** It does not move by itself, whatever its home's jobs do. Absent otherwise. */
  balanced: z.literal(false).optional(),
  exit: Exit.nullable(),
  started: Moment,
  ended: Moment.nullable(),
  epoch: Epoch,
  /** The one that it runs in; absent outside of any. */
  allocation: AllocationId.optional(),
  /** Absent outside of any array. */
  array: ArrayPart.optional(),
  /** It waits for room on a node; its state is `starting`. Absent otherwise. */
  queued: Queued.optional(),
  /** The one that it is of; absent outside of any. */
  group: Group.optional(),
  /** Its home does not answer, for so long already: a node that has a copy of it tells of it instead. Absent otherwise. */
  homeSilentMs: Span.optional(),
  /** It is told from memory, as it was then: neither its home nor a node that has it answers. Absent otherwise. */
  asOf: Moment.optional(),
});
export type Job = z.infer<typeof Job>;

export const Node = z.object({
  name: NodeName,
  address: z.string(),
  state: NodeState,
  /** CPUs it may use; fractions where a quota says so. */
  cpus: z.number(),
  /** Single-thread speed relative to a fixed loop on a reference machine. */
  speed: z.number(),
  /** Runnable load: CPUs in use by jobs, averaged over the last seconds. */
  load: z.number(),
  memTotal: Bytes,
  memFree: Bytes,
  jobs: z.int().min(0),
  /** Threads that want to run, of all that runs there: over the last second or so, and the last twenty. */
  demand: z.number().min(0).optional(),
  steady: z.number().min(0).optional(),
  /** Its jobs are to leave, and none is to come. */
  draining: z.boolean().optional(),
  /** For how long it has not answered, where it is not up. */
  silentMs: Span.optional(),
  /** How old these figures are; the state is that of now. */
  age: Span.optional(),
});
export type Node = z.infer<typeof Node>;

export const Transfer = z.enum(['auto', 'stop', 'post-copy', 'pre-copy']);
export type Transfer = z.infer<typeof Transfer>;

/** The phases of a move in their order, milliseconds each. */
export const Phases = z.object({
  prepare: Span,
  park: Span,
  dump: Span,
  transfer: Span,
  restore: Span,
  commit: Span,
  thaw: Span,
});
export type Phases = z.infer<typeof Phases>;

export const MoveReport = z.object({
  job: JobId,
  from: NodeName,
  to: NodeName,
  epoch: Epoch,
  transfer: Transfer,
  /** From the freeze on the source to the thaw on the destination. */
  freezeMs: Span,
  totalMs: Span,
  bytes: Bytes,
  phases: Phases,
});
export type MoveReport = z.infer<typeof MoveReport>;

/** The process id of its program inside every job; PID 1 is Godwit's. */
export const PROGRAM_PID = 2;

export const Obstacle = z.object({ code: z.string(), what: z.string(), fix: z.string() });
export type Obstacle = z.infer<typeof Obstacle>;

/** How an open file is reached on a node: it is the home; it shares the folder; over the network, at the home. */
export const ReachedFile = z.object({ path: z.string(), via: z.enum(['local', 'shared', 'home']) });
export type ReachedFile = z.infer<typeof ReachedFile>;

/** More are counted, and not named. */
export const MOST_FILES_SHOWN = 100;

export const Preflight = z.object({
  can: z.boolean(),
  obstacles: list(Obstacle, { most: MOST_OBSTACLES }),
  bytes: Bytes,
  estimateMs: Span,
  home: NodeName,
  /** The files and folders that the job has open, each path once: the first of them, and how many more there are. */
  files: list(ReachedFile, { most: MOST_FILES_SHOWN }),
  moreFiles: z.int(),
});
export type Preflight = z.infer<typeof Preflight>;

export const HistoryEvent = z.object({
  time: Moment,
  job: JobId,
  node: NodeName,
  event: z.enum([
    'queued',
    'launched',
    'move-intent',
    'move-committed',
    'move-aborted',
    'move-thawed',
    'move-finished',
    'ended',
    'lost',
    'adopted',
    'forgotten',
  ]),
  epoch: Epoch.optional(),
  to: NodeName.optional(),
  reason: z.string().optional(),
  move: MoveReport.optional(),
  exit: Exit.optional(),
});
export type HistoryEvent = z.infer<typeof HistoryEvent>;

/** How its home shows a job: for a node that may have to show it alone. */
export const Shown = z.object({
  name: z.string().max(200),
  command: Job.shape.command,
  started: Moment,
  moves: z.int().min(0),
  array: ArrayPart.optional(),
});
export type Shown = z.infer<typeof Shown>;

/** What a person asks to be run. */
export const LaunchRequest = z.object({
  program: Path.min(1),
  args: Words,
  cwd: Path.startsWith('/'),
  env: Variables,
  /** `best`, `home`, or a node's name. */
  node: z.string().min(1).max(63),
  name: JobName.optional(),
  /** The nodes on which alone it may be; all if absent. */
  nodes: list(NodeName, { least: 1, most: MOST_NODES }).optional(),
  /** Stopped before its first instruction. */
  stopped: z.boolean(),
  limits: Limits.default({}),
  /** An address of its own: a certain one, or any of its home's pool. */
  address: z.union([z.ipv4(), z.literal('auto')]).optional(),
  /** The host name that it sees; that of its home if absent. */
  hostname: HostName.optional(),
  /** The size of the terminal that it gets; none if absent. */
  tty: WindowSize.optional(),
  /** The mask of permissions that its new files don't get (umask(2)); the agent's own if absent. */
  umask: z.int().min(0).max(0o777).optional(),
  /** Those that are absent are a user's own, or for root the agent's; none goes beyond these. */
  resources: Resources.optional(),
  /** It may use io_uring, which keeps it from moving while it does. */
  allowIoUring: z.boolean().default(false),
  /** It waits for a node that has room, and begins there. */
  queue: z.boolean().default(false),
  /** Of this launch alone: asked again with the same, the job is told of that it has launched. */
  token: z.uuid().optional(),
  /** A group of this name begins with it. What jobs of a group launch is of that group. */
  group: JobName.optional(),
});
export type LaunchRequest = z.input<typeof LaunchRequest>;

/** What the home makes of it: the user is known from where the request came in, never from what it says. */
export const JobSpec = LaunchRequest.omit({ queue: true, token: true }).extend({
  user: User.default(ROOT),
  /** The one that it was given. */
  address: Address.nullable().default(null),
  /** Judged as well. */
  allocation: AllocationId.nullable().default(null),
  array: ArrayPart.optional(),
  group: Group.optional(),
});
export type JobSpec = z.infer<typeof JobSpec>;

/** What is kept of it once it has been launched: what holds for the job wherever it goes, and what lists show. */
export const KeptSpec = JobSpec.pick({
  user: true,
  limits: true,
  address: true,
  tty: true,
  allowIoUring: true,
  allocation: true,
  nodes: true,
  array: true,
  group: true,
}).extend({
  command: Job.shape.command,
});
export type KeptSpec = z.infer<typeof KeptSpec>;
