/** A node's own word about moves that homes make by themselves, and about jobs that wait for room. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Handlers } from '../../api/contract';
import type { PeerContract } from '../../api/peer-contract';
import type { Gate } from '../balance/gate';
import type { NodeSaid } from '../balance/known';
import { RecentWants } from '../balance/recent-wants';
import type { Taken } from '../balance/room';
import type { Copies } from '../jobs/copies';
import type { JobStatuses } from '../jobs/job-status';

export interface GateParts {
  gate: Gate;
  copies: Copies;
  statuses: Pick<JobStatuses, 'uses'>;
  /** This node as it is now. */
  said: () => Promise<NodeSaid>;
}

/** What is wanted is counted between two looks: an older one tells of what has long been over. */
const FRESH_MS = 3_000;
/** Between two looks, where none is fresh: what is wanted is measured over this time. */
const MEASURED_MS = 600;

/** One home can't speak for another's job. */
const keyOf = (home: string, job: string) => `${home}/${job}`;

type Answered = 'balance.ask' | 'balance.room' | 'balance.leave' | 'balance.over';

export const gateAnswers = (parts: GateParts): Pick<Handlers<PeerContract>, Answered> =>
  answers(parts, freshly(parts));

const answers = (
  { gate, copies, said }: GateParts,
  now: ReturnType<typeof freshly>,
): Pick<Handlers<PeerContract>, Answered> => ({
  'balance.ask': async ({ job, ...asking }, { name }) => {
    const answer = gate.ask({ ...asking, job: keyOf(name, job) }, await said(), performance.now());
    return { refused: answer.ok ? null : answer.why };
  },
  'balance.room': async ({ job, ...need }, { name }) => {
    const { own, taken } = await now();
    return { refused: gate.begin(keyOf(name, job), need, own, taken, performance.now()) };
  },
  'balance.leave': ({ job }, { name }) => ({
    may: copies.homeOf(job) === name && gate.leave(keyOf(name, job), performance.now()),
  }),
  'balance.over': ({ job }, { name }) => {
    const key = keyOf(name, job);
    gate.left(key);
    if (copies.homeOf(job) === name) gate.came(key, performance.now());
    else gate.withdrawn(key);
    return {};
  },
});

/** What is wanted of this node, by figures of the last seconds; those who ask at once are answered by the same look. */
function freshly({ copies, statuses, said }: GateParts) {
  const wants = new RecentWants();
  const look = async () => {
    const [own, taken] = await Promise.all([said(), takenBy(copies, statuses, wants)]);
    return { own, taken };
  };
  let lookedAt = Number.NEGATIVE_INFINITY;
  let measuring: Promise<unknown> | null = null;
  const measured = async () => {
    await look();
    await sleep(MEASURED_MS);
  };
  return async () => {
    if (performance.now() - lookedAt > FRESH_MS) {
      measuring ??= measured().finally(() => {
        measuring = null;
      });
      await measuring;
    }
    lookedAt = performance.now();
    return look();
  };
}

/** What the jobs here have reserved, used or not, and want. */
async function takenBy(
  copies: Copies,
  statuses: Pick<JobStatuses, 'uses'>,
  wants: RecentWants,
): Promise<Taken> {
  const { jobs } = copies;
  const uses = new Map((await statuses.uses(jobs)).map((use) => [use.job, use]));
  const taken: Taken = { cpus: 0, idleCpus: 0, wantedCpus: 0, idleMemory: 0 };
  wants.keep(jobs);
  for (const job of jobs) {
    const { cpus, memory } = copies.get(job)?.limits ?? {};
    const { demand = 0, memory: used = 0 } = uses.get(job) ?? {};
    taken.cpus += cpus ?? 0;
    // Negative where it wants more than it gets: that is no other's loss.
    taken.idleCpus += cpus === undefined ? 0 : cpus - demand;
    taken.wantedCpus += cpus ?? wants.saw(job, demand, performance.now());
    taken.idleMemory += memory === undefined ? 0 : Math.max(0, memory - used);
  }
  return taken;
}
