/**
 * Which of the jobs that call this node home would be better off elsewhere, and why the others stay. A pure function: the
 * agent asks it, and so does a simulation in which the same happens a thousand times as fast.
 *
 * A job that has used so much CPU time will likely use as much again (Harchol-Balter and Downey, 1997): so a young one
 * stays, and an old one pays for its move with what is left of its life.
 */
import { hasRoom, isShort, LEAST_DEMAND, type Load, marginal, stretch, without } from './cost';
import {
  asDestination,
  asSource,
  type Hold,
  type KnownNode,
  knownNodes,
  type NodeSaid,
  type Own,
  type OwnJob,
  type Sent,
  within,
} from './known';
import type { Refusals } from './refusals';
import type { Rules } from './rules';

export interface Picture {
  /** This node, the jobs' home. */
  self: string;
  nodes: readonly NodeSaid[];
  /** What this home has sent lately, or is sending. */
  sent: readonly Sent[];
  jobs: readonly OwnJob[];
  /** The share of its speed that a node was seen to give. */
  given: (node: string) => number;
  refusals: Pick<Refusals, 'ofJob' | 'ofPair'>;
  rules: Rules;
  now: number;
  random: () => number;
}

/** One place for a job, in numbers. */
export interface Side {
  node: string;
  /** How many times as long the job takes there as on an idle reference machine. */
  stretch: number;
  /** What all have more of it when the job is there: threads, each with how many times as long it takes. */
  cost: number;
  /** Of the stretch, what comes of its files being elsewhere, where that counts. */
  files?: number;
}

/** What the destination holds against its own figures, which are newer: it refuses where it costs more. */
export interface Worth {
  stretch: number;
  cost: number;
}

export interface Wish extends Load {
  job: string;
  because: 'faster' | 'drain' | 'memory';
  here: Side;
  there: Side;
  worth: Worth;
  priceMs: number;
  /** What the job gains by it, the price off; an estimate. */
  gainMs: number;
}

export type StayReason =
  | Hold
  | 'host-unknown'
  | 'asleep'
  | 'no-node'
  | 'no-room'
  | 'best-here'
  | 'too-little'
  | 'young'
  | 'just-came'
  | 'set-back';

export interface Stay {
  job: string;
  because: StayReason;
  here: Side | null;
  /** The best other place. */
  there: Side | null;
  priceMs: number;
  gainMs: number | null;
}

export interface Decision {
  /** The most urgent first, then those by which most is gained; one from and one to a node. */
  wishes: Wish[];
  /** What would be wished if others did not come first. */
  later: Wish[];
  stays: Stay[];
}

export function decide(picture: Picture): Decision {
  const { sent, given } = picture;
  const jobs = picture.jobs.map(bounded);
  const all = knownNodes(picture.nodes, sent, given, perHost(jobs));
  const nodes = new Map(all.map((node) => [node.name, node]));
  const looked = sample(all, picture.rules.lookedAt, picture.random);
  const wanted: Wish[] = [];
  const stays: Stay[] = [];
  for (const job of jobs) {
    const found = judge(job, nodes, looked, picture);
    if ('worth' in found) wanted.push(found);
    else stays.push(found);
  }
  const wishes = oneEach(wanted);
  return { wishes, later: wanted.filter((wish) => !wishes.includes(wish)), stays };
}

function perHost(jobs: readonly OwnJob[]): Map<string, Own> {
  const hosts = new Map<string, Own>();
  for (const { host, demand, memory } of jobs) {
    const { demand: sum, memory: bytes } = hosts.get(host) ?? { demand: 0, memory: 0 };
    hosts.set(host, { demand: sum + demand, memory: bytes + memory });
  }
  return hosts;
}

/** The first `most` of them in a random order. */
function sample<T>(all: T[], most: number, random: () => number): T[] {
  for (let at = 0; at < Math.min(most, all.length - 1); at++) {
    const other = at + Math.floor(random() * (all.length - at));
    [all[at], all[other]] = [all[other]!, all[at]!];
  }
  return all.slice(0, most);
}

/** A job that wants less than this of a CPU hardly runs: it gains nothing by it elsewhere. */
const AWAKE = 0.1;
/** Worth a word: how many times as long a job takes for the sake of its files alone. */
const SLOWED = 1.1;
const MOST_MS = 1e12;
const MOST_AWAY = 100;

/** A host's figures of a job are another node's word too. */
const bounded = (job: OwnJob): OwnJob => ({
  ...job,
  demand: within(job.demand, LEAST_DEMAND, 100_000),
  memory: within(job.memory, 0, 2 ** 50),
  usedMs: within(job.usedMs, 0, MOST_MS),
  hereMs: within(job.hereMs, 0, MOST_MS),
  priceMs: within(job.priceMs, 1, MOST_MS),
  away: within(job.away, 0, MOST_AWAY),
});

