/**
 * The jobs that call this node home and wait for room on some node. Whose turn it is: `balance/queue.ts`; where it would
 * begin: the same cost as that of any placement; whether there is room: that node's own word.
 *
 * Only the journal knows for certain what waits. A launch is written down before its host is asked for it; a host that was
 * asked and does not answer is asked until it says what has come of it, and nothing is begun elsewhere meanwhile.
 */
import { appendFile } from 'node:fs/promises';
import { asGodwitError, GodwitError, jobQueued } from '../../api/errors';
import { type Exit, type JobSpec, type LaunchRequest, PROGRAM_PID, type User } from '../../api/model';
import type { PerUser } from '../../api/per-user';
import { retryUntilDone } from '../../api/retry';
import { exitStatusOf } from '../../api/signals';
import type { Log } from '../../log';
import type { Allocations } from '../allocations/allocations';
import { afterTurn, fairOrder, unclaimed } from '../balance/queue';
import { isLargeEnough, loadOf, type Need } from '../balance/room';
import type { Members } from '../cluster/members';
import type { Peers } from '../cluster/peers';
import { type Arrays, type LaunchedArray, ofPart } from '../jobs/arrays';
import type { Begun, Home } from '../jobs/home';
import type { Layout } from '../jobs/layout';
import type { HomedJob, Journal, QueuedJob } from '../journal/journal';
import type { Balancer } from './balancer';
import { NOT_LAUNCHED_THERE } from './launched';
import { BEHIND, fullText, nowhereText, type RefusedRoom } from './queue-words';

/** Between two looks for room: what ended shows in a node's figures about so late anyway. */
const ROUND_MS = 1_000;
/** A node that does not answer must not hold up the rest; it measures for more than half a second if it has not lately. */
const ROOM_MS = 5_000;
/** Launches under way: each is some processes and mounts, and more at once only wait for each other. */
const MOST_BEGINNING = 8;
/** A node that does not take a job (a rule of its own) may be told otherwise, and is asked again after a while. */
const REFUSED_MS = 60_000;
/** A host that may have launched a job is asked for it after these pauses. */
const PAUSES = { firstMs: 200, mostMs: 5_000 };
/** What a launch takes at the most: who wants to end a job that begins just now waits for it. */
const BEGINS_WITHIN_MS = 40_000;
/** As shells have it of a program that can't be executed. */
const NOT_STARTED = 126;
/** Answers after which it is not known whether the host has launched it. */
const UNKNOWN: ReadonlySet<string> = new Set([
  'node-unreachable',
  'connection-lost',
  'timeout',
  'no-hello',
  'cancelled',
  // It has something of the job already.
  'job-exists',
  'not-your-job',
]);
/** What may be another time tomorrow: the job waits on. */
const NOT_NOW: ReadonlySet<string> = new Set([
  'too-many-jobs',
  'journal-full',
  'journal-failed',
  'allocations-unknown',
  'allocations-unclear',
]);
/** A job that has not begun can't do anything else on a signal. */
const ENDING: ReadonlySet<string> = new Set(['SIGTERM', 'SIGKILL', 'SIGINT', 'SIGHUP', 'SIGQUIT']);

interface Entry {
  job: string;
  /** Of its user. */
  user: number;
  queued: QueuedJob;
  why: string;
  /** Nodes that do not take it, and until when they are not asked again. */
  refused: Map<string, { until: number; why: string }>;
  /** Settles when its launch is over, however that ends. */
  beginning: Promise<void> | null;
}

export interface QueueParts {
  node: string;
  layout: Pick<Layout, 'console'>;
  journal: Journal;
  home: Pick<Home, 'specOf' | 'newJob' | 'begin' | 'makeFiles' | 'consoles'>;
  arrays: Pick<Arrays, 'withJobs' | 'shown'>;
  members: Pick<Members, 'said'>;
  peers: Pick<Peers, 'call' | 'names'>;
  balancer: Pick<Balancer, 'ranked' | 'sent'>;
  allocations: Pick<Allocations, 'inForce' | 'placement'>;
  addresses: {
    with<T>(asked: string | undefined, work: (address: JobSpec['address']) => Promise<T>): Promise<T>;
  };
  perUser: PerUser;
  log: Log;
}

