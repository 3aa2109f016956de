/** What clients ask of an agent: the `godwit` command and the editor. The same verbs are forwarded to a job's home. */
import { z } from 'zod';
import { FoundArray } from './array';
import { list } from './bounded';
import type { Contract } from './contract';
import { Cursor, MOST_IN_PAGE, MOST_JOBS, MOST_NODES } from './lists';
import {
  AllocationId,
  Bytes,
  Exit,
  HistoryEvent,
  Job,
  JobId,
  LaunchRequest,
  MOST_PARTS,
  Moment,
  MoveReport,
  Node,
  NodeName,
  NodeState,
  Preflight,
  Transfer,
  WindowSize,
} from './model';
import { NodeRules, RuleChange } from './node-rules';
import { PinnedKey } from './pinned-key';
import { JobStacks } from './stacks';

/** A job as people name it: an id, a unique prefix of one, or a name. */
export const JobReference = z.string().min(1).max(200);
export const SignalName = z
  .string()
  .max(20)
  .regex(/^SIG[A-Z0-9+-]+$/, 'a signal is named like SIGTERM');

const job = z.object({ job: JobReference });
/** A name, `home` or `best`. */
const where = z.string().min(1).max(63);

/** What a person has been told the risk of. */
const confirmed = job.extend({ confirmed: z.boolean() });
/** The node where the copy is, or was. */
const left = z.object({ id: JobId, node: NodeName });

/** Fits one frame of the job's PID 1, see helper/terminal.c. */
export const MOST_TYPED_BYTES = 4_000;

/** A piece of what a person does at a terminal. */
export const Typed = z.object({
  /** A number that the typing client chooses; its bytes are counted by it. */
  client: z.string().regex(/^[0-9a-f]{12}$/),
  /** How many bytes they had typed before these. */
  at: z.int().min(0),
  bytes: z.base64().max((MOST_TYPED_BYTES / 3) * 4),
  /** From now on the size of the terminal. */
  ...WindowSize.partial().shape,
  /** Have the screen drawn anew, though it may have the same size. */
  redraw: z.boolean(),
});

/** A token that is good for longer is a password. */
const MOST_TTL_MS = 30 * 24 * 3600 * 1000;

const Unheard = z.object({ unheard: list(NodeName, { most: MOST_NODES }) });

export const ClusterStatus = z.object({
  name: NodeName,
  /** The pinned key of the authority's certificate. */
  authority: PinnedKey,
  /** The node that has the authority's key; null where none is known to. */
  authorityNode: NodeName.nullable(),
  /** Until when this node's certificate is good; it is renewed long before. */
  certificateExpires: Moment,
  nodes: list(z.object({ name: NodeName, address: z.string(), port: z.int(), state: NodeState }), {
    most: MOST_NODES,
  }),
  /** This node's keeper, where it is one that an agent of another version has started; and why it is there still. */
  keeper: z.object({ version: z.string(), holds: z.string() }).optional(),
  /** Those that are good, where the authority is on this node and root asks. */
  tokens: list(z.object({ id: z.string(), expires: Moment }), { most: MOST_NODES }),
});
export type ClusterStatus = z.infer<typeof ClusterStatus>;

export const BalanceStatus = z.object({
  /** On all nodes that answer. */
  on: z.boolean(),
  nodes: list(
    z.object({
      name: NodeName,
      /** Null of one that does not answer. */
      on: z.boolean().nullable(),
      draining: z.boolean().nullable(),
      /** What all there have more of it when one more thread comes; null where nothing lately is known of it. */
      cost: z.number().nullable(),
      why: z.string(),
    }),
    { most: MOST_NODES },
  ),
});
export type BalanceStatus = z.infer<typeof BalanceStatus>;

/** A job as it has been launched; one that is queued is `home`'s, and its program has a number inside it all the same. */
const Launched = Job.pick({ id: true, name: true, home: true, node: true, pid: true });

