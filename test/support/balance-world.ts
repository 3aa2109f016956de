/**
 * A cluster in a time of its own, whose homes decide by the agent's own policy: the same seed gives the same run. Nodes
 * share their CPUs equally among the threads that want to run; what a home knows of the others is as old as gossip has
 * it in a cluster of that size; a move takes time, in which the job does not run.
 */

import { cpuStretch, stretch } from '../../agent/daemon/balance/cost';
import { decide, type Wish } from '../../agent/daemon/balance/decide';
import { Gate } from '../../agent/daemon/balance/gate';
import { Given } from '../../agent/daemon/balance/given';
import { known, type NodeSaid, type OwnJob, type Sent } from '../../agent/daemon/balance/known';
import { place, UNKNOWN_JOB } from '../../agent/daemon/balance/place';
import { Refusals } from '../../agent/daemon/balance/refusals';
import { nextRoundMs, RULES, type Rules } from '../../agent/daemon/balance/rules';
import { chance } from './membership-world';

export interface NodePlan {
  cpus: number;
  speed: number;
  memTotal: number;
}

export interface JobPlan {
  at: number;
  home: number;
  /** Milliseconds of CPU of the reference machine that each of its threads needs. */
  work: number;
  threads: number;
  memory: number;
}

/** Something that is no job runs on a node for a while. */
export interface Hog {
  at: number;
  node: number;
  threads: number;
  ms: number;
}

/**
 * Jobs stay where they are launched; begin anywhere; begin on the idlest of all nodes by what their home knows, as all
 * homes see it; begin where the agent's policy places them; are launched anywhere and moved by it; are placed and moved.
 */
export type Policy = 'home' | 'random' | 'idlest' | 'placement' | 'moves' | 'balance';

export interface WorldPlan {
  seed: number;
  nodes: readonly NodePlan[];
  jobs: readonly JobPlan[];
  hogs?: readonly Hog[];
  policy: Policy;
  /** The median age of what is known of another node. */
  ageMs: number;
  rules?: Rules;
  /** What a node says of itself, if not the truth. */
  says?: (node: number, truth: NodeSaid) => NodeSaid;
}

/** A move in hindsight: what the job did by it, and what it would have done where it was, others as they were. */
interface Moved {
  at: number;
  from: Machine;
  /** What it had done, and what a thread of a job like it had been able to do on the machine that it left. */
  done: number;
  ghost: number;
  priceMs: number;
}

export interface Task {
  plan: JobPlan;
  id: string;
  host: Machine | null;
  /** Work done per thread until it came to this host; the host's service then. */
  before: number;
  service: number;
  cameAt: number;
  endedAt: number | null;
  moves: number;
  lostMs: number;
  /** The net gain of each move, in milliseconds of its life. */
  gains: number[];
  last: Moved | null;
  /** By its home, when it looked last. */
  seen: { at: number; host: Machine; done: number } | null;
}

const SAMPLE_MS = 1_000;
/** So many samples back; what is older is not used either. */
const SAMPLES = 64;
/** What is sent is in a node's figures after so long at the latest. */
const SENT_MS = 70_000;
/** An average of the last twenty. */
const STEADY_WEIGHT = 1 / 20;
const MOVE_MS = 1_000;
const BYTES_PER_MS = 100_000;
/** A price is known within this share. */
const PRICE_ERROR = 0.3;

export class Machine {
  readonly tasks = new Set<Task>();
  #threads = 0;
  #memory = 0;
  readonly gate = new Gate();
  readonly given = new Given();
  readonly refusals = new Refusals();
  readonly homed = new Set<Task>();
  sent: { node: string; demand: number; memory: number; at: number }[] = [];
  hogs = 0;
  draining = false;
  stopped = false;
  /** What each thread has been given since the beginning; and what one of a job of so many more would have been. */
  service = 0;
  readonly ghosts = new Map<number, number>();
  version = 0;
  #at = 0;
  #demandMs = 0;
  #steady = 0;
  #samples: { demand: number; steady: number; memFree: number }[] = [];
  readonly name: string;

  constructor(
    readonly index: number,
    readonly plan: NodePlan,
  ) {
    this.name = `node${index + 1}`;
  }

  get demand(): number {
    return this.hogs + this.#threads;
  }

