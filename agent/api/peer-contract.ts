/** What agents ask of each other. Who may say which of it: requests/callers.ts. */
import { z } from 'zod';
import { HomedArray, MOST_ARRAYS_MEANT } from './array';
import { list } from './bounded';
import { clientContract, JobReference, Typed } from './client-contract';
import { MoveUnderWay } from './client-events';
import type { Contract } from './contract';
import { Pem } from './join-contract';
import { Cursor, MOST_IN_PAGE, MOST_JOBS, MOST_NODES, PAGE_BYTES } from './lists';
import { Telling } from './membership';
import {
  Address,
  AllocationId,
  Bytes,
  Epoch,
  Exit,
  HistoryEvent,
  HostName,
  Id,
  Job,
  JobId,
  LaunchRequest,
  Limits,
  MOST_OBSTACLES,
  Node,
  NodeName,
  Obstacle,
  ROOT,
  Shown,
  User,
  Variables,
  WindowSize,
  WireId,
  Words,
} from './model';
import { EpochOutcome, FromDestination, FromSource, ToDestination, ToSource } from './move-contract';
import { NodeRules, RuleChange } from './node-rules';
import { Resources } from './resources';
import { RosterEntries, RosterEntry } from './roster';
import { JobStacks } from './stacks';
import { UNDERSTOOD_FIRST, Understood } from './versions';

/** As another node says it: with all that it says of root, root is root. */
const Whom = User.transform((user) => (user.uid === 0 ? ROOT : user));

/** What holds for a job on whichever node it runs. */
export const Terms = z.object({
  user: Whom,
  limits: Limits,
  address: Address.nullable(),
  terminal: z.boolean(),
  shown: Shown.nullable().default(null),
  /** The one that it stays in. */
  allocation: AllocationId.nullable().default(null),
});
export type Terms = z.infer<typeof Terms>;

/** A folder of the home's that other nodes may have as well (homefs/shared.ts). */
export const SharedMount = z.object({
  at: z.string().startsWith('/'),
  /** By its configuration. */
  listed: z.boolean(),
  /** What it is of, where its file system names a server. */
  source: z.string().nullable(),
});
export type SharedMount = z.infer<typeof SharedMount>;

/** As many as a namespace may have by the kernel's default (/proc/sys/fs/mount-max). */
const MOST_MOUNTS = 100_000;
export const Mounts = list(z.string().startsWith('/'), { most: MOST_MOUNTS });
export const SharedMounts = list(SharedMount, { most: MOST_MOUNTS });
/** All of one address, for TCP and UDP; a job that listens at more has them on several. */
const MOST_PORTS = 2 * 65_536;
const BoundPorts = () => list(BoundPort, { most: MOST_PORTS });
/** Files of one job that are reported to its home. */
export const MOST_FILES_TOLD = 10_000;

/** What a host has to launch; paths are the home's. */
export const LaunchOrder = z.object({
  ...Terms.shape,
  job: JobId,
  home: NodeName,
  epoch: Epoch,
  program: z.string().min(1),
  args: Words,
  cwd: z.string().startsWith('/'),
  env: Variables,
  stopped: z.boolean(),
  /** It may make an io_uring; the filter that every job has keeps any other from that (helper/filter.c). */
  allowIoUring: z.boolean(),
  tty: WindowSize.optional(),
  /** That of the home if absent. */
  hostname: HostName.optional(),
  umask: z.int().min(0).max(0o777).optional(),
  resources: Resources.optional(),
  console: z.string().startsWith('/'),
  status: z.string().startsWith('/'),
  /** The job's PID 1: the home's helper. */
  init: z.string().startsWith('/'),
  /** The home's mounts in the job's root besides `/`, parents before children. */
  mounts: Mounts,
  /** Which of them the host may have itself. */
  shared: SharedMounts.default([]),
});
export type LaunchOrder = z.infer<typeof LaunchOrder>;

/** A port of the host's own network that a job has; `address` in full, IPv4 in dots. */
export const BoundPort = z.object({
  /** Of `icmp` the port is what tells one `ping`'s answers from another's. */
  protocol: z.enum(['tcp', 'udp', 'icmp']),
  address: z.string(),
  port: z.int().min(1).max(65_535),
});
export type BoundPort = z.infer<typeof BoundPort>;

