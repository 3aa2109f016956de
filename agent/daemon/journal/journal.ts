/** What an agent knows for certain. One interface, so that a replicated store can take the file's place. */
import type { Exit, HistoryEvent, JobId, JobSpec, KeptSpec, MoveReport, NodeName } from '../../api/model';
import type { Entry, Epoch, Ledger } from './ledger';
import type { Note } from './notes';

export type { Debt, Entry, Epoch, Ledger, Move, OpenMove } from './ledger';
export type { Note } from './notes';

/** A job whose home is this node. */
export interface HomedJob {
  id: JobId;
  name: string;
  spec: KeptSpec;
  /** As far as the journal knows; `stopped` and `moving` are for the host and the ledger to say. */
  state:
    | 'starting'
    | 'running'
    | 'ended'
    | 'lost'
    /** Its host is its home now: it is none of this node's any more. */
    | 'adopted';
  /** The program's process id inside the job; null before it runs. */
  pid: number | null;
  exit: Exit | null;
  /** ISO 8601, UTC. */
  started: string;
  ended: string | null;
  pinned: boolean;
  /** It may move by itself, where its home's jobs do. */
  balanced: boolean;
  /** Launched with `--stopped`, and not let go yet. */
  launchedStopped: boolean;
  /** Moves that ended on their destination. */
  moves: number;
  ledger: Ledger;
  /** When the move that is not over was intended; null when there is none. */
  moveStarted: string | null;
  /** Since when it waits in the queue; null once it is being launched. */
  queuedSince: string | null;
  /** Its position in the order of the journal's jobs: a list that has come to it is read on from here. */
  position: number;
}

/** What a person decides of a job's moves. */
export type JobRule = Partial<Pick<HomedJob, 'pinned' | 'balanced'>>;

export interface NewJob {
  id: JobId;
  name: string;
  spec: JobSpec;
  host: NodeName;
  launchedStopped: boolean;
  /** How many jobs its user may have that are not over; as many as they like if absent. */
  most?: number;
  /** Of the launch. */
  token?: string | undefined;
}

/** A job that is to begin when a node has room. */
export interface QueuedJob {
  job: HomedJob;
  since: string;
  /** `best`, `home`, or a node's name, as it was asked for. */
  wanted: string;
  /** It is being launched on the host that the ledger names, or an agent that has ended was about to. */
  beginning: boolean;
}

/** What a user may have in the queue. */
export interface QueueBounds {
  jobs: number;
  /** Of all that they are to be launched with. */
  bytes: number;
}

/** An array and its jobs, in their order. */
export interface HomedArray {
  id: JobId;
  name: string;
  jobs: HomedJob[];
}

/** A job of another home's whose copy here a person lets run again: what is known of it. */
export interface AdoptedJob {
  id: JobId;
  name: string;
  spec: KeptSpec;
  started: string;
  moves: number;
  launchedStopped: boolean;
  ledger: Ledger;
  /** What the copy here is from now on. */
  note: NodeNote;
  reason: string;
}

/** Which part of a list, oldest first: behind the place `after`, at most `limit`. All of it if absent. */
export interface Part {
  after?: number | undefined;
  limit?: number | undefined;
}

/** An event of the history, and its position there. */
export interface PositionedEvent {
  position: number;
  event: HistoryEvent;
}

/** What a node holds of a job, with what its executors need to carry on: the copy. */
export interface NodeNote {
  job: JobId;
  note: Note;
  /** JSON. */
  detail: Record<string, unknown>;
}

/** What became of an epoch; `as` is the epoch as which a returned job lives on. */
export type EpochOutcome =
  | { outcome: 'moving' | 'committed' | 'aborted' | 'unknown' }
  | { outcome: 'returned'; as: Epoch };

/**
 * Each method is one transaction: when it resolves, what it says is on the disk; when it rejects, nothing changed.
 * Rejects with GodwitError: `no-such-job`, `job-exists`, `too-many-jobs`, `too-many-queued`, `job-ended`, `journal-full`, `journal-failed`, and the
 * epoch rules' codes (see `enter`).
 */
