/**
 * Makes the wishes of the policy come true: at home, for the jobs that call this node home, in the same way in which a
 * person's `migrate` does. Each round is a look and some moves; what goes wrong is tried again by the rules of the policy.
 */
import { asGodwitError } from '../../api/errors';
import type { JobUse } from '../../api/peer-contract';
import type { Log } from '../../log';
import type { Allocations } from '../allocations/allocations';
import { type Load, stretch } from '../balance/cost';
import { type Decision, decide, type Picture, type Stay, type Wish } from '../balance/decide';
import { Delays, UNSEEN_DELAY } from '../balance/delays';
import { Given } from '../balance/given';
import { type Hold, knownNodes, type NodeSaid, type OwnJob } from '../balance/known';
import { Lives } from '../balance/lives';
import { ranked, UNKNOWN_JOB } from '../balance/place';
import { Refusals, type Setback } from '../balance/refusals';
import { nextRoundMs, RULES } from '../balance/rules';
import { type Why, whyStays, whyWished } from '../balance/words';
import type { Members } from '../cluster/members';
import type { Rules } from '../cluster/node-rules';
import type { Peers } from '../cluster/peers';
import type { HomedJob, Journal } from '../journal/journal';
import type { Moves } from '../migration/moves';

/** A host that does not answer must not hold up the rest. */
const SOON = { timeoutMs: 3_000 };
/** What was sent is in a node's figures after so long at the latest. */
const SENT_MS = 70_000;
/** A job that has just come is not measured. */
const SETTLED_MS = 5_000;

export interface BalancerParts {
  node: string;
  journal: Pick<Journal, 'jobs'>;
  members: Pick<Members, 'said' | 'drained'>;
  peers: Pick<Peers, 'call' | 'names'>;
  moves: Pick<Moves, 'underWay' | 'estimator'>;
  rules: Pick<Rules, 'now'>;
  allocations: Pick<Allocations, 'openIn'>;
  /** As a person's `migrate`. */
  move: (job: string, to: string, reason: string) => Promise<void>;
  random: () => number;
  log: Log;
}

export class Balancer {
  readonly #lives = new Lives();
  readonly #delays = new Delays();
  readonly #refusals = new Refusals();
  readonly #given = new Given();
  readonly #moving = new Set<string>();
  /** What the last try of a job met that did not move. */
  readonly #troubles = new Map<string, { what: Setback; why: string }>();
  #sent: { node: string; demand: number; memory: number; at: number }[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly parts: BalancerParts) {}

  start(): void {
    this.#timer = setTimeout(() => void this.#beat(), nextRoundMs(this.parts.random));
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** Where a job begins. @param only the nodes on which alone it may be */
  async place(only: readonly string[] | null): Promise<string | null> {
    const [chosen = null] = await this.ranked(only);
    if (chosen !== null) this.sent(chosen);
    return chosen;
  }

  /** Where it could begin, the best place first. */
  async ranked(only: readonly string[] | null, load: Load = UNKNOWN_JOB): Promise<string[]> {
    const { node: self, members, random } = this.parts;
    const nodes = await members.said();
    return ranked({
      ...{ self, nodes, sent: this.#sentNow(), given: this.#givenNow, only, away: UNSEEN_DELAY, random },
      ...{ ...load, lookedAt: RULES.lookedAt },
    });
  }

  /** A job begins there, which that node's figures will show in a while. */
  sent(node: string, load: Load = UNKNOWN_JOB): void {
    this.#sent.push({ ...load, node, at: performance.now() });
  }

  /** Why a job is where it is, as things are now. */
  async why(id: string): Promise<Why> {
    const { wishes, later, stays } = await this.#look(await this.#jobs(), await this.parts.members.said());
    const wish = [...wishes, ...later].find(({ job }) => job === id);
    if (wish) return { because: 'moves', text: `it is about to move: ${whyWished(wish)}`, lasting: false };
    const why = whyStays(stays.find(({ job }) => job === id) ?? gone(id));
    const trouble = this.#troubles.get(id);
    if (why.because !== 'set-back' || !trouble) return why;
    return { ...why, text: `${why.text}: ${trouble.why}`, lasting: trouble.what === 'obstacle' };
  }

  async #beat() {
    try {
      await this.#round();
    } catch (error) {
      this.parts.log(`no look at where jobs would run best: ${asGodwitError(error).message}`);
    } finally {
      this.start();
    }
  }

  async #round() {
    const { members, rules } = this.parts;
    const { drained } = members;
    // A node at rest looks at nothing, its own load neither.
    if (!rules.now.balancing && drained.length === 0) return;
    const jobs = await this.#jobs();
    if (!rules.now.balancing && !jobs.some(({ ledger }) => drained.includes(ledger.host))) return;
    const { wishes } = await this.#look(jobs, await members.said());
    for (const wish of wishes) void this.#carryOut(wish);
  }