/** A job as its host sees it now. */
export const JobStatus = z.object({
  job: JobId,
  epoch: Epoch,
  state: z.enum(['running', 'stopped', 'moving']),
  cpu: z.number(),
  rss: Bytes,
  debugged: z.boolean(),
});
export type JobStatus = z.infer<typeof JobStatus>;

/** What a job takes of its host now: for its home, which decides whether it would be better off elsewhere. */
export const JobUse = z.object({
  job: JobId,
  epoch: Epoch,
  /** Threads that want to run. */
  demand: z.number().min(0),
  /** CPU time that it has had on this host. */
  usedMs: z.number().min(0),
  memory: Bytes,
  /** Of its time on this host, what it has waited for its home's files; absent where that is not known. */
  delayedMs: z.number().min(0).optional(),
  /** A debugger has stopped it. */
  stands: z.boolean(),
  /** Stopped by a signal, or not begun yet. */
  stopped: z.boolean(),
});
export type JobUse = z.infer<typeof JobUse>;

export const REFUSED_ROOM = ['draining', 'too-small', 'cpus', 'memory'] as const;
export const REFUSED_BALANCE = ['busy', 'draining', 'no-room', 'costs-more'] as const;
/** Nothing is a number that has no end. */
const Figure = z.number().min(0);

/** A node as a job that runs there has got used to it. */
export const Machine = z.object({
  /** As Node.js names them: x64, arm64. */
  arch: z.string(),
  /** Some two hundred. */
  cpuFlags: list(z.string(), { most: 4_096 }),
  /** `uname -r`; an agent that does not tell keeps a job from nowhere. */
  kernel: z.string().default('0.0'),
  /** The version of the CRIU that serves there; null where none does. */
  criu: z.string().nullable(),
});
export type Machine = z.infer<typeof Machine>;

/** A node's count of its changes; only equality means anything. */
const Seen = z.string().max(100);

export const HomeView = z.object({
  jobs: list(Job, { most: MOST_JOBS }),
  moves: list(MoveUnderWay, { most: MOST_JOBS }),
});
export type HomeView = z.infer<typeof HomeView>;

/** How a job ended on its host. `lost`: why, where neither the program nor anybody's wish ended it. */
export const EndOfJob = z.object({ job: JobId, epoch: Epoch, exit: Exit, lost: z.string().nullable() });
export type EndOfJob = z.infer<typeof EndOfJob>;

/** Where a list is read on: behind this one of the home's journal. */
const ListPosition = z.int().min(0);
/** `bytes`: how much of it fits; there is one item at least. */
const page = { after: ListPosition, bytes: z.int().min(0).max(PAGE_BYTES) };
/** A person who means more than these has to be more exact. */
export const MOST_MEANT = 50;

const about = z.object({ job: JobId, home: NodeName });

/** On whose behalf an agent passes a client's request on; null for root's. */
const asker = { as: User.nullable().transform((user) => (user?.uid === 0 ? null : user)) };
const onBehalf = <P extends z.ZodRawShape, R>({ params, result }: { params: z.ZodObject<P>; result: R }) => ({
  params: params.extend(asker),
  result,
});
const passedOn = {
  'jobs.kill': onBehalf(clientContract['jobs.kill']),
  'jobs.migrate': onBehalf(clientContract['jobs.migrate']),
  'jobs.pin': onBehalf(clientContract['jobs.pin']),
  'jobs.balance': onBehalf(clientContract['jobs.balance']),
  'jobs.type': onBehalf(clientContract['jobs.type']),
  'jobs.console': onBehalf(clientContract['jobs.console']),
  'jobs.wait': onBehalf(clientContract['jobs.wait']),
  'jobs.why': onBehalf(clientContract['jobs.why']),
  'jobs.stacks': onBehalf(clientContract['jobs.stacks']),
  'jobs.placed': onBehalf(clientContract['jobs.placed']),
  'jobs.show': onBehalf(clientContract['jobs.show']),
  'jobs.history': onBehalf({
    params: z.object({ job: JobId, after: Cursor.optional() }),
    result: clientContract['jobs.history'].result,
  }),
};

/** Of jobs: those in an allocation, those of a user. */
const Narrowed = z.object({ allocation: AllocationId.nullable(), uid: Id.nullable() });
export type Narrowed = z.infer<typeof Narrowed>;

