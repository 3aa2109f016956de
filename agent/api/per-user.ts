/** How much of a node each user may take, so that one of them never has what root, others and other nodes need. */
import { z } from 'zod';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
/** What a launch of two megabytes needs to get through. */
const LEAST_BYTES = 4 * MIB;

const count = (least = 1) => z.int().min(least);

/** Under `perUser` in the configuration. Those of consoles, of ended and of queued jobs hold for root's as well. */
export const PerUser = z.object({
  /** Jobs with this home that are not over: each has a supervisor and a PID 1 on its host, and a keeper holds 4,096. */
  jobs: count().default(256),
  /** Jobs with this home that wait for room: each is a row in its journal, and looked at once a second. */
  queued: count().default(1_000),
  /** Bytes of what these are to be launched with, the environment foremost, in the journal; of an array it is there once. */
  queuedBytes: count(LEAST_BYTES).default(64 * MIB),
  /**
   * Processes and threads of the user's, on one node, beyond which their jobs launched here make no more
   * (RLIMIT_NPROC): a quarter of the ids of a small machine (32,768).
   */
  processes: count().default(8_192),
  /** Connections: two for each command that waits or follows, and one for each stream. */
  connections: count().default(1_024),
  /** Calls that are not answered yet; one that waits for a job's end is one. An agent takes 8,192 of another. */
  calls: count().default(512),
  /** Bytes of these calls; as many again may have come of calls that are not complete. */
  callBytes: count(LEAST_BYTES).default(16 * MIB),
  /** Bytes that wait for a user's programs to read them, over all connections: some of the largest answers. */
  unreadBytes: count(LEAST_BYTES).default(32 * MIB),
  /** Streams that were asked for and are not opened yet; each is forgotten after ten seconds. */
  tickets: count().default(128),
  /** Connections that get each change in the cluster: each costs the agent a snapshot a second. */
  watchers: count().default(32),
  /** Bytes of one job's console. Beyond it the oldest are cut: a program that prints is never made to wait. */
  consoleBytes: count(64 * 1024).default(GIB),
  /** Jobs that are over and still told of: weeks of a busy node. */
  endedJobs: count().default(1_000),
  /** Bytes that the consoles of these take on the disk. */
  endedBytes: count().default(4 * GIB),
});
export type PerUser = z.infer<typeof PerUser>;
