/** Simulated clusters under the same work, each with another way of putting it on nodes. */

import { mixedNodes, onOneMachine, owners, poisson } from '../../support/balance-work';
import {
  BalanceWorld,
  type Hog,
  type JobPlan,
  type NodePlan,
  type Policy,
} from '../../support/balance-world';
import { chance } from '../../support/membership-world';

export interface Plan {
  nodes: number;
  seconds: number;
  /** The median age of what is known of another node, by the bench of membership. */
  ageMs: number;
  /** Of the load, what people at the machines take. */
  owners: number;
}

export const LOAD = 0.8;
export const PLANS: Plan[] = [
  { nodes: 100, seconds: 1_200, ageMs: 2_900, owners: 0 },
  { nodes: 100, seconds: 1_200, ageMs: 2_900, owners: 0.3 },
  { nodes: 1_000, seconds: 600, ageMs: 18_000, owners: 0 },
];
const POLICIES: Policy[] = ['home', 'random', 'idlest', 'placement', 'moves', 'balance'];
/** Until then the cluster fills. */
const FILLING = 1 / 4;
const [WORK_SEED, WORLD_SEED] = [7, 3];

export interface Spread {
  mean: number;
  median: number;
  p95: number;
  p99: number;
  /** Of each hundredth of the jobs. */
  curve: number[];
}

export interface Row extends Spread {
  policy: Policy | 'bound';
  moves: number;
  movesPerJob: number;
  refused: number;
  /** Seconds in which jobs stood still because they were moved. */
  lost: number;
  /** Seconds that they ended sooner by it, those off: against staying, all else as it was. */
  gained: number;
  /** Share of the moves that did not pay, in hindsight. */
  vain: number;
  /** The largest share of a job's own time that its moves took. */
  mostLost: number;
}

export interface Figures {
  plan: Plan;
  jobs: number;
  rows: Row[];
}

export function measure(plan: Plan): Figures {
  const nodes = mixedNodes(plan.nodes);
  const random = chance(WORK_SEED);
  const ms = plan.seconds * 1_000;
  // People stay at their machines until the last job has ended.
  const hogs = plan.owners > 0 ? owners({ nodes, load: plan.owners, ms: 4 * ms, random }) : [];
  const jobs = poisson({ nodes, load: LOAD - plan.owners, ms, random });
  const rows = POLICIES.map((policy) => run({ plan, nodes, jobs, hogs, policy }));
  return { plan, jobs: jobs.length, rows: [...rows, boundOf(nodes, jobs, ms)] };
}

interface Trial {
  plan: Plan;
  nodes: NodePlan[];
  jobs: JobPlan[];
  hogs: Hog[];
  policy: Policy;
}

function run({ plan, nodes, jobs, hogs, policy }: Trial): Row {
  const world = new BalanceWorld({ seed: WORLD_SEED, nodes, jobs, hogs, policy, ageMs: plan.ageMs });
  world.finish();
  const slowdowns = jobs.map((job, index) => (world.tasks[index]!.endedAt! - job.at) / job.work);
  const gains = world.tasks.flatMap((task) => task.gains);
  const sum = (all: number[]) => all.reduce((one, other) => one + other, 0);
  const shares = world.tasks.map(({ lostMs, endedAt, plan: { at } }) => lostMs / (endedAt! - at));
  return {
    ...{ policy, ...spread(counted(slowdowns, jobs, plan.seconds * 1_000)), moves: world.moves.length },
    ...{ movesPerJob: world.moves.length / jobs.length, refused: world.refused },
    ...{ lost: sum(world.tasks.map(({ lostMs }) => lostMs)) / 1_000, gained: sum(gains) / 1_000 },
    vain: gains.length === 0 ? 0 : gains.filter((gain) => gain < 0).length / gains.length,
    mostLost: shares.reduce((most, share) => Math.max(most, share), 0),
  };
}

/** The people's part is left out: it makes the bound no higher than it may be. */
function boundOf(nodes: NodePlan[], jobs: JobPlan[], ms: number): Row {
  const ends = onOneMachine(nodes, jobs);
  const slowdowns = jobs.map((job, index) => (ends[index]! - job.at) / job.work);
  const none = { moves: 0, movesPerJob: 0, refused: 0, lost: 0, gained: 0, vain: 0, mostLost: 0 };
  return { policy: 'bound', ...spread(counted(slowdowns, jobs, ms)), ...none };
}

const counted = (slowdowns: number[], jobs: JobPlan[], ms: number) =>
  slowdowns.filter((_, index) => jobs[index]!.at >= FILLING * ms);

function spread(values: number[]): Spread {
  const sorted = [...values].sort((one, other) => one - other);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
  return {
    mean: values.reduce((sum, value) => sum + value, 0) / values.length,
    ...{ median: at(0.5), p95: at(0.95), p99: at(0.99) },
    curve: Array.from({ length: 100 }, (_, part) => at(part / 100)),
  };
}
