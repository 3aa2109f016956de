/** The cluster at one moment, of what each home says. */
import type { ClusterSnapshot } from '../../../api/client-events';
import { fitting, PAGE_BYTES } from '../../../api/lists';
import type { Job, Node } from '../../../api/model';
import type { HomeView } from '../../../api/peer-contract';

/** Jobs that are over, in one snapshot: a screenful. */
export const OVER_SHOWN = 50;
/** Jobs in one snapshot: with nodes and moves beside them it is still one message. */
const JOBS_BYTES = 2 * PAGE_BYTES;

/** One snapshot of what each home says: the jobs oldest first, and of those that are over the latest only. */
export function compose(time: string, nodes: Node[], views: HomeView[]): ClusterSnapshot {
  const all = latestOf(views.flatMap(({ jobs }) => jobs));
  const over = all
    .filter(({ ended }) => ended !== null)
    .sort((a, b) => a.ended!.localeCompare(b.ended!))
    .slice(-OVER_SHOWN);
  const jobs = [...all.filter(({ ended }) => ended === null), ...over];
  const latestFirst = jobs.sort((a, b) => b.started.localeCompare(a.started) || b.id.localeCompare(a.id));
  const shown = fitting(latestFirst, JOBS_BYTES).toReversed();
  return { time, nodes, jobs: shown, moves: views.flatMap(({ moves }) => moves) };
}

/**
 * A job may be told of by two: by its home and by a node that has a copy and did not hear of that home for a moment; by
 * the home that it had, and by the one that has adopted it.
 */
function latestOf(jobs: Job[]): Job[] {
  const best = new Map<string, Job>();
  for (const job of jobs) {
    const known = best.get(job.id);
    if (!known || isBetter(job, known)) best.set(job.id, job);
  }
  return [...best.values()];
}

function isBetter(job: Job, than: Job): boolean {
  const [fromHome, other] = [job, than].map(({ homeSilentMs }) => homeSilentMs === undefined);
  return fromHome === other ? job.epoch > than.epoch : fromHome === true;
}
