/** What an agent says unasked to clients that watch the cluster (see `cluster.watch`). */
import { z } from 'zod';
import { list } from './bounded';
import type { Events } from './contract';
import { MOST_JOBS, MOST_NODES } from './lists';
import { Epoch, Job, JobId, Moment, Node, NodeName, Span } from './model';

/**
 * The phase of a move, as its home sees it. Up to `restoring` it can still be taken back; from `thawing` on the job
 * is the destination's. `returning`: the job goes back to where it came from. `lost`: it runs nowhere.
 */
export const MovePhase = z.enum([
  'preparing',
  'sending',
  'restoring',
  'committing',
  'thawing',
  'returning',
  'lost',
]);
export type MovePhase = z.infer<typeof MovePhase>;

/** A move that is not over. */
export const MoveUnderWay = z.object({
  job: JobId,
  from: NodeName,
  to: NodeName,
  epoch: Epoch,
  phase: MovePhase,
  /** When it was intended. */
  since: Moment,
});
export type MoveUnderWay = z.infer<typeof MoveUnderWay>;

/**
 * The cluster at one moment, whole: it replaces every snapshot before it. `jobs` has those that live and the
 * latest of those that are over, oldest first; their long command lines are cut. Of a home that does not answer it
 * has the last snapshot.
 */
export const ClusterSnapshot = z.object({
  time: Moment,
  nodes: list(Node, { most: MOST_NODES }),
  jobs: list(Job, { most: MOST_JOBS }),
  moves: list(MoveUnderWay, { most: MOST_JOBS }),
  /** Milliseconds since the oldest word of a home whose jobs live. Absent of an earlier version. */
  jobsAgeMs: Span.optional(),
});
export type ClusterSnapshot = z.infer<typeof ClusterSnapshot>;

export const clientEvents = { cluster: ClusterSnapshot } as const satisfies Events;
export type ClientEvents = typeof clientEvents;
