/** What would stop a move, asked by the job's home before anything is touched. */
import type { Result } from '../../api/contract';
import { asGodwitError } from '../../api/errors';
import { MOST_OBSTACLES, type Obstacle, type Preflight, type User } from '../../api/model';
import type { PeerContract } from '../../api/peer-contract';
import type { HomedJob } from '../journal/journal';
import { filesThere } from './files';
import type { NodeParts } from './node';
import { may, veiled } from './rights';

type Source = Result<PeerContract, 'host.preflight'>;

/** What a source says of itself rather than of the job. */
const OF_THE_NODE: ReadonlySet<string> = new Set(['no-criu', 'criu-version', 'home-unreachable']);

/** @param user who asks; undefined for root. What a job has open is for those alone who may look into it. */
export async function why(
  node: NodeParts,
  job: HomedJob,
  to: string,
  user: User | undefined,
): Promise<Preflight> {
  const own = node.config.name;
  const source = await node.peers.call(job.ledger.host, 'host.preflight', { job: job.id });
  const there = await destination(node, job, to, source);
  const { obstacles: locks, ...files } = filesThere(source.files, {
    ...{ node: to, home: own, mounts: source.mounts },
    // What the home shares is its own there.
    direct: to === own ? source.shared.map(({ at }) => at) : there.direct,
  });
  const all = [...source.obstacles, ...decided(job), ...there.obstacles, ...locks].slice(0, MOST_OBSTACLES);
  const { bytes } = source;
  const seen = { can: all.length === 0, bytes, estimateMs: node.moves.pace.estimate(bytes), home: own };
  if (may(user, job)) return { ...seen, obstacles: all, ...files };
  const inTheJob = new Set([...source.obstacles, ...locks].filter(({ code }) => !OF_THE_NODE.has(code)));
  const others = all.filter((obstacle) => !inTheJob.has(obstacle));
  return { ...seen, obstacles: [...veiled([...inTheJob], job), ...others], files: [], moreFiles: 0 };
}

/** What people have decided. */
function decided({ id, pinned, ledger }: HomedJob): Obstacle[] {
  const found: Obstacle[] = [];
  if (pinned) {
    found.push({
      code: 'pinned',
      what: `it is pinned to ${ledger.host}`,
      fix: `\`godwit unpin ${id}\` first`,
    });
  }
  return found;
}

async function destination(
  { peers }: NodeParts,
  { id, spec }: HomedJob,
  to: string,
  { bytes, machine, ports, pings, shared }: Source,
): Promise<{ obstacles: Obstacle[]; direct: string[] }> {
  const { user, limits, address } = spec;
  try {
    return await peers.call(to, 'node.preflight', {
      ...{ job: id, user, bytes, machine, ports, pings, shared, limits, address: address !== null },
    });
  } catch (error) {
    const { message, fix } = asGodwitError(error);
    const unreachable = {
      code: 'node-unreachable',
      what: `${to} can't be reached: ${message}`,
      fix: fix ?? 'is its agent running?',
    };
    return { obstacles: [unreachable], direct: [] };
  }
}
