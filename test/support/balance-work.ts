/** Work for a simulated cluster: Poisson arrivals of heavy-tailed lengths, and the best that any schedule could do. */
import type { Hog, JobPlan, NodePlan } from './balance-world';

const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** A sixth of each of six kinds, as machines of different years stand in a room. */
const KINDS: readonly NodePlan[] = [
  { cpus: 8, speed: 1, memTotal: 64 * GIB },
  { cpus: 4, speed: 1, memTotal: 32 * GIB },
  { cpus: 4, speed: 0.7, memTotal: 16 * GIB },
  { cpus: 2, speed: 0.7, memTotal: 8 * GIB },
  { cpus: 2, speed: 0.4, memTotal: 8 * GIB },
  { cpus: 1, speed: 0.4, memTotal: 4 * GIB },
];

export const mixedNodes = (count: number): NodePlan[] =>
  Array.from({ length: count }, (_, index) => KINDS[index % KINDS.length]!);

export const speedOf = (nodes: readonly NodePlan[]): number =>
  nodes.reduce((sum, { cpus, speed }) => sum + cpus * speed, 0);

export interface WorkPlan {
  nodes: readonly NodePlan[];
  /** Share of all CPUs that the work takes. */
  load: number;
  ms: number;
  random: () => number;
}

const [SHORTEST_MS, LONGEST_MS] = [5_000, 3_600_000];
const [LEAST_MEMORY, MOST_MEMORY] = [4 * MIB, 1 * GIB];
/** Of most jobs one, of some more: nobody tells a placement of it. */
const THREADS = [1, 1, 1, 1, 2, 4, 8];

/** Bounded Pareto with α = 1: as much work is in jobs of 5 to 10 s as in those of half an hour to an hour. */
const lengthOf = (random: () => number) => SHORTEST_MS / (1 - random() * (1 - SHORTEST_MS / LONGEST_MS));
const MEAN_MS = Math.log(LONGEST_MS / SHORTEST_MS) / (1 / SHORTEST_MS - 1 / LONGEST_MS);
const MEAN_THREADS = THREADS.reduce((sum, threads) => sum + threads, 0) / THREADS.length;

/** As many of each size between twice as small and twice as large. */
const memoryOf = (random: () => number) => LEAST_MEMORY * (MOST_MEMORY / LEAST_MEMORY) ** random();
const exponential = (mean: number, random: () => number) => -Math.log(1 - random()) * mean;

/** Jobs as they are launched, each at any node. */
export function poisson({ nodes, load, ms, random }: WorkPlan): JobPlan[] {
  const everyMs = (MEAN_MS * MEAN_THREADS) / (load * speedOf(nodes));
  const jobs: JobPlan[] = [];
  for (let at = exponential(everyMs, random); at < ms; at += exponential(everyMs, random)) {
    const home = Math.floor(random() * nodes.length);
    const threads = THREADS[Math.floor(random() * THREADS.length)]!;
    jobs.push({ at, home, work: lengthOf(random), threads, memory: Math.round(memoryOf(random)) });
  }
  return jobs;
}

const OWNER_MS = 300_000;

/** People at their own machines, for a share of the time, with twice as many threads as these have CPUs. */
export function owners({ nodes, load, ms, random }: WorkPlan): Hog[] {
  const away = () => exponential((OWNER_MS * (1 - load)) / load, random);
  return nodes.flatMap(({ cpus }, node) => {
    const hogs: Hog[] = [];
    for (let at = away(); at < ms; ) {
      const hog = { at, node, threads: 2 * Math.ceil(cpus), ms: exponential(OWNER_MS, random) };
      hogs.push(hog);
      at += hog.ms + away();
    }
    return hogs;
  });
}

/**
 * All CPUs of the cluster as those of one machine, each thread on the fastest that are free, all changing places at each
 * instant at no cost: no schedule that gives jobs equal shares can do better. @returns when each job ends
 */
export function onOneMachine(nodes: readonly NodePlan[], jobs: readonly JobPlan[]): number[] {
  const speeds = nodes.flatMap(({ cpus, speed }) =>
    Array.from({ length: Math.ceil(cpus) }, (_, n) => Math.min(1, cpus - n) * speed),
  );
  speeds.sort((a, b) => b - a);
  const sums = [0];
  for (const speed of speeds) sums.push(sums.at(-1)! + speed);
  const rate = (threads: number) => (threads === 0 ? 0 : sums[Math.min(threads, speeds.length)]! / threads);
  const running: { index: number; end: number; threads: number }[] = [];
  const ends: number[] = [];
  let [now, service, threads] = [0, 0, 0];
  const advance = (to: number) => {
    service += (to - now) * rate(threads);
    now = to;
  };
  const endUntil = (at: number) => {
    for (;;) {
      const first = running[0];
      const ends_at = first ? now + (first.end - service) / rate(threads) : Number.POSITIVE_INFINITY;
      if (!first || ends_at > at) return;
      advance(ends_at);
      running.shift();
      threads -= first.threads;
      ends[first.index] = now;
    }
  };
  jobs.forEach((job, index) => {
    endUntil(job.at);
    advance(job.at);
    const one = { index, end: service + job.work, threads: job.threads };
    let [low, high] = [0, running.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (running[middle]!.end <= one.end) low = middle + 1;
      else high = middle;
    }
    running.splice(low, 0, one);
    threads += job.threads;
  });
  endUntil(Number.POSITIVE_INFINITY);
  return ends;
}
