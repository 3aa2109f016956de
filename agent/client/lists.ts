/** Lists that an agent gives in pages, read to their end. */
import type { HistoryEvent, Job } from '../api/model';
import type { Agent } from './agent';

/** What requests can be sent to: a connection, or an object that holds one. */
export type Asked = Pick<Agent, 'call'>;

interface Page<T> {
  items: T[];
  next: string | null;
}

/** The jobs of the cluster, oldest first. @throws GodwitError whatever the agent refuses */
export async function listJobs(agent: Asked, options: { ended: boolean }): Promise<Job[]> {
  const jobs = await wholeList(async (after) => {
    const { jobs: items, next } = await agent.call('jobs.list', { ...options, ...after });
    return { items, next };
  });
  return knownBest(jobs).sort((a, b) => a.started.localeCompare(b.started));
}

/**
 * A job of which several nodes tell: what its home says counts, then what a node says that has it, then what is only
 * remembered. Copies of one job under different homes, or on different nodes, are all shown: there may be two.
 */
export function knownBest(jobs: readonly Job[]): Job[] {
  const fromHome = new Set(jobs.filter(isFromHome).map(({ id, home }) => `${id} ${home}`));
  const firstHand = new Set(jobs.filter(({ asOf }) => asOf === undefined).map(({ id }) => id));
  return jobs.filter((job) => {
    if (isFromHome(job)) return true;
    return job.asOf === undefined ? !fromHome.has(`${job.id} ${job.home}`) : !firstHand.has(job.id);
  });
}

const isFromHome = ({ homeSilentMs, asOf }: Job) => homeSilentMs === undefined && asOf === undefined;

/** What has happened, in the order of time: to one job, or to all. @throws GodwitError whatever the agent refuses */
export async function readHistory(agent: Asked, job?: string): Promise<HistoryEvent[]> {
  const about = job === undefined ? {} : { job };
  const events = await wholeList(async (after) => {
    const { events: items, next } = await agent.call('jobs.history', { ...about, ...after });
    return { items, next };
  });
  return events.sort((a, b) => a.time.localeCompare(b.time));
}

async function wholeList<T>(read: (after: { after?: string }) => Promise<Page<T>>): Promise<T[]> {
  const pages: T[][] = [];
  for (let after: { after?: string } = {}; ; ) {
    const { items, next } = await read(after);
    pages.push(items);
    if (!next) return pages.flat();
    after = { after: next };
  }
}
