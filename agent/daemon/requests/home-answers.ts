/** What a home answers other nodes about the jobs that call it home. */
import type { Handlers } from '../../api/contract';
import { MOST_MEANT, type PeerContract } from '../../api/peer-contract';
import type { ServedFiles } from '../homefs/served';
import type { Home } from '../jobs/home';
import type { HomedJobs } from '../jobs/homed-jobs';
import type { Journal } from '../journal/journal';
import type { Moves } from '../migration/moves';
import type { OwnJobs } from './own-jobs';
import { type Acceptance, may, requestRefusal } from './rights';
import type { View } from './view';

export interface HomeAnswersParts {
  home: Home;
  lists: HomedJobs;
  journal: Pick<Journal, 'outcome'>;
  moves: Moves;
  ownJobs: OwnJobs;
  served: ServedFiles;
  view: View;
}

type Answered =
  | 'home.view'
  | 'home.jobs'
  | 'home.find'
  | 'home.history'
  | 'home.ended'
  | 'home.outcome'
  | 'home.files';

export const homeAnswers = (
  { home, lists, journal, moves, ownJobs, served, view }: HomeAnswersParts,
  acceptance: () => Acceptance,
): Pick<Handlers<PeerContract>, Answered> => ({
  'home.view': () => view.read(),
  'home.jobs': ({ ended, after, bytes }) => lists.page(ended, after, bytes),
  'home.find': async ({ job }) => ({ jobs: await lists.find(job, MOST_MEANT) }),
  'home.history': ({ as, after, bytes }, caller) => {
    const counts = requestRefusal(acceptance(), caller.name, as) === null;
    return ownJobs.history(undefined, { after, bytes }, (job) => counts && may(as ?? undefined, job));
  },
  'home.ended': async (end) => {
    await home.ended(end);
    moves.forget(end.job);
    return {};
  },
  'home.outcome': async ({ job, epoch }, caller) => {
    // First the journal, then the state: an answer of "moving" may be followed by an abort, never the reverse.
    const outcome = await journal.outcome(job, epoch);
    if (moves.underWay.isMoving(job)) moves.coordinator(job).asked(caller.name, epoch);
    return outcome;
  },
  'home.files': (asked, caller) => served.open({ ...asked, node: caller.name }),
});
