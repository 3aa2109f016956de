/** Who may do what: root anything, others what they like with their own jobs. All may look at the list. */

import type { Reread } from '../../api/config';
import type { GodwitError } from '../../api/errors';
import { idsRefused, notAccepted, notYours, rootJobsRefused, rootRefused } from '../../api/errors';
import type { HistoryEvent, User } from '../../api/model';
import type { HomedJob } from '../journal/journal';

type Owned = Pick<HomedJob, 'id' | 'spec'>;

/** @param user undefined, or null, for root as well */
export const isRoot = (user: User | undefined | null): boolean => !user || user.uid === 0;

/** @param user undefined for root */
export const mayDo = (user: User | undefined, owner: User): boolean =>
  isRoot(user) || user!.uid === owner.uid;

/** @param user undefined for root */
export const may = (user: User | undefined, { spec }: Pick<Owned, 'spec'>): boolean => mayDo(user, spec.user);

/** @param user undefined for root @throws `not-yours` */
export function assertMay(user: User | undefined, job: Owned): void {
  if (!may(user, job)) throw notYours(job.id, job.spec.user.name);
}

/** The job `id`, for one who may do something to it. @throws `no-such-job`, `not-yours` */
export async function theirJob(
  home: { job(id: string): Promise<HomedJob> },
  id: string,
  { user }: { user?: User | undefined },
): Promise<HomedJob> {
  const job = await home.job(id);
  assertMay(user, job);
  return job;
}

/** What a node has been told to take from others. */
export interface Acceptance extends Pick<Reread, 'acceptFrom' | 'acceptRootJobs' | 'acceptIds'> {
  node: string;
}

/** Numbers that an error names. */
const MOST_NAMED = 5;

/** Why a job of this user, whose home is `from`, would not be taken in; null if it would. */
export function jobRefusal(
  { node, acceptFrom, acceptRootJobs, acceptIds }: Acceptance,
  from: string,
  user: User,
): GodwitError | null {
  if (!accepts({ node, acceptFrom }, from)) return notAccepted(node, from);
  if (user.uid === 0) return acceptRootJobs ? null : rootJobsRefused(node);
  if (from === node || !acceptIds) return null;
  const numbers = new Set([user.uid, user.gid, ...user.groups]);
  const outside = [...numbers].filter((number) => number < acceptIds.first || number > acceptIds.last);
  return outside.length > 0 ? idsRefused(node, outside.slice(0, MOST_NAMED)) : null;
}

/** Why a request of this user (null: root) that `from` passes on does not count; null if it does. */
export function requestRefusal(
  { node, acceptFrom, acceptRootJobs }: Acceptance,
  from: string,
  as: User | null,
): GodwitError | null {
  if (!accepts({ node, acceptFrom }, from)) return notAccepted(node, from);
  return isRoot(as) && from !== node && !acceptRootJobs ? rootRefused(node) : null;
}

const accepts = ({ node, acceptFrom }: Pick<Acceptance, 'node' | 'acceptFrom'>, from: string): boolean =>
  from === node || acceptFrom === undefined || acceptFrom.includes(from);

/** Reasons can name files: they are for those who may look into a job. */
export const withoutReasons = (
  events: readonly HistoryEvent[],
  mayLook: (job: string) => boolean,
): HistoryEvent[] =>
  events.map((event) => {
    if (event.reason === undefined || mayLook(event.job)) return event;
    const { reason: _, ...rest } = event;
    return rest;
  });