/** Of a session with a debugger's stub. */
const session = { job: JobId, session: z.uuid() };

export const peerContract = {
  ...passedOn,
  'node.status': { params: z.object({}), result: Node },
  /** What goes in datagrams between members, where those don't pass; `whole`: all that is known is asked for. */
  'node.gossip': {
    params: z.object({ telling: Telling, whole: z.boolean() }),
    result: z.object({ telling: Telling }),
  },
  /**
   * Answers when something of this node's jobs has changed since it said `seen` (at first: empty), or after some
   * seconds all the same.
   */
  'node.changed': { params: z.object({ seen: Seen }), result: z.object({ seen: Seen }) },
  /** What a snapshot of the cluster says of the jobs that call this node home. */
  'home.view': { params: z.object({}), result: HomeView },
  /** A page of the jobs that call this node home. */
  'home.jobs': {
    params: z.object({ ended: z.boolean(), ...page }),
    result: z.object({ jobs: list(Job, { most: MOST_IN_PAGE }), next: ListPosition.nullable() }),
  },
  /** Those of them that a person may mean by this. */
  'home.find': {
    params: z.object({ job: JobReference }),
    result: z.object({ jobs: list(Job, { most: MOST_MEANT }) }),
  },
  /** Arrays of jobs that call this node home, of which a person may mean one. */
  'home.arrays': {
    params: z.object({ job: JobReference }),
    result: z.object({ arrays: list(HomedArray, { most: MOST_ARRAYS_MEANT }) }),
  },
  /** A page of the history of the jobs that call this node home. */
  'home.history': {
    params: z.object({ ...page, ...asker, narrowed: Narrowed.optional() }),
    result: z.object({ events: list(HistoryEvent, { most: MOST_IN_PAGE }), next: ListPosition.nullable() }),
  },
  /**
   * As `debug.open`: the home asks the host, whose `ticket` is for a stream that the caller opens there, at `node`.
   * The home alone knows who may debug the job, and the host takes it from the home alone.
   */
  'home.debug': {
    params: z.object({ ...session, ...asker, pid: z.int().min(1).optional(), fresh: z.boolean() }),
    result: z.object({ node: NodeName, pid: z.int(), ticket: z.string() }),
  },
  /** The session's client has gone for good. */
  'home.debugGone': {
    params: z.object({ ...session, ...asker, pid: z.int().min(1) }),
    result: z.object({}),
  },
  /** A program of the job has asked there, through its own door: what it launches calls the same node home. */
  'home.launch': { params: z.object({ job: JobId, request: LaunchRequest }), result: Job },
  'home.ended': { params: EndOfJob, result: z.object({}) },
  /**
   * The caller has a copy of the job that a person let run again there, and is its home from now on. `said`: what
   * became of the job here, for the job's history.
   */
  'home.adopted': {
    params: z.object({ job: JobId, epoch: Epoch, ...asker }),
    result: z.object({ said: z.string() }),
  },
  'home.outcome': {
    params: z.object({ job: JobId, epoch: Epoch }),
    result: EpochOutcome,
  },
  /** A ticket for a stream joined to the server of this node's files for the caller's mount of them, `wire`. */
  'home.files': {
    params: z.object({ job: JobId, epoch: Epoch, wire: WireId }),
    result: z.object({ ticket: z.string() }),
  },

  'host.launch': { params: LaunchOrder, result: z.object({ pid: z.int() }) },
  'host.jobStatus': {
    params: z.object({ jobs: list(JobId, { most: MOST_JOBS }) }),
    result: z.object({ statuses: list(JobStatus, { most: MOST_JOBS }) }),
  },
  /** Answered for the caller's own jobs. */
  'host.uses': {
    params: z.object({ jobs: list(JobId, { most: MOST_JOBS }) }),
    result: z.object({ uses: list(JobUse, { most: MOST_JOBS }) }),
  },
  /** May a job of the caller's come, by this node's own figures? Room for it is kept for a while. */
  'balance.ask': {
    params: z.object({
      job: JobId,
      demand: Figure,
      memory: Figure,
      worth: z.object({ stretch: Figure, cost: Figure }),
    }),
    result: z.object({ refused: z.enum(REFUSED_BALANCE).nullable() }),
  },
  /**
   * Is there room for a job of the caller's to begin, by this node's own figures? It is kept for a while. `cpus`, `memory`:
   * what it reserves; null for what any job is taken to need.
   */
  'balance.room': {
    params: z.object({ job: JobId, cpus: Figure.nullable(), memory: Figure.nullable() }),
    result: z.object({ refused: z.enum(REFUSED_ROOM).nullable() }),
  },
  /** May it leave? One at a time does. */
  'balance.leave': { params: z.object({ job: JobId }), result: z.object({ may: z.boolean() }) },
  /** It has moved, or does not after all: of both ends. */
  'balance.over': { params: z.object({ job: JobId }), result: z.object({}) },
  /** What is decided of this node from now on; of an empty change, what was decided. */
  'node.rules': { params: RuleChange.extend(asker), result: NodeRules },
  'host.kill': { params: z.object({ job: JobId, signal: z.string() }), result: z.object({}) },
  'host.stacks': { params: z.object({ job: JobId }), result: JobStacks },
  /** Into a job that is here, and does not go away meanwhile. */
  'host.type': { params: Typed.extend({ job: JobId }), result: z.object({}) },
  /** The ticket is for `by` alone: the node that the session's client is on. */
  'host.debug': {
    params: z.object({ ...session, pid: z.int().min(1), fresh: z.boolean(), by: NodeName }),
    result: z.object({ ticket: z.string() }),
  },
  'host.debugGone': {
    params: z.object({ ...session, pid: z.int().min(1) }),
    result: z.object({}),
  },
  'host.preflight': {
    params: z.object({ job: JobId }),
    result: z.object({
      obstacles: list(Obstacle, { most: MOST_OBSTACLES }),
      bytes: Bytes,
      machine: Machine,
      ports: BoundPorts(),
      /** Has it a socket of ICMP that needs no rights (`ping` makes such)? */
      pings: z.boolean().default(false),
      /** The files and folders that it has open; `lock`: who holds one on it that other nodes may meet. */
      files: list(z.object({ path: z.string(), lock: z.string().nullable() }), {
        most: MOST_FILES_TOLD,
      }).default([]),
      mounts: Mounts.default([]),
      shared: SharedMounts.default([]),
      understood: Understood.default(UNDERSTOOD_FIRST),
    }),
  },
  'node.preflight': {
    params: z.object({
      job: JobId,
      /** As whom it runs. */
      user: Whom,
      allocation: AllocationId.nullable().default(null),
      bytes: Bytes,
      limits: Limits,
      machine: Machine,
      ports: BoundPorts(),
      pings: z.boolean().default(false),
      /** Has it an address of its own? */
      address: z.boolean(),
      shared: SharedMounts.default([]),
    }),
    /** `direct`: the places of those that it has itself. */
    result: z.object({
      obstacles: list(Obstacle, { most: MOST_OBSTACLES }),
      direct: Mounts.default([]),
      understood: Understood.default(UNDERSTOOD_FIRST),
    }),
  },

  /** Entries of the roster that the authority signed after `since`, and up to which all are known there. */
  'cluster.entries': {
    params: z.object({ since: z.int().min(0) }),
    result: z.object({ entries: RosterEntries, complete: z.int().min(0) }),
  },
  /** Others are members now. */
  'cluster.tell': { params: z.object({ entries: RosterEntries }), result: z.object({}) },
  /** To the authority: the caller is to be found here now. */
  'cluster.moved': {
    params: z.object(RosterEntry.pick({ address: true, port: true }).shape),
    result: z.object({}),
  },
  /** Of the authority: a new certificate for the caller's key, and that the caller leaves. */
  'cluster.renew': { params: z.object({ request: Pem }), result: z.object({ certificate: Pem }) },
  'cluster.left': {
    params: z.object({}),
    result: z.object({ unheard: list(NodeName, { most: MOST_NODES }) }),
  },

  /** A message of the move from the home to the source, and the source's answer when it has done what was asked. */
  'move.toSource': { params: about.extend({ message: ToSource }), result: FromSource },
  'move.toDestination': {
    params: about.extend({ terms: Terms, message: ToDestination }),
    result: FromDestination,
  },
} as const satisfies Contract;
export type PeerContract = typeof peerContract;