export class Queue {
  readonly #entries = new Map<string, Entry>();
  #served: number[] = [];
  #positions: Map<string, number> | null = null;
  #timer: NodeJS.Timeout | undefined;
  #looking = false;

  constructor(private readonly parts: QueueParts) {}

  /** Before anyone is listened to: what an agent that has ended had in the queue. */
  async takeUp(): Promise<void> {
    this.#enter(await this.parts.journal.queue());
  }

  /** When hosts can be asked. Launches that were under way are settled first. */
  start(): void {
    for (const entry of this.#entries.values())
      if (entry.queued.beginning) entry.beginning = this.#settle(entry, entry.queued.job.ledger.host);
    this.#lookSoon(0);
  }

  /** Puts a job into it. @throws `too-many-queued`, and whatever a request can be refused for before it is launched */
  async add(
    request: LaunchRequest,
    user: User,
    allocation: string | null,
    begun: Begun = {},
  ): Promise<HomedJob> {
    const { addresses, home, node } = this.parts;
    const base = home.specOf(request, user, allocation);
    return addresses.with(request.address, async (address) => {
      const [job] = await this.#enqueue([home.newJob({ ...base, address }, node, begun)], base);
      return job!;
    });
  }

  /** The same of an array. */
  async addArray(
    request: LaunchRequest,
    count: number,
    user: User,
    allocation: string | null,
  ): Promise<LaunchedArray> {
    const { arrays, home, node } = this.parts;
    const base = home.specOf(request, user, allocation);
    const hosts = Array.from({ length: count }, () => node);
    return arrays.withJobs(base, request.address, hosts, async (jobs) => {
      const queued = await this.#enqueue(jobs, base);
      const { id, name } = queued[0]!.spec.array!;
      return { id, name, jobs: queued.map((job) => arrays.shown(job)) };
    });
  }

  /** Its place, from 1 on, and what it waits for; null for one that does not wait. */
  of(job: string): { position: number; why: string } | null {
    const entry = this.#entries.get(job);
    if (!entry || entry.beginning) return null;
    this.#positions ??= new Map(this.#order().map((one, index) => [one.job, index + 1]));
    return { position: this.#positions.get(job)!, why: entry.why };
  }

  /**
   * A signal for a job of the queue: it is taken out. False where it has begun by now.
   * @throws `job-queued` for a signal that would not end it
   */
  async end(job: string, signal: string): Promise<boolean> {
    const entry = this.#entries.get(job);
    if (!entry) return false;
    if (entry.beginning) {
      const late = new Promise((_, reject) =>
        setTimeout(() => reject(stillBeginning(job, entry.queued.job.ledger.host)), BEGINS_WITHIN_MS).unref(),
      );
      await Promise.race([entry.beginning, late]);
      return this.end(job, signal);
    }
    if (!ENDING.has(signal)) throw jobQueued(job);
    const reason = 'it was taken out of the queue before it had begun';
    const exit = { exit: exitStatusOf(signal as NodeJS.Signals), signal, reason };
    this.#leave(job);
    await this.parts.journal.endedQueued(job, exit).catch(async (error) => {
      // It waits on, as the journal has it.
      this.#entries.set(job, entry);
      throw error;
    });
    return true;
  }

  async #enqueue(jobs: Parameters<Journal['enqueue']>[0], base: JobSpec): Promise<HomedJob[]> {
    const { home, journal, perUser, log } = this.parts;
    const bounds = { jobs: perUser.queued, bytes: perUser.queuedBytes };
    const queued = await journal.enqueue(jobs, base, bounds);
    this.#enter(queued.map((job) => ({ job, since: job.queuedSince!, wanted: base.node, beginning: false })));
    this.#lookSoon(0);
    // There to be followed; a launch makes what is missing.
    for (const job of queued)
      await home
        .makeFiles(job)
        .catch((error: Error) => log(`no console yet: ${error.message}`, { job: job.id }));
    return queued;
  }

  #enter(jobs: readonly QueuedJob[]): void {
    for (const queued of jobs) {
      const { id, spec } = queued.job;
      const entry = {
        job: id,
        user: spec.user.uid,
        queued,
        why: BEHIND,
        refused: new Map(),
        beginning: null,
      };
      this.#entries.set(id, entry);
    }
    this.#positions = null;
  }

