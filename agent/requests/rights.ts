/** Who may do what: root anything, others what they like with their own jobs. All may look at the list. */
import { notYours } from '../api/errors';
import type { User } from '../api/model';
import type { HomedJob } from '../journal/journal';

/** @param user undefined for root @throws `not-yours` */
export function assertMay(user: User | undefined, { id, spec }: Pick<HomedJob, 'id' | 'spec'>): void {
  if (user && user.uid !== spec.user.uid) throw notYours(id, spec.user.name);
}