  get memFree(): number {
    return Math.max(0, this.plan.memTotal * 0.95 - this.#memory);
  }

  /** What a thread gets of a reference CPU, among so many. */
  rate(demand: number): number {
    return 1 / cpuStretch(this.plan, demand);
  }

  advance(now: number): void {
    const ms = now - this.#at;
    if (ms <= 0) return;
    const { demand } = this;
    this.service += ms * this.rate(demand);
    for (const [threads, had] of this.ghosts)
      this.ghosts.set(threads, had + ms * this.rate(demand + threads));
    this.#demandMs += ms * demand;
    this.#at = now;
  }

  /** Its figures of the last second. */
  sample(now: number): void {
    this.advance(now);
    const demand = this.#demandMs / SAMPLE_MS;
    this.#steady += STEADY_WEIGHT * (demand - this.#steady);
    this.#samples.push({ demand, steady: this.#steady, memFree: this.memFree });
    this.#demandMs = 0;
    if (this.#samples.length > SAMPLES) this.#samples.shift();
  }

  said(ageMs: number): NodeSaid | null {
    const back = Math.floor(ageMs / SAMPLE_MS);
    // Before that it was as it was at the beginning.
    const sample = this.#samples[Math.max(0, this.#samples.length - 1 - back)];
    if (!sample) return null;
    const { cpus, speed, memTotal } = this.plan;
    return { name: this.name, ageMs, up: true, draining: this.draining, cpus, speed, memTotal, ...sample };
  }

  put(task: Task, now: number): void {
    this.advance(now);
    this.tasks.add(task);
    this.#memory += task.plan.memory;
    this.#threads += task.plan.threads;
    task.host = this;
    task.service = this.service;
  }

  take(task: Task, now: number): void {
    this.advance(now);
    task.before = this.done(task);
    this.tasks.delete(task);
    this.#memory -= task.plan.memory;
    this.#threads -= task.plan.threads;
    task.host = null;
  }

  done(task: Task): number {
    return task.before + this.service - task.service;
  }

  /** When the first of its tasks will have ended, as things are. */
  nextEnd(): { task: Task; inMs: number } | null {
    let first: Task | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const task of this.tasks) {
      const left = task.plan.work - this.done(task);
      if (left < least) [first, least] = [task, left];
    }
    return first && { task: first, inMs: Math.max(0, least) / this.rate(this.demand) };
  }
}

interface Event {
  at: number;
  order: number;
  happen: () => void;
}

/** What happens next, first. */
class Agenda {
  readonly #heap: Event[] = [];
  #order = 0;

  add(at: number, happen: () => void): void {
    const heap = this.#heap;
    const event = { at, order: this.#order++, happen };
    let place = heap.push(event) - 1;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!before(event, heap[parent]!)) break;
      heap[place] = heap[parent]!;
      place = parent;
    }
    heap[place] = event;
  }

  take(): Event | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (!first || !last || heap.length === 0) return first;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[place] = heap[child]!;
      place = child;
    }
    heap[place] = last;
    return first;
  }
}

const before = (one: Event, other: Event) =>
  one.at < other.at || (one.at === other.at && one.order < other.order);

export interface MoveMade {
  at: number;
  task: Task;
  from: string;
  to: string;
  because: Wish['because'];
}

export class BalanceWorld {
  now = 0;
  readonly machines: Machine[];
  readonly tasks: Task[] = [];
  readonly moves: MoveMade[] = [];
  /** Questions that a destination or a source answered with no. */
  refused = 0;
  readonly random: () => number;
  readonly #agenda = new Agenda();
  readonly #byName: Map<string, Machine>;
  #unfinished: number;

  constructor(private readonly plan: WorldPlan) {
    this.random = chance(plan.seed);
    this.machines = plan.nodes.map((node, index) => new Machine(index, node));
    this.#byName = new Map(this.machines.map((machine) => [machine.name, machine]));
    this.#unfinished = plan.jobs.length;
    const threads = new Set(plan.jobs.map((job) => job.threads));
    for (const machine of this.machines) {
      for (const count of threads) machine.ghosts.set(count, 0);
      this.#agenda.add(this.random() * SAMPLE_MS, () => this.#sample(machine));
      if (plan.policy === 'balance' || plan.policy === 'moves')
        this.#agenda.add(this.random() * 2_000, () => this.#round(machine));
    }
    plan.jobs.forEach((job, index) => {
      this.#agenda.add(job.at, () => this.#arrive(job, index));
    });
    for (const hog of plan.hogs ?? []) this.#agenda.add(hog.at, () => this.#hog(hog));
  }

