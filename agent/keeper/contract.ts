/** What an agent can ask the keeper beside it, over the keeper's Unix socket. The keeper decides nothing. */
import { z } from 'zod';
import { dictionary, list } from '../api/bounded';
import type { Contract } from '../api/contract';
import { JobId, User } from '../api/model';
import { JobStacks } from '../api/stacks';
import { ParkedStub } from '../debug/state/parked';

/** Two for each move in flight and one for each job: far above what a node runs. */
export const MOST_PROCESSES = 4_096;
/** Debugged processes of one node. */
export const MOST_STUBS = 4_096;
/** A job's own arguments and variables (65,536 of each at most), and the helper's other arguments, mounts above all. */
const MOST_ARGUMENTS = 400_000;

/** The agent's name for a process that the keeper starts for it, e.g. `dump:<job>:<epoch>`. */
export const ProcessKey = z.string().min(1).max(200);

export const ProcessEnd = z.object({
  code: z.int().nullable(),
  signal: z.string().nullable(),
  /** The last of what it wrote to its standard error. */
  stderr: z.string(),
});
export type ProcessEnd = z.infer<typeof ProcessEnd>;

export const KeptProcess = z.object({ key: ProcessKey, pid: z.int(), end: ProcessEnd.nullable() });
export type KeptProcess = z.infer<typeof KeptProcess>;

/** Where a job is on this node: what a stub needs to reach its processes. */
export const JobLocation = z.object({
  job: JobId,
  /** The job's cgroup folder, with its leaves `run` and `attach`. */
  cgroup: z.string().startsWith('/'),
  /** The job's PID 1, as this node numbers it. */
  init: z.int().min(2),
  /** Whose it is: nothing that is started beside it for its debugger has more rights. */
  user: User,
  /** The keeper's process that supervises it, whose last line is how the job ended. */
  supervisor: ProcessKey,
  /** The file into which the supervisor writes the same, for a keeper that did not start it. */
  report: z.string().startsWith('/'),
});
export type JobLocation = z.infer<typeof JobLocation>;

export const StubKey = z.object({ job: JobId, pid: z.int().min(1) });
export type StubKey = z.infer<typeof StubKey>;
/** `running`: as far as the client knows; stops that gdbserver handles alone do not count. */
export const StubSeen = StubKey.extend({ session: z.string(), connected: z.boolean(), running: z.boolean() });
export type StubSeen = z.infer<typeof StubSeen>;

/** The one that did not give its number (api/versions.ts). */
const FIRST_KEEPER = 1;

const nothing = z.object({});
const key = z.object({ key: ProcessKey });

export const keeperContract = {
  /** Another id is another keeper, which knows no process of an earlier one. */
  'keeper.identity': {
    params: nothing,
    result: z.object({ id: z.string(), keeper: z.int().default(FIRST_KEEPER) }),
  },
  /**
   * Ends the keeper, if all that it holds is these processes, which can do without; else says what it holds. From the
   * moment when it answers that it ends it does nothing else.
   */
  'keeper.retire': {
    params: z.object({ but: list(ProcessKey, { most: MOST_PROCESSES }) }),
    result: z.object({ holds: z.string().nullable() }),
  },
  /** Starts a process, and keeps its exit and the lines of its standard output. */
  'process.start': {
    params: z.object({
      key: ProcessKey,
      argv: list(z.string(), { least: 1, most: MOST_ARGUMENTS }),
      env: dictionary(z.string(), z.string(), { most: MOST_ARGUMENTS }),
      cwd: z.string().optional(),
    }),
    result: z.object({ pid: z.int() }),
  },
  /** The line `index` of its standard output; null if it ended without one. Waits for it. */
  'process.line': {
    params: key.extend({ index: z.int().min(0) }),
    result: z.object({ line: z.string().nullable() }),
  },
  'process.wait': { params: key, result: ProcessEnd },
  'process.signal': { params: key.extend({ signal: z.string() }), result: nothing },
  'process.list': {
    params: nothing,
    result: z.object({ processes: list(KeptProcess, { most: MOST_PROCESSES }) }),
  },
  /** Forgets a process that has ended. */
  'process.forget': { params: key, result: nothing },

  /** Attaches a debugger's stub to a process of a job that runs here: freezes, attaches, thaws. */
  'stub.attach': {
    params: z.object({ location: JobLocation, pid: z.int().min(1), session: z.string().min(1) }),
    result: nothing,
  },
  /** A ticket for a stream joined to the stub. */
  'stub.connect': {
    params: StubKey.extend({ session: z.string() }),
    result: z.object({ ticket: z.string() }),
  },
  /** The client has gone for good: breakpoints out, the process runs on. */
  'stub.gone': { params: StubKey.extend({ session: z.string() }), result: nothing },
  'stub.list': {
    params: nothing,
    result: z.object({ stubs: list(StubSeen, { most: MOST_STUBS }) }),
  },

  /** Stops every debugged process of the job, freezes the job, detaches the stubs. Asked again, it answers the same. */
  'job.park': {
    params: z.object({ location: JobLocation }),
    result: z.object({
      parked: list(ParkedStub, { most: MOST_STUBS }),
      parkMs: z.number(),
      frozenMs: z.number(),
    }),
  },
  /**
   * Attaches the parked stubs to the frozen job, thaws it, resumes the stubs. Those that `job.park` left here come
   * before `parked`, which is for a keeper that has none. Without `thaw`, a job without stubs stays frozen. Asked again, it answers the same.
   */
  'job.unpark': {
    params: z.object({
      location: JobLocation,
      parked: list(ParkedStub, { most: MOST_STUBS }),
      thaw: z.boolean(),
    }),
    result: z.object({ thawMs: z.number() }),
  },
  /** Where the threads of a job that runs here stand. */
  'job.stacks': { params: z.object({ location: JobLocation }), result: JobStacks },
  /** The last gdbserver of the job that exited without being asked to; `alive`: its process still lived then. */
  'job.debuggerLost': {
    params: z.object({ job: JobId }),
    result: z.object({ lost: z.object({ reason: z.string(), alive: z.boolean() }).nullable() }),
  },
  /** The copy on this node is gone: drops what is kept of it. */
  'job.forget': { params: z.object({ job: JobId }), result: nothing },
} as const satisfies Contract;
export type KeeperContract = typeof keeperContract;