export const clientContract = {
  /** From now on this connection gets the event `cluster` (see clientEvents): at once, after each change, each second. */
  'cluster.watch': { params: z.object({}), result: z.object({}) },
  /** Root's, on the node that has the authority's key: a line that lets one machine join. */
  'cluster.token': {
    params: z.object({ ttlMs: z.int().min(1).max(MOST_TTL_MS) }),
    result: z.object({ token: z.string(), expires: Moment }),
  },
  /** Root's, there too. `force`: though it has jobs. `unheard`: the members that go on taking it for one. */
  'cluster.remove': { params: z.object({ node: NodeName, force: z.boolean() }), result: Unheard },
  /** Root's: the cluster is to do without this node. The agent goes on until it is ended. */
  'cluster.leave': { params: z.object({ force: z.boolean() }), result: Unheard },
  /**
   * From now on this connection sees and uses the allocation alone. Not `entered`: the node knows of no allocations, and
   * nothing is narrowed.
   */
  'allocation.enter': {
    params: z.object({ id: AllocationId }),
    result: z.object({ entered: z.boolean() }),
  },
  /** Root's: it is over on this node. Answers when no process runs here in it any more. */
  'allocation.end': {
    params: z.object({ id: AllocationId }),
    result: z.object({ ended: list(JobId, { most: MOST_JOBS }) }),
  },
  'cluster.status': { params: z.object({}), result: ClusterStatus },
  'nodes.list': { params: z.object({}), result: z.object({ nodes: list(Node, { most: MOST_NODES }) }) },
  /**
   * Root's: what is decided of these nodes, of all if null, from now on. `unheard`: those that could not be told, with
   * why.
   */
  'nodes.rule': {
    params: z.object({ nodes: list(NodeName, { least: 1, most: MOST_NODES }).nullable(), rule: RuleChange }),
    result: z.object({
      rules: list(NodeRules.extend({ name: NodeName }), { most: MOST_NODES }),
      unheard: list(z.object({ name: NodeName, why: z.string() }), { most: MOST_NODES }),
    }),
  },
  /** What each node costs the next job, and whether the jobs that call it home move by themselves. */
  'balance.status': { params: z.object({}), result: BalanceStatus },
  /** A page of the jobs, in no order; `next` is `after` of the page behind it, null of the last. */
  'jobs.list': {
    params: z.object({ ended: z.boolean(), after: Cursor.optional() }),
    result: z.object({ jobs: list(Job, { most: MOST_IN_PAGE }), next: Cursor.nullable().default(null) }),
  },
  /** One job, with its whole command. */
  'jobs.show': { params: job, result: Job },
  'jobs.run': { params: LaunchRequest, result: Job },
  /** An array of such jobs, each with GODWIT_INDEX and GODWIT_COUNT in its environment: all of them, or none. */
  'jobs.runArray': {
    params: LaunchRequest.omit({ token: true, group: true }).extend({
      count: z.int().min(1).max(MOST_PARTS),
    }),
    result: z.object({ id: JobId, name: z.string(), jobs: list(Launched, { most: MOST_PARTS }) }),
  },
  /** The array that is meant by an id, a unique prefix of one, or a name; null where that is one job. */
  'jobs.array': { params: job, result: z.object({ array: FoundArray.nullable() }) },
  'jobs.kill': { params: job.extend({ signal: SignalName }), result: z.object({ id: z.string() }) },
  /** A pinned job can't be moved, by root neither; a move under way is finished. */
  'jobs.pin': { params: job.extend({ pinned: z.boolean() }), result: z.object({ id: z.string() }) },
  /** May it move by itself, where its home's jobs do? */
  'jobs.balance': { params: job.extend({ balanced: z.boolean() }), result: z.object({ id: z.string() }) },
  /** Answers when the job has ended. */
  'jobs.wait': { params: job, result: Exit.extend({ id: z.string() }) },
  'jobs.why': { params: job.extend({ node: where }), result: Preflight },
  /** Why it is where it is; `lasting`: it won't move by itself, whatever others do. */
  'jobs.placed': {
    params: job,
    result: z.object({
      id: JobId,
      node: NodeName,
      because: z.string(),
      text: z.string(),
      lasting: z.boolean(),
    }),
  },
  /** Where its threads stand; each of its processes stands still for a moment. */
  'jobs.stacks': { params: job, result: JobStacks.extend({ id: JobId }) },
  'jobs.migrate': { params: job.extend({ node: where, transfer: Transfer }), result: MoveReport },
  /**
   * Of a job whose home or host is gone for good: the frozen or running copy that is left goes on, here. Unless it is
   * `confirmed` it is refused with the risk. Asked of the node that has the copy, or of the job's home.
   */
  'jobs.adopt': { params: confirmed, result: left },
  /** The same copy, or what is known of the job, is cleared away. */
  'jobs.forget': { params: confirmed, result: left },
  /** A page of what has happened; of one job in its order, of all in none. */
  'jobs.history': {
    params: z.object({ job: JobReference.optional(), after: Cursor.optional() }),
    result: z.object({
      events: list(HistoryEvent, { most: MOST_IN_PAGE }),
      next: Cursor.nullable().default(null),
    }),
  },
  /**
   * A ticket for the console's bytes from `offset` on, or from `from` on, the oldest that are kept; with `follow` the
   * stream ends when the job does. `size` is where the console ends now.
   */
  'jobs.console': {
    params: job.extend({ offset: z.int().min(0), follow: z.boolean() }),
    result: z.object({
      ticket: z.string(),
      id: z.string(),
      from: Bytes.default(0),
      size: Bytes,
      tty: z.boolean().default(false),
    }),
  },
  /** Answers when the terminal has it, wherever the job is by then. Asked again it changes nothing. */
  'jobs.type': { params: job.extend(Typed.shape), result: z.object({}) },
  /**
   * A ticket for a stream to the stub of a process of the job. `fresh`: this session has never been connected,
   * so a stub is attached for it; otherwise the stub that the session left must still be there.
   */
  'debug.open': {
    params: job.extend({ pid: z.int().min(1).optional(), session: z.uuid(), fresh: z.boolean() }),
    result: z.object({
      ticket: z.string(),
      id: z.string(),
      node: z.string(),
      home: z.string(),
      pid: z.int(),
    }),
  },
  /** Held for as long as a session's client lives: when the connection ends, the stub learns that the client has gone. */
  'debug.stay': {
    params: z.object({ job: JobId, pid: z.int().min(1), session: z.uuid() }),
    result: z.object({}),
  },
} as const satisfies Contract;
export type ClientContract = typeof clientContract;