  async #jobs(): Promise<HomedJob[]> {
    return (await this.parts.journal.jobs({ ended: false })).filter(({ state }) => state === 'running');
  }

  async #look(jobs: HomedJob[], nodes: NodeSaid[]): Promise<Decision> {
    const { node: self, random } = this.parts;
    const uses = await this.#uses(jobs);
    const living = new Set(jobs.map(({ id }) => id));
    this.#lives.keep(living);
    this.#delays.keep(living);
    for (const job of this.#troubles.keys()) if (!living.has(job)) this.#troubles.delete(job);
    const only = await Promise.all(jobs.map((job) => this.#only(job)));
    const own = jobs.flatMap((job, index) => {
      const use = uses.get(job.id);
      return use ? [{ ...this.#own(job, use, nodes), only: only[index]! }] : [];
    });
    const picture: Picture = {
      ...{ self, nodes, jobs: own, sent: this.#sentNow(), given: this.#givenNow },
      ...{ refusals: this.#refusals, rules: RULES, now: performance.now(), random },
    };
    return decide(picture);
  }

  /** Each host is asked once for all of its jobs. */
  async #uses(jobs: HomedJob[]): Promise<Map<string, JobUse>> {
    const byHost = new Map<string, string[]>();
    for (const { id, ledger } of jobs) byHost.set(ledger.host, [...(byHost.get(ledger.host) ?? []), id]);
    const asked = [...byHost].map(async ([host, ids]) => {
      return this.parts.peers.call(host, 'host.uses', { jobs: ids }, SOON).then(
        ({ uses }) => uses,
        () => [],
      );
    });
    return new Map((await Promise.all(asked)).flat().map((use) => [use.job, use]));
  }

  /** The nodes on which alone it may be, by its user's word and its allocation; null for all. */
  async #only({ spec: { nodes, allocation } }: HomedJob): Promise<readonly string[] | null> {
    // While it can't be known where the allocation is, the job stays.
    const open = await this.parts.allocations.openIn(allocation).catch(() => []);
    return open && nodes ? open.filter((name) => nodes.includes(name)) : (open ?? nodes ?? null);
  }

  #own(job: HomedJob, use: JobUse, nodes: NodeSaid[]): Omit<OwnJob, 'only'> {
    const { id, ledger } = job;
    const { demand, memory } = use;
    const said = nodes.find(({ name }) => name === ledger.host);
    const [host] = said ? knownNodes([said], [], this.#givenNow) : [];
    const hostMs = use.usedMs * (said?.speed ?? 1);
    const now = performance.now();
    const { usedMs, hereMs, since } = this.#lives.saw(id, ledger.host, { hostMs, demand }, now);
    if (since && host && said && ledger.host !== this.parts.node && hereMs >= SETTLED_MS && demand >= 0.5)
      this.#given.saw(
        ledger.host,
        (demand / stretch({ ...host, speed: said.speed })) * since.ms,
        since.usedMs,
        now,
      );
    const away = this.#delays.saw(id, ledger.host, use.delayedMs ?? null, now);
    return {
      ...{ id, host: ledger.host, demand, memory, usedMs, hereMs, away },
      ...{ priceMs: this.parts.moves.estimator.estimate(memory), held: this.#held(job, use, said) },
    };
  }

  #held(job: HomedJob, use: JobUse, host: NodeSaid | undefined): Hold | null {
    const { ledger, pinned, balanced } = job;
    const { rules, moves } = this.parts;
    if (pinned) return 'pinned';
    if (ledger.open || this.#moving.has(job.id) || moves.underWay.isMoving(job.id)) return 'moving';
    if (use.stands) return 'debugged';
    if (host?.draining) return null;
    if (!rules.now.balancing) return 'off';
    if (!balanced) return 'not-balanced';
    return use.stopped ? 'stopped' : null;
  }

  async #carryOut(wish: Wish) {
    const { job, here, there, demand, memory } = wish;
    const { peers, log } = this.parts;
    if (this.#moving.has(job)) return;
    this.#moving.add(job);
    const told = new Set<string>();
    try {
      told.add(there.node);
      const asked = { job, demand, memory, worth: wish.worth };
      const { refused } = await peers.call(there.node, 'balance.ask', asked, SOON);
      if (refused !== null) return this.#note(wish, 'refused', `${there.node} takes no more: ${refused}`);
      told.add(here.node);
      const { may } = await peers.call(here.node, 'balance.leave', { job }, SOON);
      if (!may) return this.#note(wish, 'refused', `${here.node} lets one out at a time`);
      this.#sent.push({ node: there.node, demand, memory, at: performance.now() });
      log(`moved to ${there.node} by itself: ${whyWished(wish)}`, { job });
      await this.parts.move(job, there.node, whyWished(wish));
      this.#refusals.moved(job);
      this.#troubles.delete(job);
    } catch (error) {
      const { obstacles = [], message } = asGodwitError(error);
      this.#note(wish, obstacles.length > 0 ? 'obstacle' : 'failed', message);
    } finally {
      this.#moving.delete(job);
      for (const node of told) void peers.call(node, 'balance.over', { job }, SOON).catch(() => {});
    }
  }

  #note({ job, there }: Wish, what: Setback, why: string) {
    this.#refusals.note(job, there.node, what, performance.now());
    if (what === 'refused') return;
    this.#troubles.set(job, { what, why });
    this.parts.log(`not moved to ${there.node} by itself: ${why}`, { job });
  }

  #sentNow() {
    const now = performance.now();
    this.#sent = this.#sent.filter(({ at }) => now - at < SENT_MS);
    return this.#sent.map(({ at, ...sent }) => ({ ...sent, ageMs: now - at }));
  }

  readonly #givenNow = (node: string) => this.#given.of(node, performance.now());
}

const gone = (job: string): Stay => ({
  ...{ job, because: 'host-unknown' as const, here: null, there: null, priceMs: 0, gainMs: null },
});