function judge(
  job: OwnJob,
  nodes: ReadonlyMap<string, KnownNode>,
  looked: readonly KnownNode[],
  { self, refusals, rules, now }: Picture,
): Wish | Stay {
  const { id, priceMs } = job;
  const stay = (because: StayReason, more: Partial<Stay> = {}): Stay => ({
    ...{ job: id, because, here: null, there: null, priceMs, gainMs: null, ...more },
  });
  if (job.held) return stay(job.held);
  const host = nodes.get(job.host);
  if (!host) return stay('host-unknown');
  const here = sideOf(job, without(asSource(host), job), self);
  const because = host.draining ? 'drain' : isShort(host) ? 'memory' : 'faster';
  // One that waits for its files would want more of a CPU beside them.
  if (because === 'faster' && job.demand * farFrom(self, job, host) < AWAKE) return stay('asleep', { here });
  // From a node that is to be empty it leaves wherever it may go; of those at random, all of it is looked at.
  const others = because === 'drain' ? [...nodes.values()] : looked;
  const allowed = others.filter(
    ({ name, draining }) => name !== host.name && !draining && (job.only?.includes(name) ?? true),
  );
  if (allowed.length === 0) return stay('no-node', { here });
  const roomy = allowed.filter((node) => hasRoom(node, job.memory));
  if (roomy.length === 0) return stay('no-room', { here });
  const open = roomy.filter(({ name }) => !refusals.ofPair(id, name, now));
  if (open.length === 0 || refusals.ofJob(id, now)) return stay('set-back', { here });
  const there = cheapest(open.map((node) => sideOf(job, asDestination(node), self)));
  const left = Math.min(rules.farthestMs, job.usedMs / Math.max(1, job.demand));
  const gainMs = left * (here.stretch - there.stretch) - priceMs;
  const worth = worthOf(because, here, { left, priceMs }, rules);
  const known = { here, there, gainMs };
  if (because !== 'drain') {
    if (there.stretch >= here.stretch || there.cost >= here.cost) return stay('best-here', known);
    if (there.stretch * rules.gain > here.stretch) return stay('too-little', known);
    if (there.stretch > worth.stretch) return stay('young', known);
    if (job.hereMs < Math.max(rules.leastStayMs, rules.stayPrices * priceMs)) return stay('just-came', known);
  }
  const { demand, memory } = job;
  return { job: id, because, demand, memory, worth, priceMs, ...known };
}

/** What the job has at a node that has it not yet, or not any more. */
function sideOf(job: OwnJob, node: KnownNode, self: string): Side {
  const far = farFrom(self, job, node);
  const files = far > SLOWED ? { files: far } : {};
  return { node: node.name, stretch: far * stretch(node, job), cost: far * marginal(node, job), ...files };
}

/** How many times as long it takes there because its files are at home. */
const farFrom = (self: string, job: OwnJob, node: KnownNode) => (node.name === self ? 1 : 1 + job.away);

/** Of equals the first, which are in a random order. */
const cheapest = (sides: Side[]): Side =>
  sides.reduce((best, side) =>
    side.cost < best.cost || (side.cost === best.cost && side.stretch < best.stretch) ? side : best,
  );

/** How bad the other place may turn out to be for the move to pay all the same. */
function worthOf(
  because: Wish['because'],
  here: Side,
  { left, priceMs }: { left: number; priceMs: number },
  { payback, gain }: Rules,
): Worth {
  if (because === 'drain') return { stretch: Number.MAX_VALUE, cost: Number.MAX_VALUE };
  const pays = left > 0 ? here.stretch - (payback * priceMs) / left : 0;
  // Before something is killed for want of memory, a young job's move pays as well.
  const most = because === 'memory' ? here.stretch / gain : Math.min(here.stretch / gain, pays);
  return { stretch: Math.max(0, most), cost: here.cost };
}

const URGENCY: Record<Wish['because'], number> = { memory: 0, drain: 1, faster: 2 };

/** What all gain, and not the job alone: others run on where it was, and where it comes to. */
const allGain = ({ here, there, gainMs, demand }: Wish) =>
  (gainMs * (here.cost - there.cost)) / demand / Math.max(1e-9, here.stretch - there.stretch);

/** One move out and one in at a time a node: the others may be wishes no more once these have been made. */
function oneEach(wanted: Wish[]): Wish[] {
  const sorted = [...wanted].sort(
    (one, other) => URGENCY[one.because] - URGENCY[other.because] || allGain(other) - allGain(one),
  );
  const [from, to] = [new Set<string>(), new Set<string>()];
  return sorted.filter(({ here, there }) => {
    if (from.has(here.node) || to.has(there.node)) return false;
    from.add(here.node);
    to.add(there.node);
    return true;
  });
}