  #leave(job: string): void {
    this.#entries.delete(job);
    this.#positions = null;
  }

  #order(): Entry[] {
    return fairOrder(
      [...this.#entries.values()].filter(({ beginning }) => !beginning),
      this.#served,
    );
  }

  #lookSoon(ms: number): void {
    if (this.#looking || this.#entries.size === 0) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#look(), ms);
  }

  async #look(): Promise<void> {
    this.#looking = true;
    try {
      await this.#round();
    } catch (error) {
      this.parts.log(`no look for room for what is queued: ${asGodwitError(error).message}`);
    } finally {
      this.#looking = false;
      this.#lookSoon(ROUND_MS);
    }
  }

  async #round(): Promise<void> {
    const nodes = (await this.parts.members.said()).filter(({ up, draining }) => up && !draining);
    const claimed = new Set<string>();
    for (const entry of this.#order()) {
      if (claimed.size >= nodes.length && nodes.length > 0) entry.why = BEHIND;
      else if ([...this.#entries.values()].filter((one) => one.beginning).length >= MOST_BEGINNING) return;
      else await this.#try(entry, nodes, claimed);
    }
  }

  /** Begins it where there is room; the nodes for which it goes on waiting are claimed. */
  async #try(entry: Entry, nodes: Awaited<ReturnType<Members['said']>>, claimed: Set<string>): Promise<void> {
    const { limits } = entry.queued.job.spec;
    const need: Need = { cpus: limits.cpus ?? null, memory: limits.memory ?? null };
    const allowed = await this.#allowed(entry).catch((error) => asGodwitError(error));
    if (allowed instanceof GodwitError) return this.#cannot(entry, allowed);
    const open = nodes.filter(({ name }) => allowed?.includes(name) ?? true);
    const large = open.filter((node) => isLargeEnough(node, need)).map(({ name }) => name);
    const taking = large.filter((name) => !this.#refusal(entry, name));
    if (taking.length === 0) {
      const refusals = large.flatMap((name) => this.#refusal(entry, name) ?? []);
      entry.why = nowhereText(allowed, open.length, large.length, refusals[0]);
      return;
    }
    const host = await this.#roomFor(entry, unclaimed(taking, claimed), need);
    if (host !== null && !this.#entries.has(entry.job)) this.#over(host, entry.job);
    else if (host !== null) {
      entry.beginning = this.#begin(entry, host);
      this.#positions = null;
    } else for (const name of taking) claimed.add(name);
  }

  /** The nodes on which alone it may begin; null for all. @throws why it may nowhere */
  async #allowed({ queued: { job, wanted } }: Entry): Promise<readonly string[] | null> {
    const { node, allocations } = this.parts;
    const { user, allocation, nodes } = job.spec;
    const placement = allocation === null ? null : await allocations.placement(user, allocation);
    const within = placement && (await placement.open());
    const lists = [nodes, within].filter((list) => !!list);
    // A login node may be the home of what runs in an allocation that it is no node of.
    const anywhere =
      wanted === 'best' || wanted === 'auto' || (wanted === 'home' && within && !within.includes(node));
    if (!anywhere) lists.push([wanted === 'home' ? node : wanted]);
    if (lists.length === 0) return null;
    return lists.reduce((some, list) => some!.filter((name) => list!.includes(name)))!;
  }

  #refusal({ refused }: Entry, node: string): string | null {
    const known = refused.get(node);
    return known && known.until > performance.now() ? known.why : null;
  }

  async #roomFor(entry: Entry, nodes: readonly string[], need: Need): Promise<string | null> {
    const { balancer, peers } = this.parts;
    const refusals: [node: string, why: RefusedRoom][] = [];
    const load = loadOf(need, { cpus: Number.POSITIVE_INFINITY });
    for (const node of nodes.length > 0 ? await balancer.ranked(nodes, load) : []) {
      const { refused } = await peers
        .call(node, 'balance.room', { job: entry.job, ...need }, { timeoutMs: ROOM_MS })
        .catch(() => ({ refused: 'silent' as const }));
      if (refused === null) return node;
      refusals.push([node, refused]);
    }
    entry.why = refusals.length > 0 ? fullText(refusals) : BEHIND;
    return null;
  }

  async #begin(entry: Entry, host: string): Promise<void> {
    const { journal, home, balancer, perUser, log } = this.parts;
    const { job: id, user } = entry;
    this.#served = afterTurn(this.#served, user);
    try {
      const job = await journal.beginning(id, host, user === 0 ? undefined : perUser.jobs);
      entry.queued = { ...entry.queued, job };
      const { address, array, limits } = job.spec;
      balancer.sent(host, loadOf({ cpus: limits.cpus ?? null, memory: limits.memory ?? null }, { cpus: 1 }));
      await home.begin(job, ofPart({ ...(await journal.request(id)), address, array }));
      this.#leave(id);
    } catch (error) {
      log(`not begun on ${host}: ${asGodwitError(error).message}`, { job: id });
      await this.#notBegun(entry, host, asGodwitError(error));
    } finally {
      this.#over(host, id);
    }
  }

  /** It has begun there, or does not after all: the room that was kept for it is given back. */
  #over(host: string, job: string): void {
    void this.parts.peers.call(host, 'balance.over', { job }, { timeoutMs: ROOM_MS }).catch(() => {});
  }

  async #notBegun(entry: Entry, host: string, error: GodwitError): Promise<void> {
    const { journal, node } = this.parts;
    if (UNKNOWN.has(error.code)) return this.#settle(entry, host);
    if (NOT_LAUNCHED_THERE.has(error.code))
      entry.refused.set(host, { until: performance.now() + REFUSED_MS, why: error.message });
    else if (!NOT_NOW.has(error.code)) return this.#cannot(entry, error);
    entry.why = error.message;
    await this.#until(entry, () => journal.unbegun(entry.job, node));
    this.#waitsOn(entry);
  }

  /** The host may have launched it: it is asked until it says so. */
  async #settle(entry: Entry, host: string): Promise<void> {
    const { journal, home, peers, node } = this.parts;
    const { job } = entry;
    await this.#until(entry, async () => {
      // A person may have given it up, as its host is gone.
      if ((await journal.job(job)).state !== 'starting') return this.#leave(job);
      const { statuses } = await peers.call(host, 'host.jobStatus', { jobs: [job] }, { timeoutMs: ROOM_MS });
      if (statuses.length === 0) {
        await journal.unbegun(job, node);
        return this.#waitsOn(entry);
      }
      await journal.running(job, PROGRAM_PID);
      home.consoles.watch(job);
      this.#leave(job);
    });
  }

  #waitsOn(entry: Entry): void {
    entry.beginning = null;
    this.#positions = null;
    this.#lookSoon(ROUND_MS);
  }

  /** Tried again until it has worked; each reason is said once. */
  #until({ job }: Entry, work: () => Promise<void>): Promise<void> {
    let said = '';
    const failed = (error: unknown) => {
      const { message } = asGodwitError(error);
      if (message !== said) this.parts.log(`not settled yet: ${message}`, { job });
      said = message;
    };
    return retryUntilDone(work, failed, PAUSES);
  }

  /** It will never begin: it is over, and says why on its console, in its history and to who waits for it. */
  async #cannot(entry: Entry, error: GodwitError): Promise<void> {
    const { journal, layout, log } = this.parts;
    const { job } = entry;
    if (NOT_NOW.has(error.code)) {
      entry.why = error.message;
      return;
    }
    const line = `godwit: ${error.toLine()}\n`;
    await appendFile(layout.console(job), line).catch((why: Error) =>
      log(`not said on its console: ${why.message}`, { job }),
    );
    const exit: Exit = { exit: NOT_STARTED, signal: null, reason: error.message };
    await this.#until(entry, () => journal.endedQueued(job, exit));
    this.#leave(job);
  }
}

const stillBeginning = (job: string, host: string) =>
  new GodwitError({
    code: 'job-starting',
    message: `job ${job} is being launched on ${host}, which does not answer`,
    fix: 'try again when it does; where it is gone for good, `godwit forget` gives the job up',
  });