  /** Until all jobs have ended. */
  finish(): void {
    while (this.#unfinished > 0) this.#step();
  }

  run(ms: number): void {
    const end = this.now + ms;
    this.#agenda.add(end, () => {});
    while (this.now < end) this.#step();
  }

  at(ms: number, happen: () => void): void {
    this.#agenda.add(ms, happen);
  }

  machine(name: string): Machine {
    return this.#byName.get(name)!;
  }

  #step() {
    const event = this.#agenda.take();
    if (!event) throw new Error('nothing happens any more');
    this.now = event.at;
    event.happen();
  }

  #sample(machine: Machine) {
    machine.sample(this.now);
    this.#agenda.add(this.now + SAMPLE_MS, () => this.#sample(machine));
  }

  #hog({ node, threads, ms }: Hog) {
    const machine = this.machines[node]!;
    const change = (by: number) => {
      machine.advance(this.now);
      machine.hogs += by;
      this.#planEnd(machine);
    };
    change(threads);
    this.#agenda.add(this.now + ms, () => change(-threads));
  }

  #arrive(plan: JobPlan, index: number) {
    const home = this.machines[plan.home]!;
    const task: Task = {
      ...{ plan, id: `job${index}`, host: null, before: 0, service: 0, cameAt: this.now, endedAt: null },
      ...{ moves: 0, lostMs: 0, gains: [], last: null, seen: null },
    };
    this.tasks.push(task);
    home.homed.add(task);
    const host = this.#placed(home);
    this.#put(task, host);
    this.#remember(home, host.name, { demand: 1, memory: plan.memory });
  }

  #placed(home: Machine): Machine {
    const { policy } = this.plan;
    if (policy === 'home' || policy === 'moves') return home;
    if (policy === 'random') return this.machines[Math.floor(this.random() * this.machines.length)]!;
    if (policy === 'idlest') return this.#idlest(home);
    const { random } = this;
    const nodes = this.#known(home);
    const chosen = place({
      ...{ self: home.name, nodes, sent: this.#sent(home), given: () => 1, only: null, away: 0, random },
      ...{ ...UNKNOWN_JOB, lookedAt: (this.plan.rules ?? RULES).lookedAt },
    });
    return chosen ? this.machine(chosen) : home;
  }

  #idlest(home: Machine): Machine {
    let [best, most] = [home, Number.NEGATIVE_INFINITY];
    for (const machine of this.machines) {
      const said = this.#says(machine, machine === home ? 0 : this.#age());
      const spare = said ? (said.cpus - said.demand) * said.speed : Number.NEGATIVE_INFINITY;
      if (spare > most) [best, most] = [machine, spare];
    }
    return best;
  }

  #age(): number {
    return -Math.log(1 - this.random()) * (this.plan.ageMs / Math.LN2);
  }

  /** As old as gossip leaves it; of itself a node knows how it is. Of many, some at random: as many as are looked at. */
  #known(home: Machine, also: Iterable<Machine> = []): NodeSaid[] {
    const { lookedAt } = this.plan.rules ?? RULES;
    const asked = new Set<Machine>([home, ...also]);
    if (this.machines.length <= lookedAt) for (const machine of this.machines) asked.add(machine);
    else
      for (let n = 0; n < lookedAt; n++)
        asked.add(this.machines[Math.floor(this.random() * this.machines.length)]!);
    const all: NodeSaid[] = [];
    for (const machine of asked) {
      const ageMs = machine === home ? 0 : this.#age();
      const said = this.#says(machine, ageMs);
      if (said) all.push(said);
    }
    return all;
  }

  #says(machine: Machine, ageMs: number): NodeSaid | null {
    const truth = machine.stopped ? null : machine.said(ageMs);
    return truth && (this.plan.says?.(machine.index, truth) ?? truth);
  }

  #sent(home: Machine): Sent[] {
    home.sent = home.sent.filter(({ at }) => this.now - at < SENT_MS);
    return home.sent.map(({ at, ...sent }) => ({ ...sent, ageMs: this.now - at }));
  }

  #remember(home: Machine, node: string, { demand, memory }: { demand: number; memory: number }) {
    home.sent.push({ node, demand, memory, at: this.now });
  }

  #put(task: Task, host: Machine) {
    host.put(task, this.now);
    task.cameAt = this.now;
    this.#planEnd(host);
  }

  #take(task: Task): void {
    const host = task.host!;
    host.take(task, this.now);
    this.#planEnd(host);
  }

  #planEnd(host: Machine) {
    const version = ++host.version;
    const next = host.nextEnd();
    if (next) this.#agenda.add(this.now + next.inMs, () => version === host.version && this.#end(next.task));
  }

  #end(task: Task) {
    this.#take(task);
    this.#reckon(task);
    task.endedAt = this.now;
    this.machines[task.plan.home]!.homed.delete(task);
    this.#unfinished--;
  }

  /** What became of the last move. */
  #reckon(task: Task) {
    const { last } = task;
    if (!last) return;
    last.from.advance(this.now);
    const ms = this.now - last.at;
    const ghost = last.from.ghosts.get(task.plan.threads)! - last.ghost;
    // What it did more, as the time in which it would have done it there.
    task.gains.push(ghost > 0 ? ((task.before - last.done - ghost) * ms) / ghost : 0);
    task.last = null;
  }

  #round(home: Machine) {
    this.#agenda.add(this.now + nextRoundMs(this.random), () => this.#round(home));
    if (home.stopped || home.homed.size === 0) return;
    const tasks = [...home.homed].filter(({ host }) => host !== null);
    this.#learn(home, tasks);
    const nodes = this.#known(home, new Set(tasks.map(({ host }) => host!)));
    const { wishes } = decide({
      ...{ self: home.name, nodes, sent: this.#sent(home), jobs: tasks.map((task) => this.#own(task)) },
      given: (node) => home.given.of(node, this.now),
      ...{ refusals: home.refusals, rules: this.plan.rules ?? RULES, now: this.now, random: this.random },
    });
    for (const wish of wishes) this.#try(home, wish);
  }

  /** What each of its jobs got since it looked last, against what its host said that it would give. */
  #learn(home: Machine, tasks: readonly Task[]) {
    for (const task of tasks) {
      const host = task.host!;
      host.advance(this.now);
      const [done, said] = [host.done(task), this.#says(host, 0)];
      const { seen } = task;
      task.seen = { at: this.now, host, done };
      if (host === home || !said || seen?.host !== host || this.now - task.cameAt < 4_000) continue;
      const ms = this.now - seen.at;
      const promised = ms / stretch(known(said)!);
      home.given.saw(host.name, promised, done - seen.done, this.now);
    }
  }

  #own(task: Task): OwnJob {
    const host = task.host!;
    host.advance(this.now);
    const { threads, memory } = task.plan;
    return {
      ...{ id: task.id, host: host.name, demand: threads, memory, usedMs: host.done(task) * threads },
      ...{ hereMs: this.now - task.cameAt, priceMs: this.#price(task), away: 0, held: null, only: null },
    };
  }

  #price({ plan }: Task): number {
    return MOVE_MS + plan.memory / BYTES_PER_MS;
  }

  #try(home: Machine, wish: Wish) {
    const task = [...home.homed].find(({ id }) => id === wish.job)!;
    const source = task.host!;
    const destination = this.machine(wish.there.node);
    const own = destination.stopped ? null : this.#says(destination, 0);
    const answer = own ? destination.gate.ask(wish, own, this.now) : { ok: false };
    const leaves = answer.ok && source.gate.leave(task.id, this.now);
    if (!leaves) {
      if (answer.ok) destination.gate.withdrawn(task.id);
      this.refused++;
      home.refusals.note(task.id, destination.name, 'refused', this.now);
      return;
    }
    this.#move(home, task, destination, wish);
  }

  #move(home: Machine, task: Task, to: Machine, { because, demand, memory }: Wish) {
    const from = task.host!;
    this.#take(task);
    this.#reckon(task);
    const priceMs = this.#price(task) * (1 + PRICE_ERROR * (2 * this.random() - 1));
    const ghost = from.ghosts.get(task.plan.threads)!;
    task.last = { at: this.now, from, done: task.before, ghost, priceMs };
    task.moves++;
    task.lostMs += priceMs;
    this.moves.push({ at: this.now, task, from: from.name, to: to.name, because });
    this.#remember(home, to.name, { demand, memory });
    this.#agenda.add(this.now + priceMs, () => {
      from.gate.left(task.id);
      to.gate.came(task.id, this.now);
      home.refusals.moved(task.id);
      this.#put(task, to);
    });
  }
}
