/** The preflight of a move, asked by the job's home of source and destination before anything is touched. */
import type { Result } from '../../api/contract';
import { asGodwitError, type GodwitError, notOnNode } from '../../api/errors';
import { MOST_OBSTACLES, type Obstacle, type Preflight } from '../../api/model';
import type { PeerContract } from '../../api/peer-contract';
import type { Understood } from '../../api/versions';
import type { Peers } from '../cluster/peers';
import type { HomedJob } from '../journal/journal';
import { filesThere } from './files';
import { asObstacle, concernOf, obstacle } from './obstacles';
import { versionObstacles } from './versions';

type Source = Result<PeerContract, 'host.preflight'>;

export interface Asking {
  /** This node, the job's home. */
  node: string;
  peers: Pick<Peers, 'call'>;
  /** Milliseconds that a move of so many bytes takes. */
  estimate: (bytes: number) => number;
  /** Why the job must not leave what it was given; null where this node does not know it. */
  outside: (job: HomedJob, to: string) => Promise<GodwitError | null>;
}

/** @param mayLook the caller may look into the job; others don't learn what it has open */
export async function why(
  { node: own, peers, estimate, outside }: Asking,
  job: HomedJob,
  to: string,
  mayLook: boolean,
): Promise<Preflight> {
  const source = await peers.call(job.ledger.host, 'host.preflight', { job: job.id });
  const there = await destination(peers, job, to, source);
  const versions = there.understood
    ? versionObstacles({ node: job.ledger.host, ...source.understood }, { node: to, ...there.understood })
    : [];
  const { obstacles: locks, ...files } = filesThere(source.files, {
    ...{ node: to, home: own, mounts: source.mounts },
    // What the home shares is its own there.
    direct: to === own ? source.shared.map(({ at }) => at) : there.direct,
  });
  const refusal = await outside(job, to);
  // The destination may have said it as well.
  const left =
    refusal && !there.obstacles.some(({ code }) => code === refusal.code) ? [asObstacle(refusal)] : [];
  const found = [...source.obstacles, ...decided(job, to), ...left, ...there.obstacles, ...locks];
  const all = [...found, ...versions].slice(0, MOST_OBSTACLES);
  const { bytes } = source;
  const seen = { can: all.length === 0, bytes, estimateMs: estimate(bytes), home: own };
  if (mayLook) return { ...seen, obstacles: all, ...files };
  const inTheJob = new Set([...source.obstacles, ...locks].filter(({ code }) => concernOf(code) === 'job'));
  const others = all.filter((one) => !inTheJob.has(one));
  return { ...seen, obstacles: [...veiled([...inTheJob], job), ...others], files: [], moreFiles: 0 };
}

/** What people have decided. */
const decided = ({ id, pinned, ledger, spec: { nodes } }: HomedJob, to: string): Obstacle[] => [
  ...(pinned ? [obstacle('pinned', { job: id, node: ledger.host })] : []),
  ...(nodes && !nodes.includes(to) ? [asObstacle(notOnNode(to, nodes))] : []),
];

/** What of a job's own content is in the way of a move, in words for callers who may not look into it. */
const veiled = (obstacles: readonly Obstacle[], { id, spec }: HomedJob): Obstacle[] =>
  [...new Set(obstacles.map(({ code }) => code))].map((code) => ({
    code,
    what: `something that ${spec.user.name}'s job ${id} uses can't go along`,
    fix: `\`godwit why\` names it to ${spec.user.name} and to root`,
  }));

type There = Omit<Result<PeerContract, 'node.preflight'>, 'understood'> & { understood?: Understood };

async function destination(
  peers: Asking['peers'],
  { id, spec }: HomedJob,
  to: string,
  { bytes, machine, ports, pings, shared }: Source,
): Promise<There> {
  const { user, limits, address, allocation } = spec;
  try {
    return await peers.call(to, 'node.preflight', {
      ...{
        job: id,
        user,
        allocation,
        bytes,
        machine,
        ports,
        pings,
        shared,
        limits,
        address: address !== null,
      },
    });
  } catch (error) {
    const failure = asGodwitError(error);
    if (failure.code === 'wrong-version') return { obstacles: [asObstacle(failure)], direct: [] };
    const unreachable = obstacle('node-unreachable', { node: to, why: failure.message }, failure);
    return { obstacles: [unreachable], direct: [] };
  }
}
