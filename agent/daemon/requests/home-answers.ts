/** What a home answers other nodes about the jobs that call it home. */
import { MOST_ARRAYS_MEANT } from '../../api/array';
import type { Handlers } from '../../api/contract';
import { fitting, MOST_IN_PAGE } from '../../api/lists';
import type { Job } from '../../api/model';
import { MOST_MEANT, type PeerContract } from '../../api/peer-contract';
import type { ServedFiles } from '../homefs/served';
import type { Home } from '../jobs/home';
import type { HomedJobs } from '../jobs/homed-jobs';
import type { HomedJob, Journal } from '../journal/journal';
import type { Moves } from '../migration/moves';
import type { Launching } from './launching';
import type { Leftovers } from './leftovers';
import type { OwnJobs } from './own-jobs';
import { type Acceptance, may, requestRefusal } from './rights';
import type { View } from './view';

export interface HomeAnswersParts {
  home: Home;
  lists: HomedJobs;
  journal: Pick<Journal, 'outcome'>;
  moves: Moves;
  ownJobs: OwnJobs;
  leftovers: Leftovers;
  served: ServedFiles;
  view: View;
  launching: Launching;
}

type Answered =
  | 'home.view'
  | 'home.jobs'
  | 'home.find'
  | 'home.arrays'
  | 'home.history'
  | 'home.adopted'
  | 'home.launch'
  | 'home.ended'
  | 'home.outcome'
  | 'home.files';

export const homeAnswers = (
  { home, launching, lists, journal, leftovers, moves, ownJobs, served, view }: HomeAnswersParts,
  acceptance: () => Acceptance,
): Pick<Handlers<PeerContract>, Answered> => ({
  'home.view': () => view.read(),
  'home.jobs': async ({ ended, after, bytes }) => {
    const { jobs, next } = await lists.page(ended, after, bytes);
    // What is here of homes that don't answer no other node can tell of.
    const homeless = after === 0 ? fitting(await leftovers.homeless(), bytes) : [];
    return { jobs: [...jobs, ...homeless].slice(0, MOST_IN_PAGE), next };
  },
  'home.find': async ({ job }) => {
    const meant = ({ id, name }: Job) => id.startsWith(job) || name === job;
    const found = [...(await lists.find(job, MOST_MEANT)), ...(await leftovers.homeless()).filter(meant)];
    return { jobs: found.slice(0, MOST_MEANT) };
  },
  'home.arrays': async ({ job }) => ({ arrays: await lists.arrays(job, MOST_ARRAYS_MEANT) }),
  'home.adopted': async ({ job, epoch, as }, caller) => ({
    said: await leftovers.handOver(job, caller.name, epoch, as ?? undefined),
  }),
  'home.history': ({ as, after, bytes, narrowed }, caller) => {
    const counts = requestRefusal(acceptance(), caller.name, as) === null;
    const mayLook = (job: HomedJob) => counts && may(as ?? undefined, job);
    return ownJobs.history(undefined, { after, bytes }, mayLook, narrowed);
  },
  'home.launch': async ({ job, request }) => launching.launchFor(await home.job(job), request),
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
