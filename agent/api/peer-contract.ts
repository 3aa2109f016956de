/** What agents ask of each other. */
import { z } from 'zod';
import { clientContract } from './client-contract';
import type { Contract } from './contract';
import { Bytes, Epoch, Exit, Job, JobId, Node, NodeName, Obstacle, Span } from './model';

/** What a host is told to launch; paths are the home's. */
export const LaunchOrder = z.object({
  job: JobId,
  home: NodeName,
  epoch: Epoch,
  program: z.string().min(1),
  args: z.array(z.string()),
  cwd: z.string(),
  env: z.record(z.string(), z.string()),
  stopped: z.boolean(),
  console: z.string(),
  status: z.string(),
});
export type LaunchOrder = z.infer<typeof LaunchOrder>;

/** A job as its host sees it now. */
export const Sight = z.object({
  job: JobId,
  epoch: Epoch,
  state: z.enum(['running', 'stopped', 'moving']),
  cpu: z.number(),
  rss: Bytes,
  debugged: z.boolean(),
});
export type Sight = z.infer<typeof Sight>;

const move = z.object({ job: JobId, epoch: Epoch });

/** Spans measured on the source; `frozenAfter` is counted from the order's arrival. */
export const SourceFigures = z.object({
  park: Span,
  frozenAfter: Span,
  dump: Span,
  transfer: Span,
  bytes: Bytes,
});
export type SourceFigures = z.infer<typeof SourceFigures>;
export const DestinationFigures = z.object({ restore: Span });
export type DestinationFigures = z.infer<typeof DestinationFigures>;

export const peerContract = {
  ...clientContract,
  'node.status': { params: z.object({}), result: Node },
  /** The jobs that call this node home. */
  'home.jobs': { params: z.object({ ended: z.boolean() }), result: z.object({ jobs: z.array(Job) }) },
  'home.ended': { params: move.extend({ exit: Exit }), result: z.object({}) },
  'home.outcome': {
    params: move,
    result: z.object({ outcome: z.enum(['moving', 'committed', 'aborted', 'unknown']) }),
  },

  'host.launch': { params: LaunchOrder, result: z.object({ pid: z.int() }) },
  'host.sight': { params: z.object({ jobs: z.array(JobId) }), result: z.object({ sights: z.array(Sight) }) },
  'host.kill': { params: z.object({ job: JobId, signal: z.string() }), result: z.object({}) },
  'host.debug': {
    params: z.object({ job: JobId, pid: z.int().min(1), session: z.uuid(), fresh: z.boolean() }),
    result: z.object({ ticket: z.string() }),
  },
  'host.debugGone': {
    params: z.object({ job: JobId, pid: z.int().min(1), session: z.uuid() }),
    result: z.object({}),
  },
  'host.preflight': {
    params: z.object({ job: JobId }),
    result: z.object({ obstacles: z.array(Obstacle), bytes: Bytes, cpuFlags: z.array(z.string()) }),
  },
  'node.preflight': {
    params: z.object({ job: JobId, bytes: Bytes, cpuFlags: z.array(z.string()) }),
    result: z.object({ obstacles: z.array(Obstacle) }),
  },

  /** Destination: makes all that can be made beforehand, says where pages and images may be sent. */
  'move.prepare': {
    params: move.extend({ home: NodeName, from: NodeName }),
    result: z.object({ pages: z.string(), images: z.string() }),
  },
  /** Source: parks, freezes, dumps and carries the job to the destination. */
  'move.send': {
    params: move.extend({ to: NodeName, pages: z.string(), images: z.string() }),
    result: SourceFigures,
  },
  /** Destination: restores the job, frozen. */
  'move.restore': { params: move, result: DestinationFigures },
  /** Destination: the job is yours; thaw it. */
  'move.commit': { params: move, result: z.object({ thawMs: Span }) },
  /** Source: the job is yours still; thaw it. Destination: what you have of it was never the job; kill it. */
  'move.abort': { params: move, result: z.object({}) },
  /** Source: the job lives elsewhere now; kill the frozen copy. */
  'move.discard': { params: move, result: z.object({}) },
} as const satisfies Contract;
export type PeerContract = typeof peerContract;
