/**
 * What the panels' hosts and their webviews tell each other; both sides parse what they get. A webview may be thrown
 * away and made again at any time, so each message stands for itself: whole snapshots, never differences. The bytes of
 * a console are the exception: they are numbered, and begin again whenever the webview does.
 */
import { z } from 'zod';
import { list } from '../agent/api/bounded';
import { ClusterSnapshot } from '../agent/api/client-events';
import { MOST_JOBS, MOST_NODES } from '../agent/api/lists';
import { Bytes, Epoch, HistoryEvent, Job, JobId, Moment, Node, NodeName } from '../agent/api/model';

/** Milliseconds since 1970. */
const Time = z.number().min(0);

/** More than a chart has dots. */
const MOST_SAMPLES = 10_000;
/** A thousand of each job that is shown, and those of jobs whose home is away. */
const MOST_EVENTS = 1_000_000;

/** What a node did over the last while; the three lists are of one length, null where nothing was heard of it. */
export const LoadSeries = z.object({
  at: list(Time, { most: MOST_SAMPLES }),
  /** CPUs in use by jobs. */
  cpu: list(z.number().nullable(), { most: MOST_SAMPLES }),
  /** Bytes in use. */
  memory: list(z.number().nullable(), { most: MOST_SAMPLES }),
});
export type LoadSeries = z.infer<typeof LoadSeries>;

export const NodeLoad = Node.extend({ series: LoadSeries });
export type NodeLoad = z.infer<typeof NodeLoad>;

export const ToLoad = z.object({
  type: z.literal('load'),
  /** Does an agent answer? If not, `nodes` is what was heard last. */
  connected: z.boolean(),
  /** Why an agent that is there can't be asked. */
  problem: z.string().nullable(),
  now: Time,
  nodes: list(NodeLoad, { most: MOST_NODES }),
});
export type ToLoad = z.infer<typeof ToLoad>;

export const TimelineJob = Job.pick({
  id: true,
  name: true,
  command: true,
  state: true,
  home: true,
  node: true,
  exit: true,
  started: true,
});
export type TimelineJob = z.infer<typeof TimelineJob>;

export const ToTimeline = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('timeline'),
    connected: z.boolean(),
    now: Time,
    /** All nodes of the cluster, in its own order: a node keeps its colour. */
    nodes: list(NodeName, { most: MOST_NODES }),
    /** Newest first. */
    jobs: list(TimelineJob, { most: MOST_JOBS }),
    /** Of these jobs, each job's in order. */
    history: list(HistoryEvent, { most: MOST_EVENTS }),
    moves: ClusterSnapshot.shape.moves,
    /** How many older jobs are not shown. */
    leftOut: z.int().min(0),
    /** Why the history is not up to date, or an agent that is there can't be asked. */
    problem: z.string().nullable(),
  }),
  /** Brings a job's lane into view. */
  z.object({ type: z.literal('reveal'), job: JobId }),
]);
export type ToTimeline = z.infer<typeof ToTimeline>;
export type TimelineMessage = Extract<ToTimeline, { type: 'timeline' }>;

/** The state of reading a console. `whole`: the job is over and all that it wrote has been read. */
export const Reading = z.discriminatedUnion('at', [
  z.object({ at: z.literal('following') }),
  z.object({ at: z.literal('interrupted'), why: z.string() }),
  z.object({ at: z.literal('whole') }),
  z.object({ at: z.literal('failed'), why: z.string() }),
]);
export type Reading = z.infer<typeof Reading>;

export const ToConsole = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('console'),
    id: JobId,
    /** Null as long as nothing is known of the job but its id. */
    job: Job.pick({
      name: true,
      command: true,
      state: true,
      home: true,
      node: true,
      exit: true,
      epoch: true,
    }).nullable(),
    connected: z.boolean(),
    reading: Reading,
    /** Bytes at the console's beginning that are not shown. */
    leftOut: Bytes,
    move: z.object({ to: NodeName, epoch: Epoch, since: Moment }).nullable(),
  }),
  /** The terminal is emptied: another reading begins. */
  z.object({ type: z.literal('begin'), reader: z.int().min(0) }),
  /** The bytes from `offset` on. They are answered with `taken` when the terminal has them. */
  z.object({
    type: z.literal('bytes'),
    reader: z.int().min(0),
    offset: z.int().min(0),
    bytes: z.instanceof(Uint8Array),
  }),
]);
export type ToConsole = z.infer<typeof ToConsole>;
export type ConsoleHead = Extract<ToConsole, { type: 'console' }>;

/** Commands that a webview may ask for: those that help where there is nothing to show yet. */
export const OfferedCommand = z.enum(['godwit.startLocalCluster', 'godwit.launchJob', 'godwit.doctor']);
export type OfferedCommand = z.infer<typeof OfferedCommand>;

export const FromWebview = z.discriminatedUnion('type', [
  /** It has loaded and knows nothing yet. */
  z.object({ type: z.literal('ready') }),
  z.object({ type: z.literal('command'), command: OfferedCommand }),
  z.object({ type: z.literal('show-console'), job: JobId }),
  /** The console's bytes up to `offset` are in the terminal. */
  z.object({ type: z.literal('taken'), reader: z.int().min(0), offset: z.int().min(0) }),
]);
export type FromWebview = z.infer<typeof FromWebview>;

/** What each webview keeps over a hide and a reload, and the host finds again when the editor restores the panel. */
export const ConsoleState = z.object({
  job: JobId,
  /** The line at the top, counted from the first that is kept; null follows the end. */
  line: z.int().min(0).nullable(),
});
export type ConsoleState = z.infer<typeof ConsoleState>;