export interface Journal {
  /** A job is about to be launched; it is `starting`. Its first epoch is 0. */
  launch(job: NewJob): Promise<HomedJob>;
  /** What the launch of this token has made, for its user; null where there was none, or it made nothing. */
  launchedBy(uid: number, token: string): Promise<HomedJob | null>;
  /** This node is the job's home from now on: the ledger, the note and the event of its history at once. */
  adopt(job: AdoptedJob): Promise<HomedJob>;
  /** An array is about to be launched: all of its jobs are `starting`, or none is there. @param most as of one */
  launchArray(array: JobId, jobs: NewJob[]): Promise<HomedJob[]>;
  /** It is launched, or has been taken back. */
  arraySettled(array: JobId): Promise<void>;
  /** Those that are about to be launched. */
  unsettledArrays(): Promise<JobId[]>;
  /**
   * Jobs that are to begin when there is room, all or none: `starting`, and in the queue. @param request what they are
   * launched with, without what is each one's own
   */
  enqueue(jobs: NewJob[], request: JobSpec, bounds: QueueBounds): Promise<HomedJob[]>;
  /** In the order in which they came. */
  queue(): Promise<QueuedJob[]>;
  /** What a job of the queue is launched with. Rejects with `no-such-job` where it is not in it. */
  request(job: JobId): Promise<JobSpec>;
  /** A job of the queue is about to be launched on this host. @param most how many its user may have that have begun */
  beginning(job: JobId, host: NodeName, most?: number): Promise<HomedJob>;
  /** It was not launched: it waits on, with `home` as its host. */
  unbegun(job: JobId, home: NodeName): Promise<void>;
  /** A job of the queue ends before it has begun. */
  endedQueued(job: JobId, exit: Exit): Promise<void>;
  /** Its host runs it. */
  running(job: JobId, pid: number): Promise<void>;
  /** It could not be launched: as if it had never been. Only while it is `starting`. */
  unlaunched(job: JobId): Promise<void>;
  /** Enters a decision about a move, and its event in the history. Resolves with the ledger that it makes. */
  enter(job: JobId, entry: Entry): Promise<Ledger>;
  /** The figures of a move that is over, for the history. @param reason why it was made, where no person asked for it */
  report(report: MoveReport, reason?: string): Promise<void>;
  /** The program ended on the host, which hosted it as `epoch`; an older host is refused. Harmless when repeated. */
  ended(job: JobId, epoch: Epoch, exit: Exit): Promise<void>;
  /** The job is gone, outside of any move, and not by its own doing; an older host than that of `epoch` is refused. */
  lost(job: JobId, epoch: Epoch, reason: string): Promise<void>;
  /** What a person decides of its moves; what is left out stays. */
  rule(job: JobId, rule: JobRule): Promise<void>;

  /** Rejects with `no-such-job`. */
  job(job: JobId): Promise<HomedJob>;
  /** The program and its arguments, whole. Rejects with `no-such-job`. */
  command(job: JobId): Promise<string[]>;
  /** `adopted`: with those that have another home now. */
  jobs(options: { ended: boolean; adopted?: boolean } & Part): Promise<HomedJob[]>;
  /** Those whose id it is, or begins so, or whose name it is: those that are not over first, then the latest. */
  find(reference: string, limit: number): Promise<HomedJob[]>;
  /** Arrays whose id it is, or begins so, or whose name it is, the latest first. */
  findArrays(reference: string, limit: number): Promise<HomedArray[]>;
  /** The latest that ended, latest first. */
  latestEnded(limit: number): Promise<HomedJob[]>;
  /** Those of a user that are over and of which no node has anything left to clear away; the latest end first. */
  forgettable(uid: number): Promise<JobId[]>;
  /** Users who have jobs here. */
  users(): Promise<number[]>;
  /** As if it had never been: one that is forgettable. */
  forget(job: JobId): Promise<void>;
  outcome(job: JobId, epoch: Epoch): Promise<EpochOutcome>;
  /** Of one job or of all, in the order in which it happened. */
  history(options: { job?: JobId | undefined } & Part): Promise<PositionedEvent[]>;

  /** A node has one note a job: this one takes the place of the one before. */
  putNote(note: NodeNote): Promise<void>;
  clearNote(job: JobId): Promise<void>;
  notes(): Promise<NodeNote[]>;

  close(): void;
}
